"""ILQL's policy: a language model with a head for V(s) and one for the offset of Q(s, a)."""

import copy
from typing import Any, NamedTuple

import torch
from stable_baselines3.common.utils import polyak_update
from torch import Tensor, nn

from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.models.log_probs import BLOCK_LOGITS, in_blocks, token_statistics
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
    """A ``LanguageModelPolicy`` with a second head, for the offset of its action values, and a target network.

    The target network is a copy of the model (with ``lora``: of the adapters) and of that head, which
    :meth:`update_target` moves towards them.
    """

    takes_critics = False
    takes_filters = False
    value_gain = 30.0  # values are bootstrapped from: they must not run ahead of their targets
    q_offset_net: nn.Linear
    target: nn.ModuleDict

    def _build_model(self, *args: Any, **kwargs: Any) -> None:
        super()._build_model(*args, **kwargs)
        self.q_offset_net = nn.Linear(self.value_net.in_features, 1)
        nn.init.zeros_(self.q_offset_net.weight)
        nn.init.zeros_(self.q_offset_net.bias)
        shared = {id(p): p for p in self.parameters() if not p.requires_grad}
        parts = {"lm": self.lm, "q_offset_net": self.q_offset_net}
        self._followed = [p for part in parts.values() for p in part.parameters() if p.requires_grad]
        self.target = nn.ModuleDict(copy.deepcopy(parts, shared))
        self._following = [p for p in self.target.parameters() if p.requires_grad]
        self.target.requires_grad_(False)

    def evaluate_values(self, obs: Any, actions: Tensor) -> ILQLValues:
        """Both heads, log-probabilities and entropies of given actions, in one pass."""
        hidden = self._hidden(obs)
        log_probs, entropies = self._statistics(hidden, actions, self._generated(obs))
        values, q_offset = self._values(hidden, obs).flatten(), self._offset(self.q_offset_net, hidden)
        return ILQLValues(values, q_offset, log_probs, entropies)

    @torch.no_grad()
    def target_values(self, batch: EpisodeBatch, actions: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) q_offset and (n,) log pi(a|s) of given actions under the target network."""
        lm: Any = self.target["lm"]

        def statistics(hidden: Tensor, actions: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
            prepare = self._prepare(generated)
            return token_statistics(self._logits(lm, hidden), actions, self.sampling.temperature, prepare)

        hidden = self._packed_hidden(lm, batch.sequences)
        parts = (hidden, actions.long().reshape(-1), self._generated(batch))
        log_probs = in_blocks(statistics, parts, self.num_actions, BLOCK_LOGITS)[0]
        return self._offset(self.target["q_offset_net"], hidden), log_probs

    def update_target(self, share: float) -> None:
        """Move the target network towards the weights (Polyak averaging); a share of 1 copies them."""
        polyak_update(self._followed, self._following, share)

    def _offset(self, head: nn.Module, hidden: Tensor) -> Tensor:
        """(n,) in the units of the value head."""
        offset: Tensor = self.value_net.mean + self.value_net.std * head(self.value_net.features(hidden))
        return offset.flatten()
