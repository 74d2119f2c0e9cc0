"""SARSA over the whole vocabulary, with a language model as the action-value function."""

import numpy as np
from torch.nn.utils import clip_grad_norm_

from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import Means
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.algorithms.soft_q import SoftQAlgorithm
from textgym_agents.objectives.returns import lambda_returns
from textgym_agents.policies.q_learning import QLearningPolicy


class SARSA(SoftQAlgorithm):
    """SARSA(lambda): the target of each token's value is the return of the policy as it explores.

    Rummery & Niranjan, "On-Line Q-Learning Using Connectionist Systems" (1994); Sutton & Barto, "Reinforcement
    Learning: An Introduction" (2018), sections 6.4 and 12.7. Unlike in Q-learning, a return goes on through exploratory
    tokens, so that the values are those of the episodes that are really played.

    Differences from the paper:

    1. Q is ``V(s) + beta log pi(a|s)``, with V and log pi learning at speeds of their own, see ``vf_coef``.
    2. Whole episodes are played, then one step is taken for all (or for each minibatch of ``batch_size`` tokens); the
       returns are computed forward, from the weights of the moment, in place of eligibility traces.
    3. The step is AdamW's, with a clipped gradient. There is no discount, since an episode is scored once, at its end.

    With ``td_lambda=1`` nothing is bootstrapped: on-policy Monte-Carlo control (section 5.4).

    Its arguments are those of ``SoftQAlgorithm``.
    """

    def train(self) -> None:
        """w <- w + alpha sum_t [G_t - Q(s_t, a_t)] grad Q(s_t, a_t),  G_t = r_t + Q(s_{t+1}, a_{t+1}) for lambda 0."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store, means = self.rollout_buffer, Means()
        for batch in store.get(self.batch_size):
            q = self._action_values(batch)
            returns = lambda_returns(batch.rewards, q.chosen, batch.lengths, self.td_lambda)
            td_error = returns - q.chosen  # delta, held still: a semi-gradient
            delta = store.to_torch(td_error.astype(np.float32))
            # V and beta log pi each go along delta times their own gradient, which for the latter is divided by beta:
            # the language model would hardly move where beta is small. The squared TD error has the same minimum.
            policy_loss = -(batch.weights * delta * q.log_probs).sum()  # over tokens of 1/n (loss_reduction)
            value_loss = -(delta * q.values).mean()  # over tokens
            loss = policy_loss - self.ent_coef * (batch.weights * q.entropies).sum() + self.vf_coef * value_loss

            self.policy.optimizer.zero_grad()
            loss.backward()
            grad_norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            means.add(policy_loss=policy_loss, entropy_loss=-q.entropies.mean(), loss=loss, grad_norm=grad_norm)
            diagnostics = {"q_value": q.chosen, "td_loss": td_error**2, "greedy_share": q.greedy}
            means.add(**{name: store.to_torch(array).float().mean() for name, array in diagnostics.items()})
        self._log_update(means)


ROW = Algorithm(
    SARSA,
    "Rummery & Niranjan, On-Line Q-Learning Using Connectionist Systems, 1994; Sutton & Barto, Reinforcement "
    "Learning: An Introduction, 2018, http://incompleteideas.net/book/the-book-2nd.html",
    family="value based",
    kl_coef=0.01,
    policy=QLearningPolicy,
    small={"prompts_per_rollout": 4},
    tests=("algorithms/test_q_learning.py",),
    learning=Learning(40_000, 0.0, (0.029, 0.050, 0.018), {"kl_coef": 0}),
    search=search.ACTION_VALUES,
    origins=origins.ACTION_VALUES,
)
