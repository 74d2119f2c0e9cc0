"""Policies for implicit Q-learning: a language model with two heads for what states are worth."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from textgym_agents.policies.base import LanguageModelPolicy


class Judgement(NamedTuple):
    """What a policy thinks of tokens in a log; all (n,), with gradients.

    Attributes:
        values: V(s), from the value head.
        levels: where Q(s, a) of a token lies whose probability is that of the initial model.
        log_probs: log pi(a|s).
        entropies: of the distribution over tokens, in nats.
    """

    values: Tensor
    levels: Tensor
    log_probs: Tensor
    entropies: Tensor


class ILQLPolicy(LanguageModelPolicy):
    """A language-model policy with a second head, for the level of its action values."""

    level_net: nn.Linear

    def _build_model(self, *args: Any, **kwargs: Any) -> None:
        super()._build_model(*args, **kwargs)
        self.level_net = nn.Linear(self.value_net.in_features, 1)
        nn.init.zeros_(self.level_net.weight)
        nn.init.zeros_(self.level_net.bias)

    def judge(self, obs: Any, actions: Tensor) -> Judgement:
        """Both heads, log-probabilities and entropies of given actions, in one pass."""
        hidden = self._hidden(obs)
        log_probs, entropies = self._statistics(hidden, actions, self._generated(obs))
        features = hidden.float()
        values, levels = self.value_net(features).flatten(), self.level_net(features).flatten()
        return Judgement(values, levels, log_probs, entropies)
