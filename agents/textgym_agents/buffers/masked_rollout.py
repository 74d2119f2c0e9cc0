"""Rollout storage for sb3-contrib's MaskablePPO, which hands the masks of legal tokens to the buffer.

sb3-contrib's own buffers keep a float32 for every token of the vocabulary at every step: 200 kilobytes a step for a
vocabulary of 50,000. Here a step keeps a number of 4 bytes, and each distinct mask, stored once, has a bit a token: 6
kilobytes. An environment's rules make two masks, early and late. The lagged masks of NLPO all differ.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.buffers.masks import pack_masks
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer


class MaskedSamples(NamedTuple):
    """A minibatch as sb3-contrib's MaskablePPO reads it. ``action_masks`` is (actions, words), or None."""

    observations: EpisodeBatch
    actions: Tensor
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    action_masks: Tensor | None


class MaskedEpisodeRolloutBuffer(EpisodeRolloutBuffer):
    """An ``EpisodeRolloutBuffer`` that is given action masks, as MaskablePPO does. Arguments as there."""

    def add(self, *args: Any, action_masks: NDArray[Any] | None = None, **kwargs: Any) -> None:
        """Store one step of all rows, with masks (rows, vocabulary) where given."""
        sampled = None if self.policy is None else self.policy.sampled_masks
        if action_masks is not None and sampled is None:  # a policy's own has them in it
            masks = torch.from_numpy(np.ascontiguousarray(action_masks, dtype=np.bool_)).view(self.n_envs, -1)
            self._pending_masks.append((self.pos, pack_masks(masks)))
        super().add(*args, **kwargs)

    def get(self, batch_size: int | None = None) -> Iterator[Any]:  # type: ignore[override]
        """Minibatches of whole completions, as ``EpisodeRolloutBuffer.get``, with their masks."""
        for samples in super().get(batch_size):
            yield MaskedSamples(*samples, samples.observations.masks)  # type: ignore[attr-defined, arg-type]
