"""SARSA over the whole vocabulary, with a language model as the action-value function."""

from textgym_agents.algorithms.soft_q import ActionValueLearning
from textgym_agents.objectives.returns import lambda_returns


class SARSA(ActionValueLearning):
    """SARSA(lambda): what each token should have been worth is what the policy, as it explores, goes on to earn.

    Rummery & Niranjan, "On-Line Q-Learning Using Connectionist Systems" (1994); Sutton & Barto, "Reinforcement
    Learning: An Introduction" (2018), sections 6.4 and 12.7. Unlike in Q-learning, a return goes on through tokens that
    were tried out, so what is learnt is the value of the texts that are really played.

    Differences from the paper:

    1. Q is ``V(s) + beta log pi(a|s)``, with V and log pi learning at speeds of their own, see ``vf_coef``.
    2. Whole texts are played, then one step is taken for all of them (or for each minibatch of ``batch_size`` tokens);
       the returns are computed forward, from the weights of the moment, in place of eligibility traces.
    3. The step is AdamW's, with a clipped gradient. There is no discount, since a text is scored once, at its end.

    With ``td_lambda=1`` nothing is bootstrapped: on-policy Monte-Carlo control (section 5.4).

    Its arguments are those of ``ActionValueLearning``.
    """

    def train(self) -> None:
        """w <- w + alpha sum_t [G_t - Q(s_t, a_t)] grad Q(s_t, a_t),  G_t = r_t + Q(s_{t+1}, a_{t+1}) for lambda 0."""
        for texts in self._valued():
            returns = lambda_returns(texts.rewards, texts.chosen, texts.lengths, self.td_lambda)
            self._correct(texts, returns)
