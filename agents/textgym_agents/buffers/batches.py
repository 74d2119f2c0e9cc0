"""What a rollout buffer hands to policies and asks of them: batches of completions, and where these are stored."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from textgym_agents.buffers.steps import TokenIds, tokens_of_turn
from textgym_agents.models.packing import Insertion, TokenSequence


@dataclass(frozen=True, slots=True)
class EpisodeBatch:
    """What ``evaluate_actions`` gets instead of one observation per step.

    Attributes:
        sequences: pieces of episodes; their actions, one piece after another, are the flat tensors beside this one.
        num_generated: (actions,) how many tokens of its turn came before the action, or -1 where not known; without a
            partner a completion is one turn.
        masks: (actions, words) the tokens that were legal, 64 to a word, where some were not.
        first, every: only the actions ``first``, ``first + every``, ... of the sequences are meant.
        idle: there is nothing to learn from it, and a policy gives it no gradient.
        stored: whether the rollout stored what it chose among, with top-k and top-p, as ``masks``; None of them: all
            tokens. None: the batch is of no rollout.
    """

    sequences: list[TokenSequence]
    num_generated: Tensor
    masks: Tensor | None = None
    first: int = 0
    every: int = 1
    idle: bool = False
    stored: bool | None = None

    def __getitem__(self, key: slice) -> "EpisodeBatch":
        """``batch[::n]``, every n-th action, as TRPO takes them to save work."""
        masks = None if self.masks is None else self.masks[key]
        return replace(self, num_generated=self.num_generated[key], masks=masks, every=self.every * (key.step or 1))


class ReferencePolicy(Protocol):
    """What the buffer asks for log-probabilities of the reference model."""

    def reference_log_probs(self, batch: EpisodeBatch, actions: Tensor) -> Tensor:
        """(actions,) log-probabilities under the reference model."""


class RolloutPolicy(ReferencePolicy, Protocol):
    """A policy whose rollouts a buffer stores; ``LanguageModelPolicy`` is one."""

    sampled_masks: Tensor | None
    """(rows, words) the tokens that were left at the last step, of a policy that leaves some out."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a completion, or a piece of one, is in the flat arrays: tokens ``[start, stop)``.

    Attributes:
        context, prompt, num_generated, carried, inserted: as of a
            :class:`~textgym_agents.buffers.steps.Piece`.
    """

    start: int
    stop: int
    context: TokenIds
    prompt: TokenIds | None
    num_generated: int = 0
    carried: int = 0
    inserted: tuple[Insertion, ...] = ()

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def tokens_of_turn(self) -> NDArray[np.int64]:
        """(tokens,) how many tokens of its turn came before each, see ``EpisodeBatch.num_generated``."""
        return tokens_of_turn(self.num_generated, len(self), self.inserted)


def runs(segments: list[Segment], max_tokens: int) -> Iterator[list[Segment]]:
    """Cut into runs of at most ``max_tokens`` actions; a longer segment is a run of its own.

    A last run of less than a quarter is added to the one before: a tiny minibatch has a wild gradient.
    """
    cut: list[list[Segment]] = [[]]
    size = 0
    for segment in segments:
        if cut[-1] and size + len(segment) > max_tokens:
            cut.append([])
            size = 0
        cut[-1].append(segment)
        size += len(segment)
    if len(cut) > 1 and size < max_tokens / 4:
        cut[-2].extend(cut.pop())
    yield from cut
