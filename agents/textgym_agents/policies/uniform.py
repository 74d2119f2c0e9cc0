"""Chance, a baseline."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from textgym_agents.policies.base import LanguageModelPolicy


class UniformPolicy(LanguageModelPolicy):
    """A ``LanguageModelPolicy`` for which all legal tokens have the same probability, whatever ``deterministic`` says.

    Temperature, top-k and top-p change nothing, as all tokens tie.
    """

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """A token of each row. Returns actions (rows,), values (rows, 1), log-probabilities (rows,)."""
        return super().forward(obs, False)

    def _logits(self, lm: PreTrainedModel, hidden: Tensor) -> Tensor:
        return torch.zeros(len(hidden), self.num_actions, device=hidden.device)
