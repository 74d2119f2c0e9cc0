"""ILQL's policy: a language model with a head for V(s) and one for the offset of Q(s, a)."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from textgym_agents.policies.base import LanguageModelPolicy


class ILQLValues(NamedTuple):
    """The policy's estimates for the tokens of a log; all (n,), with gradients.

    Attributes:
        values: V(s), from the value head.
        q_offset: Q(s, a) of a token whose probability has not changed, so that Q = q_offset + beta log(pi / pi_0).
        log_probs: log pi(a|s).
        entropies: of the distribution over tokens, in nats.
    """

    values: Tensor
    q_offset: Tensor
    log_probs: Tensor
    entropies: Tensor


class ILQLPolicy(LanguageModelPolicy):
    """A ``LanguageModelPolicy`` with a second head, for the offset of its action values."""

    takes_critics = False
    q_offset_net: nn.Linear

    def _build_model(self, *args: Any, **kwargs: Any) -> None:
        super()._build_model(*args, **kwargs)
        self.q_offset_net = nn.Linear(self.value_net.in_features, 1)
        nn.init.zeros_(self.q_offset_net.weight)
        nn.init.zeros_(self.q_offset_net.bias)

    def evaluate_values(self, obs: Any, actions: Tensor) -> ILQLValues:
        """Both heads, log-probabilities and entropies of given actions, in one pass."""
        hidden = self._hidden(obs)
        log_probs, entropies = self._statistics(hidden, actions, self._generated(obs))
        features = hidden.float()
        values, q_offset = self.value_net(features).flatten(), self.q_offset_net(features).flatten()
        return ILQLValues(values, q_offset, log_probs, entropies)
