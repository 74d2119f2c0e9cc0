"""Policies of the baselines: greedy decoding."""

from typing import Any

from torch import Tensor

from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.causal import CausalLMPolicy
from textgym_agents.policies.seq2seq import Seq2SeqLMPolicy


class GreedyMixin(LanguageModelPolicy):
    """A language-model policy that always takes the likeliest token, whatever ``deterministic`` says."""

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The likeliest token of each row. Returns actions (rows,), values (rows, 1), log-probabilities (rows,)."""
        return super().forward(obs, True)


class GreedyCausalLMPolicy(GreedyMixin, CausalLMPolicy):
    __doc__ = f"{GreedyMixin.__doc__}\n\n    Arguments: those of ``CausalLMPolicy``."


class GreedySeq2SeqLMPolicy(GreedyMixin, Seq2SeqLMPolicy):
    __doc__ = f"{GreedyMixin.__doc__}\n\n    Arguments: those of ``Seq2SeqLMPolicy``."
