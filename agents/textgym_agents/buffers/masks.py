"""Masks of legal tokens, one bit a token, and a table that keeps each distinct mask once."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from textgym.errors import ConfigError


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


class MaskTable:
    """Each distinct mask once, by a number. Number 0: every token is legal.

    An environment's rules make two masks, early and late; those of top-p all differ.

    >>> table = MaskTable(3)
    >>> table.numbers(np.array([[5], [-1], [5]])).tolist(), len(table)
    ([1, 0, 1], 2)
    """

    def __init__(self, num_tokens: int) -> None:
        self.num_tokens, self.words = num_tokens, -(-num_tokens // 64)
        self._numbers = {np.full(self.words, -1, np.int64).tobytes(): 0}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def nbytes(self) -> int:
        """Of all masks."""
        return sum(map(len, self._numbers))

    def numbers(self, masks: NDArray[np.int64]) -> NDArray[np.int32]:
        """(n,) the numbers of masks (n, words); new ones are added."""
        known = self._numbers
        return np.array([known.setdefault(mask.tobytes(), len(known)) for mask in masks], dtype=np.int32)

    def masks(self, numbers: NDArray[np.int32]) -> NDArray[np.int64] | None:
        """(n, words) the masks with these numbers; None where no token was ever masked."""
        if len(self) == 1:
            return None
        used, index = np.unique(numbers, return_inverse=True)
        known = list(self._numbers)
        table: NDArray[np.int64] = np.stack([np.frombuffer(known[number], np.int64) for number in used])
        return table[index]

    @classmethod
    def of(cls, masks: NDArray[np.int64]) -> "MaskTable":
        """The table that :meth:`all` was taken from."""
        table = cls(64 * masks.shape[1])
        table.numbers(masks)
        return table

    def copy(self) -> "MaskTable":
        """Another table, with the same masks under the same numbers."""
        table = MaskTable(self.num_tokens)
        table._numbers = dict(self._numbers)
        return table

    def all(self) -> NDArray[np.int64]:
        """(masks, words) in order of their numbers."""
        return np.frombuffer(bytearray().join(self._numbers), np.int64).reshape(-1, self.words)

    def only(self, used: Iterable[NDArray[np.int32]]) -> None:
        """Forget all masks but those with the given numbers, arrays in which the new numbers take their place."""
        masks, first = list(self._numbers), next(iter(self._numbers))
        self._numbers = {first: 0}
        for numbers in used:
            numbers[:] = [self._numbers.setdefault(masks[number], len(self._numbers)) for number in numbers]
