"""Which tokens a Q network chooses among: the most probable ones under the initial model."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents.models.reference import Reference
from textgym_agents.policies.base import LanguageModelPolicy


class Proposals:
    """The candidates of a state: the most probable tokens under a model, masked ones left out.

    Args:
        policy: has the model and the environment's rules.
        num_candidates: k.
        reference: what switches to the initial weights; None: the policy's model has them.

    Raises:
        ConfigError: fewer than 2 candidates, or more than the vocabulary has tokens.
    """

    def __init__(self, policy: LanguageModelPolicy, num_candidates: int, reference: Reference | None = None) -> None:
        if not 1 < num_candidates <= policy.num_actions:
            raise ConfigError(
                f"num_candidates is {num_candidates}, expected 2 to {policy.num_actions}, the size of the vocabulary."
            )
        self.policy, self.num_candidates, self.reference = policy, num_candidates, reference

    def weights(self) -> AbstractContextManager[Any]:
        """Within the block, the policy's model computes with the initial weights."""
        return nullcontext() if self.reference is None else self.reference.weights(self.policy.lm)

    @torch.no_grad()
    def __call__(self, obs: dict[str, Tensor], *, cached: bool = True) -> Tensor:
        """(rows, k) tokens, the most probable first; where fewer are legal, that one again.

        ``cached=False`` leaves the slot cache alone, for rows that are not the environment's.
        """
        policy = self.policy
        with self.weights():
            hidden = policy._hidden(obs) if cached else policy._packed_hidden(policy.lm, policy.form.sequences(obs))
            top = policy._sampled_logits(hidden, obs).topk(self.num_candidates, dim=-1)
        return torch.where(top.values > -torch.inf, top.indices, top.indices[:, :1])
