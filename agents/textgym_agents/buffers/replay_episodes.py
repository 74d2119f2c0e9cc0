"""Texts as a replay buffer keeps them, and states of several of them as a Q network takes them."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from textgym_agents.buffers.rollout import EpisodeBatch

CANDIDATES = "candidates"  # the key of observations
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CandidateBatch(EpisodeBatch):
    """States of whole texts, with the tokens that could be chosen there.

    Attributes:
        candidates: (states, k) token ids.
        take: (n,) which state each row of the result is about; -1 for none, whose Q values are 0. None: all, in order.
    """

    candidates: Tensor | None = None
    take: Tensor | None = None


class FinishedText(NamedTuple):
    """A text of ``n`` tokens.

    Attributes:
        context: the tokens before the first one that was chosen.
        prompt: what the encoder reads; None for a decoder-only model.
        candidates: (n, k), or (n + 1, k) for a text that was cut off, whose last state has a value.
        actions: (n,) which candidate was chosen.
        rewards: (n,).
    """

    context: Ints
    prompt: Ints | None
    candidates: Ints
    actions: NDArray[np.integer]
    rewards: NDArray[np.float32]

    @property
    def tokens(self) -> Ints:
        """(n,) the tokens that were chosen."""
        chosen: Ints = self.candidates[np.arange(len(self.actions)), self.actions]
        return chosen

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in self if array is not None)


@dataclass(slots=True)
class OpenText:
    """A text that a row is writing."""

    context: Ints
    prompt: Ints | None
    candidates: list[NDArray[Any]] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


class Piece(NamedTuple):
    """Tokens ``[start, stop)`` of a text."""

    text: FinishedText
    start: int
    stop: int
