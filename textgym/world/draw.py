"""Random draws as a pure function of (seed, split, index), and splits that can't overlap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np

from textgym.errors import ConfigError

T = TypeVar("T")

TRIES = 10_000  # draws for a text of a split

# Out of 100 buckets that a text's hash can fall into: where each split begins and ends.
SPLITS: dict[str, tuple[int, int]] = {"train": (0, 80), "validation": (80, 90), "test": (90, 100)}
_NUMBERS = {split: number for number, split in enumerate(SPLITS)}
_OF_BUCKET = tuple(split for split, (start, stop) in SPLITS.items() for _ in range(start, stop))
_WORD = 2**32 - 1  # the largest number of 32 bits


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the grammar renders: a source text, the targets that fit it, and what else is known about them."""

    source: str
    targets: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Draw:
    """Choices from a numpy Generator, whose numbers are fetched in blocks because one call costs more than 64 numbers.

    >>> draw = Draw.at(0, "train", 7)
    >>> draw.pick(["red", "green", "blue"]) == Draw.at(0, "train", 7).pick(["red", "green", "blue"])
    True
    """

    __slots__ = ("_asked", "_block", "_generator", "_split")

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._block: list[float] = []
        self._split: str | None = None  # that render wants a text of
        self._asked: tuple[str | None, bool] = (None, True)  # the last question to wants, and its answer

    @classmethod
    def at(cls, seed: int, split: str, index: int) -> "Draw":
        """The draws of the prompt number ``index`` of a split. Two different keys give independent draws."""
        key = _NUMBERS[split]
        if seed <= _WORD and index <= _WORD:  # the words that such a spawn key comes to, in half the time
            seeds = np.random.SeedSequence(np.array((seed, 0, 0, 0, key, index), dtype=np.uint32))
        else:
            seeds = np.random.SeedSequence(seed, spawn_key=(key, index))
        return cls(np.random.Generator(np.random.PCG64(seeds)))

    # A prompt takes dozens of numbers: each method takes its own from the block, since a call costs as much.

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return (self._block or self._more()).pop()

    def below(self, stop: int) -> int:
        """An integer from 0 to ``stop - 1``."""
        return int((self._block or self._more()).pop() * stop)

    def chance(self, probability: float) -> bool:
        return (self._block or self._more()).pop() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int((self._block or self._more()).pop() * len(options))]

    def picks(self, options: Sequence[T], count: int) -> list[T]:
        """``count`` of the options, each as :meth:`pick` draws it."""
        block, size = self._block, len(options)
        if count > len(block):
            return [self.pick(options) for _ in range(count)]
        numbers = block[: -count - 1 : -1]
        del block[len(block) - count :]
        return [options[int(number * size)] for number in numbers]

    def wants(self, source: str) -> bool:
        """False for a text that :func:`render` will draw again, whose targets a grammar needn't make."""
        if self._split is None:
            return True
        if source != self._asked[0]:
            self._asked = source, split_of(source) == self._split
        return self._asked[1]

    def _more(self) -> list[float]:
        self._block = self._generator.random(64).tolist()
        return self._block

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """``count`` different ones of the options, in random order."""
        pool = list(options)
        return [pool.pop(int((self._block or self._more()).pop() * len(pool))) for _ in range(count)]


def split_of(source: str) -> str:
    """The one split that a source text belongs to, whatever the seed: by its hash, so that splits can't overlap.

    >>> split_of("lamp river old")
    'train'
    """
    return _OF_BUCKET[int.from_bytes(blake2b(source.encode(), digest_size=8).digest(), "big") % 100]


def render(grammar: Callable[[Draw], Rendered], split: str, index: int, seed: int = 0) -> Rendered:
    """Text number ``index`` of a split: the first one drawn that belongs to the split.

    Raises:
        ConfigError: the grammar has so few texts that none belongs to the split.
    """
    draw = Draw.at(seed, split, index)
    draw._split = split
    for _ in range(TRIES):  # one draw in ten belongs to the rarest split
        rendered = grammar(draw)
        if draw.wants(rendered.source):
            return rendered
    raise ConfigError(
        f"None of {TRIES:,} texts of the grammar {getattr(grammar, '__qualname__', grammar)} belongs to the split "
        f"{split!r}: it writes too few different ones. The splits share no text, so each needs some of its own."
    )
