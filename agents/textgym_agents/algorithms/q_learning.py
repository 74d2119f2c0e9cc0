"""Q-learning over the whole vocabulary, with a language model as the action-value function."""

from typing import Any, Literal, Unpack

import numpy as np
from torch.nn.utils import clip_grad_norm_

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import Means
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.algorithms.soft_q import SoftQAlgorithm, SoftQOptions
from textgym_agents.objectives.returns import lambda_returns
from textgym_agents.policies.q_learning import QLearningPolicy

TRACES = ("watkins", "peng")


class QLearning(SoftQAlgorithm):
    """Q(lambda): the target of each token's value is the return that follows when the best tokens are taken.

    Watkins & Dayan, "Q-learning" (1992), https://doi.org/10.1007/BF00992698. With ``traces="watkins"``, Watkins's
    Q(lambda) (Sutton & Barto, "Reinforcement Learning: An Introduction", 2018, section 12.10): a return goes on along
    the episode as long as its tokens are greedy, and at the first exploratory one it ends in max_a Q(s, a). With
    "peng", Peng & Williams, "Incremental Multi-Step Q-Learning" (1996), https://doi.org/10.1007/BF00114731: it goes on
    through all tokens, mixed with max_a Q(s, a) at each, towards values between those of the greedy policy and of the
    exploring one; with ``td_lambda=1`` that is Monte Carlo. ``td_lambda=0`` is one-step Q-learning in both.

    Differences from the papers:

    1. Q is ``V(s) + beta log pi(a|s)``, a model and not a table, and a step is semi-gradient: the returns are computed
       with the weights of the moment and held still.
    2. Whole episodes are played, then one step is taken for all (or for each minibatch of ``batch_size`` tokens).
    3. V and log pi learn at speeds of their own, see ``vf_coef``; the step is AdamW's, with a clipped gradient.
    4. Exploration samples from the language model and not uniformly: almost every token of a vocabulary is nonsense.
    5. Without a discount, since an episode is scored once, at its end.

    Args:
        policy, env: as for ``SoftQAlgorithm``.
        traces: "watkins" or "peng".
        options: further ones of ``SoftQAlgorithm``: ``td_lambda``, ``beta``, ...
    """

    def __init__(
        self, policy: Any, env: Any, *, traces: Literal["watkins", "peng"] = "peng", **options: Unpack[SoftQOptions]
    ) -> None:
        if traces not in TRACES:
            raise ConfigError(f"traces is {traces!r}. {did_you_mean(str(traces), TRACES)}")
        self.traces = traces
        super().__init__(policy, env, **options)

    def train(self) -> None:
        """w <- w + alpha sum_t [G_t - Q(s_t, a_t)] grad Q(s_t, a_t),  G_t = r_t + max_a Q(s_{t+1}, a) for lambda 0."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store, means = self.rollout_buffer, Means()
        for batch in store.get(self.batch_size):
            q = self._action_values(batch)
            follow = q.greedy if self.traces == "watkins" else None
            returns = lambda_returns(batch.rewards, q.best, batch.lengths, self.td_lambda, on_policy=follow)
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
    QLearning,
    "Watkins & Dayan, Q-learning, 1992, https://doi.org/10.1007/BF00992698",
    family="value based",
    kl_coef=0.01,
    policy=QLearningPolicy,
    small={"prompts_per_rollout": 4},
    tests=("algorithms/test_q_learning.py",),
    learning=Learning(40_000, 0.0, (0.036, 0.037, 0.009), {"kl_coef": 0}),
    search=search.ACTION_VALUES,
    origins={**origins.ACTION_VALUES, "traces": origins.CHOSEN},
)
