"""Policies whose distribution leaves tokens out: those that an action mask forbids, or NLPO's lagged model finds rare.

Masks travel as bits, 64 tokens to a word, and become minus infinity in a block of logits at a time, so that no matrix
of the size (tokens, vocabulary) is made for them.

| Symbol | Shape | Meaning |
|---|---|---|
| `words` | (n, words) | packed masks |
| `rules` | (n,) or (n, 1 + words) | tokens generated so far, and `words` where there are masks |
"""

import copy
from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.distributions import Distribution
from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents import models
from textgym_agents.buffers import EpisodeBatch
from textgym_agents.masked_buffer import MaskedEpisodeRolloutBuffer, as_masks, pack_masks, unpack_masks
from textgym_agents.policies.causal import CausalLMPolicy
from textgym_agents.policies.head import Prepare
from textgym_agents.policies.language_model import BLOCK_LOGITS, LanguageModelPolicy, Obs
from textgym_agents.policies.sampling import Sampling
from textgym_agents.policies.seq2seq import Seq2SeqLMPolicy

WORDS = "action_masks"  # the key of packed masks among observations


class PackedMasks(LanguageModelPolicy):
    """Masks that come with the observations, over and above the environment's own rules."""

    def _generated(self, obs: Obs) -> Tensor:
        generated, words = super()._generated(obs), self._words(obs)
        return generated if words is None else torch.cat([generated[:, None], words], 1)

    def _words(self, obs: Obs) -> Tensor | None:
        return obs.masks if isinstance(obs, EpisodeBatch) else obs.get(WORDS)

    def _prepare(self, rules: Tensor, *, filters: bool = True) -> Prepare | None:
        if rules.dim() == 1:
            return super()._prepare(rules, filters=filters)
        then = super()._prepare(rules[:, 0], filters=filters)  # top-k and top-p are of the tokens that are left

        def prepare(block: Tensor, rows: slice) -> None:
            block.masked_fill_(~unpack_masks(rules[rows, 1:], block.shape[1]), -torch.inf)
            if then is not None:
                then(block, rows)

        return prepare


class MaskableMixin(PackedMasks):
    """A language-model policy that takes ``action_masks``, as sb3-contrib's MaskablePPO gives them.

    The environment's own rules are applied with and without masks; given masks can only forbid more.
    """

    def forward(self, obs: Any, deterministic: bool = False, action_masks: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """As without masks, with ``action_masks`` (rows, vocabulary), True or 1 where a token is legal, or None."""
        return super().forward(self._with(obs, action_masks), deterministic)

    def evaluate_actions(self, obs: Any, actions: Tensor, action_masks: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """As without masks, under the distribution that the masks leave."""
        return super().evaluate_actions(self._with(obs, action_masks), actions)

    def get_distribution(self, obs: Any, action_masks: Any = None) -> Distribution:
        """The distribution over the legal tokens."""
        return super().get_distribution(self._with(obs, action_masks))

    def predict(
        self,
        observation: Any,
        state: tuple[Any, ...] | None = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, tuple[Any, ...] | None]:
        """As SB3's ``predict``, with masks."""
        if action_masks is None:
            return super().predict(observation, state, episode_start, deterministic)
        self.set_training_mode(False)
        tensors, batched = self.obs_to_tensor(observation)
        with torch.no_grad():
            actions = self.forward(tensors, deterministic, action_masks)[0].cpu().numpy()
        return (actions if batched else actions[0]), state

    def _with(self, obs: Any, masks: Any) -> Any:
        if masks is None:
            return obs
        words = as_masks(masks, self.num_actions, self.device)
        return replace(obs, masks=words) if isinstance(obs, EpisodeBatch) else {**obs, WORDS: words}


class MaskableCausalLMPolicy(MaskableMixin, CausalLMPolicy):
    __doc__ = f"{MaskableMixin.__doc__}\n    Arguments: those of ``CausalLMPolicy``."


class MaskableSeq2SeqLMPolicy(MaskableMixin, Seq2SeqLMPolicy):
    __doc__ = f"{MaskableMixin.__doc__}\n    Arguments: those of ``Seq2SeqLMPolicy``."


class LaggedMaskMixin(PackedMasks):
    """NLPO's policy: only tokens that are among the likeliest under an earlier copy of the model.

    The copy has a slot cache of its own in rollouts. Under LoRA only the adapters are copied.

    Args:
        mask_top_p: the likeliest tokens of the copy that together hold this much probability are legal, and those that
            tie with the last; 1: all tokens, and no copy.

    Raises:
        ConfigError: ``mask_top_p`` is not above 0 and at most 1.
    """

    mask_policy: LanguageModelPolicy | None = None
    sampled_masks: Tensor | None = None  # (rows, words) of the last rollout step, for the buffer

    def __init__(self, *args: Any, mask_top_p: float = 0.9, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not 0 < mask_top_p <= 1:
            raise ConfigError(f"mask_top_p is {mask_top_p}, expected above 0 and at most 1 (all tokens).")
        self._arguments["mask_top_p"] = mask_top_p
        if mask_top_p < 1:
            self._copy_model(mask_top_p)

    def _copy_model(self, mask_top_p: float) -> None:
        frozen = {id(p): p for p in self.lm.parameters() if not p.requires_grad}  # shared, not copied
        mask_lm = copy.deepcopy(self.lm, frozen).requires_grad_(False)
        twin = copy.copy(self)
        twin._modules = {**self._modules, "lm": mask_lm}
        twin.sampling = Sampling(self.sampling.temperature, top_p=mask_top_p)
        twin.head_scale, twin.head_bias = models.head_scale(mask_lm), models.head_bias(mask_lm)
        twin._model_parameters, twin._caches = list(mask_lm.parameters()), {}
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
        self.sampled_masks = self._words(obs)
        if self.sampled_masks is not None:
            obs = {**obs, WORDS: self.sampled_masks}
        return super().forward(obs, deterministic)

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        # Not by forward: an evaluation between a rollout's step and its storage must not change what is stored.
        return super().forward(observation, deterministic)[0]

    @torch.no_grad()
    def _words(self, obs: Obs) -> Tensor | None:
        known, mask = super()._words(obs), self.mask_policy
        if known is not None or mask is None:
            return known
        rows = max(1, BLOCK_LOGITS // self.num_actions)
        found = []
        for hidden, generated in zip(mask._hidden(obs).split(rows), mask._generated(obs).split(rows), strict=True):
            logits = mask._logits(mask.lm, hidden).div_(mask.sampling.temperature)
            prepare = mask._prepare(generated)
            assert prepare is not None
            prepare(logits, slice(None))
            found.append(pack_masks(logits > -torch.inf))
        return torch.cat(found)

    def _prepare(self, rules: Tensor, *, filters: bool = True) -> Prepare | None:
        # The reference model is not masked, as it isn't cut to the policy's top-k and top-p either.
        return super()._prepare(rules if filters or rules.dim() == 1 else rules[:, 0], filters=filters)

    def _apply(self, fn: Any, recurse: bool = True) -> "LaggedMaskMixin":
        if self.mask_policy is not None:
            self.mask_policy._caches.clear()
        return super()._apply(fn, recurse)  # type: ignore[return-value]


class NLPOCausalLMPolicy(LaggedMaskMixin, CausalLMPolicy):
    __doc__ = f"{LaggedMaskMixin.__doc__}\n    Other arguments: those of ``CausalLMPolicy``."


class NLPOSeq2SeqLMPolicy(LaggedMaskMixin, Seq2SeqLMPolicy):
    __doc__ = f"{LaggedMaskMixin.__doc__}\n    Other arguments: those of ``Seq2SeqLMPolicy``."


def _register() -> None:
    """MaskablePPO asks for instances of its own classes; ours have all that it calls on them."""
    try:
        from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
        from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
    except ImportError:
        return
    for policy in (MaskableCausalLMPolicy, MaskableSeq2SeqLMPolicy):
        MaskableActorCriticPolicy.register(policy)
    MaskableDictRolloutBuffer.register(MaskedEpisodeRolloutBuffer)


_register()
