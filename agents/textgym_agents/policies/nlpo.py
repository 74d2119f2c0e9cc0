"""NLPO's policy: PPO's, within the tokens that a lagged copy of itself finds most probable."""

import copy
from typing import Any

import torch
from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents import models
from textgym_agents.buffers.masks import pack_masks
from textgym_agents.models.log_probs import BLOCK_LOGITS
from textgym_agents.models.sampling import Sampling
from textgym_agents.models.slot_caches import SlotCaches
from textgym_agents.policies.base import LanguageModelPolicy, Obs
from textgym_agents.policies.maskable import WORDS, PackedMasks


class NLPOPolicy(PackedMasks):
    """NLPO's policy: only tokens in the top-p set of an earlier copy of the model.

    The copy has a slot cache of its own in rollouts. Under LoRA only the adapters are copied.

    Args:
        mask_top_p: the most probable tokens of the copy that together hold this much probability are legal, and those
            that tie with the last; 1: all tokens, and no copy.
        kwargs: those of ``LanguageModelPolicy``.

    Raises:
        ConfigError: ``mask_top_p`` is not above 0 and at most 1.
    """

    decodes_plainly = False
    mask_policy: LanguageModelPolicy | None = None

    def __init__(self, *args: Any, mask_top_p: float = 0.9, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not 0 < mask_top_p <= 1:
            raise ConfigError(f"mask_top_p is {mask_top_p}, expected above 0 and at most 1 (all tokens).")
        if mask_top_p < 1:
            self._copy_model(mask_top_p)

    def _copy_model(self, mask_top_p: float) -> None:
        frozen = {id(p): p for p in self.lm.parameters() if not p.requires_grad}  # shared, not copied
        mask_lm = copy.deepcopy(self.lm, frozen).requires_grad_(False)
        twin = copy.copy(self)
        twin._modules = {**self._modules, "lm": mask_lm}
        twin.sampling = Sampling(self.sampling.temperature, top_p=mask_top_p)
        twin.head_scale, twin.head_bias = models.head_scale(mask_lm), models.head_bias(mask_lm)
        twin.caches = SlotCaches(mask_lm.parameters())
        twin.reference = None
        self.mask_lm = mask_lm  # a submodule, so that it is stored and moved with the policy
        object.__setattr__(self, "mask_policy", twin)  # not one: its other parts are the policy's own

    @torch.no_grad()
    def refresh_mask(self) -> None:
        """From now on, tokens are masked by the weights as they are now. Call it between an update and a rollout."""
        if self.mask_policy is not None:
            for ours, theirs in zip(self.lm.parameters(), self.mask_lm.parameters(), strict=True):
                if theirs is not ours:
                    theirs.copy_(ours)  # in place, so that its slot cache notices

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """As without a mask. What was legal is kept for the buffer, so that the update uses the same masks."""
        words = self._words(obs)
        return super().forward(obs if words is None else {**obs, WORDS: words}, deterministic)

    def _sampled_set(self, obs: Any, logits: Tensor) -> Tensor | None:
        left = super()._sampled_set(obs, logits)  # of the mask, by top-k and top-p
        return obs.get(WORDS) if left is None else left

    @torch.no_grad()
    def _words(self, obs: Obs) -> Tensor | None:
        known, mask = super()._words(obs), self.mask_policy
        if known is not None or mask is None:
            return known
        rows = max(1, BLOCK_LOGITS // self.num_actions)
        words = []
        for hidden, generated in zip(mask._hidden(obs).split(rows), mask._generated(obs).split(rows), strict=True):
            logits = mask._logits(mask.lm, hidden).div_(mask.sampling.temperature)
            prepare = mask._prepare(generated)
            assert prepare is not None
            prepare(logits, slice(None))
            words.append(pack_masks(logits > -torch.inf))
        return torch.cat(words)

    def _apply(self, fn: Any, recurse: bool = True) -> "NLPOPolicy":
        if self.mask_policy is not None:
            self.mask_policy.caches.drop()
        return super()._apply(fn, recurse)  # type: ignore[return-value]
