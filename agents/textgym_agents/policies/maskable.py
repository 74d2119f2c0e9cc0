"""Policies whose distribution leaves tokens out: those that an action mask forbids, or NLPO's lagged model finds rare.

Masks travel as bits, 64 tokens to a word, and become minus infinity in a block of logits at a time, so that no matrix
of the size (tokens, vocabulary) is made for them.

| Symbol | Shape | Meaning |
|---|---|---|
| `words` | (n, words) | packed masks |
| `rules` | (n,) or (n, 1 + words) | tokens generated so far, and `words` where there are masks |
"""

from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.distributions import Distribution
from torch import Tensor

from textgym_agents.buffers.masked_rollout import MaskedEpisodeRolloutBuffer
from textgym_agents.buffers.masks import as_masks, unpack_masks
from textgym_agents.buffers.rollout import EpisodeBatch
from textgym_agents.models.log_probs import Prepare
from textgym_agents.policies.base import LanguageModelPolicy, Obs

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


class MaskablePolicy(PackedMasks):
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
