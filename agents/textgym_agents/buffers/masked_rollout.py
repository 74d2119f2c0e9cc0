"""Rollout storage with the tokens that were legal at each step, one bit a token and each distinct mask once.

sb3-contrib's own buffers keep a float32 for every token of the vocabulary at every step: 200 kilobytes a step for a
vocabulary of 50,000. Here a step keeps a number of 4 bytes, and each distinct mask, stored once, has a bit a token: 6
kilobytes. An environment's rules make two masks, early and late. The lagged masks of NLPO all differ.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from textgym.errors import ConfigError
from textgym_agents.buffers.rollout import EpisodeBatch, EpisodeRolloutBuffer, RolloutPolicy, Segment


def pack_masks(masks: Tensor) -> Tensor:
    """(n, vocabulary) bool to (n, words) int64, 64 tokens to a word.

    >>> pack_masks(torch.tensor([[True, False, True]])).tolist()
    [[5]]
    """
    bits = functional.pad(masks.to(torch.uint8), (0, -masks.shape[1] % 64)).view(len(masks), -1, 8)
    shifts = torch.arange(8, dtype=torch.uint8, device=masks.device)
    return (bits << shifts).sum(-1, dtype=torch.uint8).view(torch.int64)


def unpack_masks(words: Tensor, num_tokens: int) -> Tensor:
    """(n, words) int64 to (n, num_tokens) bool.

    >>> unpack_masks(torch.tensor([[5]]), 3).tolist()
    [[True, False, True]]
    """
    shifts = torch.arange(8, dtype=torch.uint8, device=words.device)
    bits = (words.contiguous().view(torch.uint8)[:, :, None] >> shifts) & 1
    return bits.bool().view(len(words), -1)[:, :num_tokens]


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
    """An ``EpisodeRolloutBuffer`` that also keeps action masks, bit-packed. Arguments as there."""

    policy: RolloutPolicy | None = None

    def bind(self, policy: RolloutPolicy) -> None:
        """As there; and take the masks from the policy where :meth:`add` isn't given any."""
        super().bind(policy)
        self.policy = policy

    def reset(self) -> None:
        super().reset()
        words = -(-int(self.action_space.n) // 64)  # type: ignore[attr-defined]
        self.masks = {np.full(words, -1, np.int64).tobytes(): 0}  # the number of each mask; 0: everything is legal
        self.mask_numbers = np.zeros((self.buffer_size, self.n_envs), dtype=np.int32)
        self._pending_masks: list[tuple[int, Tensor]] = []

    @property
    def nbytes_per_token(self) -> float:
        """Bytes held for each stored token: contexts, prompts and masks included."""
        return super().nbytes_per_token + (self.mask_numbers.nbytes + sum(map(len, self.masks))) / self.actions.size

    def add(self, *args: Any, action_masks: NDArray[Any] | None = None, **kwargs: Any) -> None:
        """Store one step of all rows, with masks (rows, vocabulary) where given."""
        if action_masks is not None:
            masks = torch.from_numpy(np.ascontiguousarray(action_masks, dtype=np.bool_)).view(self.n_envs, -1)
            self._pending_masks.append((self.pos, pack_masks(masks)))
        elif self.policy is not None and self.policy.sampled_masks is not None:
            self._pending_masks.append((self.pos, self.policy.sampled_masks))
        super().add(*args, **kwargs)

    def _fetch(self) -> None:
        super()._fetch()
        for step, words in self._pending_masks:
            for row, mask in enumerate(words.cpu().numpy()):
                self.mask_numbers[step, row] = self.masks.setdefault(mask.tobytes(), len(self.masks))
        self._pending_masks.clear()

    def _batch(self, segments: list[Segment]) -> EpisodeBatch:
        batch = super()._batch(segments)
        if len(self.masks) == 1:
            return batch
        used, numbers = np.unique(self.mask_numbers[self._index(segments)], return_inverse=True)
        known = list(self.masks)
        table = np.stack([np.frombuffer(known[number], np.int64) for number in used])
        return replace(batch, masks=torch.as_tensor(table[numbers], device=self.device))

    def get(self, batch_size: int | None = None) -> Iterator[Any]:  # type: ignore[override]
        """Minibatches of whole segments, as ``EpisodeRolloutBuffer.get``, with their masks."""
        for samples in super().get(batch_size):
            yield MaskedSamples(*samples, samples.observations.masks)  # type: ignore[attr-defined, arg-type]


def as_masks(masks: Any, num_tokens: int, device: torch.device) -> Tensor:
    """(n, words) from masks in any of the forms that sb3-contrib hands on: booleans, floats, or packed already.

    Raises:
        ConfigError: a wrong width, or a row in which no token is legal.
    """
    given = torch.as_tensor(masks, device=device)
    words = -(-num_tokens // 64)
    if not (given.dtype == torch.int64 and given.shape[-1] == words != num_tokens):
        if given.shape[-1] != num_tokens:
            raise ConfigError(
                f"action_masks has the shape {tuple(given.shape)}, expected (rows, {num_tokens}): one entry for each "
                "token of the vocabulary."
            )
        given = pack_masks(given.reshape(-1, num_tokens) != 0)
    empty = (given == 0).all(-1)
    if bool(empty.any()):
        raise ConfigError(
            f"action_masks allows no token in row {int(empty.nonzero()[0])}: at least one must be legal, the end token "
            "for instance."
        )
    return given
