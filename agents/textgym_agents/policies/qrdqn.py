"""Quantile networks made of a language model, for QR-DQN.

Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018, https://arxiv.org/abs/1710.10044
"""

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from textgym.errors import ConfigError
from textgym_agents.policies.dqn import DQNPolicy


class QRDQNPolicy(DQNPolicy):
    """A language model that is a quantile network over candidate tokens, for QR-DQN.

    Quantile i of the return after choosing a is V_i(s) + A(s, a), with the advantages of :class:`DQNPolicy`: choices
    move the whole distribution, whose form is the state's. V_i is the value head and a spread around it, whose mean is
    0.

    Args:
        n_quantiles: how many. The loss compares each with each.
        kwargs: those of :class:`DQNPolicy`.

    Raises:
        ConfigError: ``n_quantiles`` below 1, or as for :class:`DQNPolicy`.
    """

    heads = ("value_net", "spread_net")
    q_name = "quantile_net"

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        n_quantiles: int = 16,
        **kwargs: Any,
    ) -> None:
        if n_quantiles < 1:
            raise ConfigError(f"n_quantiles is {n_quantiles}, expected 1 or more.")
        self.n_quantiles = n_quantiles
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build_model(self, *args: Any) -> None:
        super()._build_model(*args)
        self.spread_net = nn.Linear(self.value_net.in_features, self.n_quantiles)
        for parameter in self.spread_net.parameters():
            nn.init.zeros_(parameter)

    def q_values(self, obs: Any) -> Tensor:
        """(n, k) means of the quantiles."""
        return self.network(obs).mean(1)

    def network(self, obs: Any) -> Tensor:
        """(n, quantiles, k) quantiles of the return after each candidate, with gradients."""
        return self._at(obs, self._quantiles)

    def _quantiles(self, hidden: Tensor, advantages: Tensor) -> Tensor:
        states = self._features(hidden)
        spread = self.value_net.std * self.spread_net(self.value_net.features(states))
        values = self.value_net(states) + spread - spread.mean(-1, keepdim=True)
        quantiles: Tensor = values[:, :, None] + advantages[:, None]
        return quantiles
