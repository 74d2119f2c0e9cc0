"""Greedy decoding, a baseline."""

from typing import Any

from torch import Tensor

from textgym_agents.policies.base import LanguageModelPolicy


class GreedyPolicy(LanguageModelPolicy):
    """A ``LanguageModelPolicy`` that always takes the greedy token, whatever ``deterministic`` says."""

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The greedy token of each row. Returns actions (rows,), values (rows, 1), log-probabilities (rows,)."""
        return super().forward(obs, True)
