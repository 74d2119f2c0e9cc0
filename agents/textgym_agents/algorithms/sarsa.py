"""SARSA over the whole vocabulary, with a language model as the action-value function."""

from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.algorithms.soft_q import ActionValues, SoftQAlgorithm
from textgym_agents.buffers.episodes import EpisodeSamples
from textgym_agents.objectives.arrays import Floats
from textgym_agents.objectives.returns import lambda_returns
from textgym_agents.policies.q_learning import QLearningPolicy


class SARSA(SoftQAlgorithm):
    """SARSA(lambda): the target of each token's value is the return of the policy as it explores.

    Rummery & Niranjan, "On-Line Q-Learning Using Connectionist Systems" (1994); Sutton & Barto, "Reinforcement
    Learning: An Introduction" (2018), sections 6.4 and 12.7. It samples from the model and learns the values of doing
    so: on-policy control. Unlike in Q-learning, a return goes on through exploratory tokens, whose mistakes it counts.

    Differences from the paper:

    1. Q is ``V(s) + beta log pi(a|s)``, with V and log pi learning at speeds of their own, see ``vf_coef``.
    2. Whole episodes are played, then one step is taken for all (or for each minibatch of ``batch_size`` tokens); the
       returns are computed forward, from the weights of the moment, in place of eligibility traces.
    3. The step is AdamW's, with a clipped gradient. There is no discount, since an episode is scored once, at its end.

    With ``td_lambda=1`` nothing is bootstrapped: on-policy Monte-Carlo control (section 5.4).

    Its arguments are those of ``SoftQAlgorithm``.
    """

    def _returns(self, batch: EpisodeSamples, q: ActionValues) -> Floats:
        """G_t = r_t + Q(s_{t+1}, a_{t+1})  for lambda 0, with the token that came next."""
        return lambda_returns(batch.rewards, q.chosen, batch.lengths, self.td_lambda)


ROW = Algorithm(
    SARSA,
    "Rummery & Niranjan, On-Line Q-Learning Using Connectionist Systems, 1994; Sutton & Barto, Reinforcement "
    "Learning: An Introduction, 2018, http://incompleteideas.net/book/the-book-2nd.html",
    family="value based",
    kl_coef=0.01,
    policy=QLearningPolicy,
    small={"prompts_per_rollout": 4},
    tests=("algorithms/test_q_learning.py",),
    learning=Learning(24_000, 0.025, (0.085, 0.045, 0.052)),
    search=search.ACTION_VALUES,
    origins=origins.ACTION_VALUES,
)
