"""Policies whose language model is also their action-value function, for Q-learning and SARSA.

| Symbol | Shape | Meaning |
|---|---|---|
| `log_probs` | (n,) | log pi(a|s) of the chosen tokens |
| `greedy_gap` | (n,) | log pi(a*|s) - log pi(a|s), with a* the greedy token: 0 where a is the greedy token |
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents.models.log_probs import Prepare
from textgym_agents.models.sampling import draw
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.exploration import Exploration, check_exploration


class TokenValues(NamedTuple):
    """The policy's estimates for chosen tokens; all (n,), and all but ``greedy_gap`` with gradients.

    Attributes:
        values: of the states, from the value head.
        log_probs: log pi(a|s) of the chosen tokens.
        greedy_gap: by how much the greedy token's log-probability is larger, without gradient.
        entropies: of the distribution over tokens, in nats.
    """

    values: Tensor
    log_probs: Tensor
    greedy_gap: Tensor
    entropies: Tensor


class QLearningPolicy(LanguageModelPolicy):
    """A language model that is also an action-value function, and explores as Q-learning and SARSA do.

    ``forward`` and ``predict`` explore; ``deterministic=True`` takes the greedy token. Log-probabilities are those
    of the language model itself, whatever the exploration.

    Args:
        exploration: "boltzmann" draws from softmax(log pi / ``boltzmann_temperature``), which at 1 is the language
            model. "epsilon_greedy" draws from that with probability ``epsilon`` and else takes the greedy token.
        epsilon: 0 to 1.
        boltzmann_temperature: above 0. A large one explores evenly, which is mostly noise.
        kwargs: those of ``LanguageModelPolicy``.

    Raises:
        ConfigError: an unknown exploration, or a number outside its range.
    """

    takes_filters = False
    value_gain = 30.0  # values are bootstrapped from: they must not run ahead of their targets

    def __init__(
        self,
        *args: Any,
        exploration: Exploration = "boltzmann",
        epsilon: float = 0.1,
        boltzmann_temperature: float = 1.0,
        **kwargs: Any,
    ) -> None:
        check_exploration(exploration)
        if not 0 <= epsilon <= 1:
            raise ConfigError(f"epsilon is {epsilon}, expected 0 (never explore) to 1 (always).")
        if not boltzmann_temperature > 0:
            raise ConfigError(f"boltzmann_temperature is {boltzmann_temperature}, expected above 0.")
        self.exploration, self.epsilon, self.boltzmann_temperature = exploration, epsilon, boltzmann_temperature
        super().__init__(*args, **kwargs)

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Choose one token per row. Returns actions (rows,), values (rows, 1), log pi of the actions (rows,)."""
        hidden = self._hidden(obs)
        log_probs = self._sampled_logits(hidden, obs).log_softmax(-1)
        actions = log_probs.argmax(1) if deterministic else self._explore(log_probs)
        return actions, self._values(hidden, obs), log_probs.gather(1, actions[:, None]).squeeze(1)

    def _explore(self, log_probs: Tensor) -> Tensor:
        stream = self._stream(log_probs.device)
        drawn = draw((log_probs / self.boltzmann_temperature).softmax(-1), stream)
        if self.exploration == "boltzmann":
            return drawn
        explores = torch.rand(len(drawn), generator=stream, device=drawn.device) < self.epsilon
        return torch.where(explores, drawn, log_probs.argmax(1))

    def token_values(self, obs: Any, actions: Tensor) -> TokenValues:
        """As ``evaluate_actions``, and the greedy gap of each action, in the same pass and memory."""
        hidden = self._hidden(obs)
        actions = actions.long().reshape(-1)
        self._greedy_gap = torch.empty(len(actions), device=hidden.device)
        where = torch.arange(len(actions), device=actions.device)
        rules = torch.stack([self._generated(obs).to(actions), actions, where], 1)  # (n, 3)
        log_probs, entropies = self._statistics(hidden, actions, rules)
        return TokenValues(self._values(hidden, obs).flatten(), log_probs, self._greedy_gap, entropies)

    def _prepare(self, rules: Tensor, *, filters: bool = True) -> Prepare | None:
        if rules.dim() == 1:
            return super()._prepare(rules, filters=filters)
        then, greedy_gap = super()._prepare(rules[:, 0], filters=filters), self._greedy_gap

        def prepare(block: Tensor, rows: slice) -> None:
            if then is not None:
                then(block, rows)
            chosen = block.gather(1, rules[rows, 1:2]).squeeze(1)
            greedy_gap[rules[rows, 2]] = (block.amax(1) - chosen).detach()

        return prepare
