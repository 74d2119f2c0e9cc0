"""Episodes as a replay buffer keeps them, and states of several of them as a Q network takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.buffers.steps import TokenIds
from textgym_agents.models.packing import Insertion, TokenSequence

CANDIDATES = "candidates"  # the key of observations


@dataclass(frozen=True, slots=True)
class CandidateBatch(EpisodeBatch):
    """States of whole episodes, with the tokens that could be chosen there.

    Attributes:
        candidates: (states, k) token ids.
        take: (n,) which state each row of the result is about; -1 for none, whose Q values are 0. None: all, in order.
        returns: (k,) of the episodes that the buffer holds, from which value heads take their scale when they begin.
    """

    candidates: Tensor | None = None
    take: Tensor | None = None
    returns: NDArray[np.float64] | None = None


class StoredEpisode(NamedTuple):
    """An episode of ``n`` tokens that has ended.

    Attributes:
        context: the tokens before the first one that was chosen.
        prompt: what the encoder reads; None for a decoder-only model.
        candidates: (n, k), or (n + 1, k) for an episode that was truncated, whose last state has a value.
        actions: (n,) which candidate was chosen.
        rewards: (n,).
        inserted: what a partner wrote between them.
    """

    context: TokenIds
    prompt: TokenIds | None
    candidates: TokenIds
    actions: NDArray[np.integer]
    rewards: NDArray[np.float32]
    inserted: tuple[Insertion, ...] = ()

    @property
    def tokens(self) -> TokenIds:
        """(n,) the tokens that were chosen."""
        chosen: TokenIds = self.candidates[np.arange(len(self.actions)), self.actions]
        return chosen

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        arrays = [*_parts(self), *(one.tokens for one in self.inserted)]
        return sum(array.nbytes for array in arrays if array is not None)

    def states(self, start: int, stop: int) -> TokenSequence:
        """The states before the tokens ``[start, stop)``, and what a partner wrote before each.

        Nothing depends on the last of its actions: behind the last token there may be a state, too.
        """
        tokens = self.tokens
        actions = np.concatenate([tokens, tokens[-1:]])
        written, before = TokenSequence(self.context, actions, inserted=self.inserted).after_context()
        context = np.concatenate([self.context, written[: before[start]]])
        inside = (Insertion(one.after - start, one.tokens) for one in self.inserted if start < one.after < stop)
        return TokenSequence(context, actions[start:stop], self.prompt, tuple(inside))


@dataclass(slots=True)
class OpenEpisode:
    """An episode that a row is in."""

    context: TokenIds
    prompt: TokenIds | None
    candidates: list[NDArray[Any]] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    inserted: list[Insertion] = field(default_factory=list)

    def ended(self, action_dtype: np.dtype[Any]) -> StoredEpisode:
        """As it is stored, with actions of this type."""
        return StoredEpisode(
            self.context,
            self.prompt,
            np.stack(self.candidates).astype(np.int32),
            np.array(self.actions, dtype=action_dtype),
            np.array(self.rewards, dtype=np.float32),
            tuple(self.inserted),
        )


PARTS = ("context", "prompt", "candidates", "actions", "rewards")


class Span(NamedTuple):
    """Tokens ``[start, stop)`` of an episode."""

    episode: StoredEpisode
    start: int
    stop: int


def pack_episodes(episodes: Sequence[StoredEpisode | OpenEpisode]) -> dict[str, NDArray[Any]]:
    """Episodes as eight arrays, however many there are: each part's values one after another, and their lengths.

    ``lengths`` is (episodes, parts), -1 where there is no such part, as of prompts where there is no encoder.
    ``insertions`` is (k, 3), of each the number of its episode, of the tokens that were chosen before it, and of its
    own, which are in ``inserted``.
    """
    lengths = [[-1 if part is None else len(part) for part in _parts(one)] for one in episodes]
    packed = {"lengths": np.array(lengths, dtype=np.int64).reshape(-1, len(PARTS))}
    for name, parts in zip(PARTS, zip(*map(_parts, episodes), strict=True) if episodes else [()] * 5, strict=True):
        arrays = [np.asarray(part) for part in parts if part is not None and len(part)]
        # The rewards of an open episode are Python's floats.
        wide = np.float64 if name == "rewards" else np.int64
        packed[name] = np.concatenate(arrays).astype(wide) if arrays else np.empty(0, wide)
    all_inserted = [(number, one) for number, episode in enumerate(episodes) for one in episode.inserted]
    where = [(number, one.after, len(one.tokens)) for number, one in all_inserted]
    packed["insertions"] = np.array(where, dtype=np.int64).reshape(-1, 3)
    packed["inserted"] = np.concatenate([np.empty(0, np.int64), *(one.tokens for _, one in all_inserted)])
    return packed


def unpack_episodes(packed: Mapping[str, NDArray[Any]]) -> list[OpenEpisode]:
    """What :func:`pack_episodes` packed, all of them as if they were still open."""
    at = dict.fromkeys(PARTS, 0)
    episodes = []
    for lengths in packed["lengths"].tolist():
        parts: dict[str, Any] = {}
        for name, length in zip(PARTS, lengths, strict=True):
            parts[name] = None if length < 0 else packed[name][at[name] : at[name] + length]
            at[name] += max(length, 0)
        context, prompt, candidates, actions, rewards = parts.values()
        prompt = None if prompt is None else prompt.astype(np.int32)
        chosen = list(candidates), actions.tolist(), rewards.tolist()
        episodes.append(OpenEpisode(context.astype(np.int32), prompt, *chosen))
    first = 0
    for number, after, length in packed.get("insertions", np.empty((0, 3), np.int64)).tolist():
        tokens = packed["inserted"][first : first + length].astype(np.int32)
        episodes[number].inserted.append(Insertion(after, tokens))
        first += length
    return episodes


def _parts(episode: StoredEpisode | OpenEpisode) -> list[Any]:
    return [getattr(episode, name) for name in PARTS]
