"""Q-learning over the whole vocabulary, with a language model as the action-value function."""

from typing import Any, Literal, Unpack

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.algorithms.soft_q import ActionValues, SoftQAlgorithm, SoftQOptions
from textgym_agents.buffers.episodes import EpisodeSamples
from textgym_agents.objectives.arrays import Floats
from textgym_agents.objectives.returns import lambda_returns
from textgym_agents.policies.q_learning import QLearningPolicy

TRACES = ("watkins", "peng")


class QLearning(SoftQAlgorithm):
    """Q(lambda): the target of each token's value is the return that follows when the best tokens are taken.

    Watkins & Dayan, "Q-learning" (1992), https://doi.org/10.1007/BF00992698. It explores by sampling from the
    model and learns the values of the greedy policy: off-policy control. ``traces`` says what becomes of a return at an
    exploratory token:

    - "watkins": it ends there, in max_a Q(s, a), so that what an exploratory token did to the reward isn't blamed on
      the tokens before it. The values are the optimal ones whoever explores. Watkins's Q(lambda): Sutton & Barto,
      "Reinforcement Learning: An Introduction" (2018), section 12.10.
    - "peng": it goes on through all tokens, mixed with max_a Q(s, a) at each. A reward comes to early tokens faster,
      but the values lie between the optimal ones and those of the exploring policy, near the latter where
      ``td_lambda`` is near 1: then this is SARSA or Monte Carlo in all but name. Peng & Williams, "Incremental
      Multi-Step Q-Learning" (1996), https://doi.org/10.1007/BF00114731.

    ``td_lambda=0`` is one-step Q-learning in both.

    Differences from the papers:

    1. Q is ``V(s) + beta log pi(a|s)``, a model and not a table, and a step is semi-gradient: the returns are computed
       with the weights of the moment and held still.
    2. Whole episodes are played, then one step is taken for all (or for each minibatch of ``batch_size`` tokens).
    3. V and log pi learn at speeds of their own, see ``vf_coef``; the step is AdamW's, with a clipped gradient.
    4. Exploration samples from the language model and not uniformly: almost every token of a vocabulary is nonsense.
    5. Without a discount, since an episode is scored once, at its end.

    Args:
        policy, env: as for ``SoftQAlgorithm``.
        traces: "watkins" or "peng", see above.
        options: further ones of ``SoftQAlgorithm``: ``td_lambda``, ``beta``, ...
    """

    def __init__(
        self, policy: Any, env: Any, *, traces: Literal["watkins", "peng"] = "watkins", **options: Unpack[SoftQOptions]
    ) -> None:
        if traces not in TRACES:
            raise ConfigError(f"traces is {traces!r}. {did_you_mean(str(traces), TRACES)}")
        self.traces = traces
        super().__init__(policy, env, **options)

    def _returns(self, batch: EpisodeSamples, q: ActionValues) -> Floats:
        """G_t = r_t + max_a Q(s_{t+1}, a)  for lambda 0; with Watkins's traces longer where greedy tokens follow."""
        follow = q.greedy if self.traces == "watkins" else None
        return lambda_returns(batch.rewards, q.best, batch.lengths, self.td_lambda, on_policy=follow)


ROW = Algorithm(
    QLearning,
    "Watkins & Dayan, Q-learning, 1992, https://doi.org/10.1007/BF00992698",
    family="value based",
    kl_coef=0.01,
    policy=QLearningPolicy,
    small={"prompts_per_rollout": 4},
    tests=("algorithms/test_q_learning.py",),
    learning=Learning(24_000, 0.015, (0.048, 0.035, 0.048)),
    search=search.ACTION_VALUES,
    origins={**origins.ACTION_VALUES, "traces": origins.CHOSEN},
)
