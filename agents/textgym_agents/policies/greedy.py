"""Policies of the baselines: greedy decoding."""

from typing import Any

from torch import Tensor

from textgym_agents.policies.base import LanguageModelPolicy


class GreedyPolicy(LanguageModelPolicy):
    """A language-model policy that always takes the likeliest token, whatever ``deterministic`` says."""

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The likeliest token of each row. Returns actions (rows,), values (rows, 1), log-probabilities (rows,)."""
        return super().forward(obs, True)
