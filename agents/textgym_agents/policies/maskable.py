"""Policies whose distribution leaves tokens out: those that an action mask forbids, or NLPO's lagged model finds rare.

Masks travel as bits, 64 tokens to a word, and become minus infinity in a block of logits at a time, so that no matrix
of the size (tokens, vocabulary) is made for them.
"""

from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.distributions import Distribution
from torch import Tensor

from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.buffers.masked_rollout import MaskedEpisodeRolloutBuffer
from textgym_agents.buffers.masks import as_masks
from textgym_agents.policies.base import LanguageModelPolicy, Obs

WORDS = "action_masks"  # the key of packed masks among observations


class PackedMasks(LanguageModelPolicy):
    """Masks that come with the observations, over and above the environment's own rules."""

    def _words(self, obs: Obs) -> Tensor | None:
        return super()._words(obs) if isinstance(obs, EpisodeBatch) else obs.get(WORDS)


class MaskablePolicy(PackedMasks):
    """A language-model policy that takes ``action_masks``, as sb3-contrib's MaskablePPO gives them.

    The environment's own rules are applied with and without masks; given masks can only forbid more. With top-k or
    top-p, a step of a rollout stores two masks, side by side: the given one and what is left of it.
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
        with torch.no_grad(), self._keeping_masks():
            actions = self.forward(tensors, deterministic, action_masks)[0].cpu().numpy()
        return (actions if batched else actions[0]), state

    def _sampled_set(self, obs: Any, logits: Tensor) -> Tensor | None:
        left = super()._sampled_set(obs, logits)
        if left is None:
            return None
        given = obs.get(WORDS)
        return torch.cat([torch.full_like(left, -1) if given is None else given.expand_as(left), left], 1)

    def _words(self, obs: Obs) -> Tensor | None:
        words = super()._words(obs)
        return None if words is None else words[:, -self._num_words :]  # what is left

    def _reference_rules(self, batch: EpisodeBatch) -> Tensor:
        if batch.masks is None:
            return batch.num_generated
        return torch.cat([batch.num_generated[:, None], batch.masks[:, : self._num_words]], 1)  # the given ones

    @property
    def _num_words(self) -> int:
        return -(-self.num_actions // 64)

    def _with(self, obs: Any, masks: Any) -> Any:
        if masks is None or (isinstance(obs, EpisodeBatch) and obs.stored):
            return obs
        words = as_masks(masks, self.num_actions, self.device)
        return replace(obs, masks=words) if isinstance(obs, EpisodeBatch) else {**obs, WORDS: words}


def _register() -> None:
    """MaskablePPO asks for instances of its own classes; ours have all that it calls on them."""
    try:
        from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
        from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
    except ImportError:
        return
    MaskableActorCriticPolicy.register(MaskablePolicy)
    MaskableDictRolloutBuffer.register(MaskedEpisodeRolloutBuffer)


_register()
