"""Rewards made from others by comparing: the smallest, the largest, one held within bounds, one turned into a gate."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from textgym.core import Reward
from textgym.errors import ConfigError
from textgym.rewards.base import BatchReward
from textgym.rewards.combine import Composite
from textgym.rewards.functions import as_reward
from textgym.scoring import reward_name


class _Compared(Composite):
    """The smallest or the largest of rewards and numbers."""

    def __init__(self, *operands: "Reward | float") -> None:
        numbers = [float(operand) for operand in operands if isinstance(operand, Real)]
        self.rewards = tuple(as_reward(operand) for operand in operands if not isinstance(operand, int | float | Real))
        if not self.rewards or not all(map(math.isfinite, numbers)):
            raise ConfigError(f"{type(self).__name__} got {operands!r}, expected rewards, and numbers that are finite.")
        self.numbers = (self.choose(numbers),) if numbers else ()

    @staticmethod
    @abstractmethod
    def choose(values: Sequence[float], /) -> float:
        """The one of the values that counts."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The formula, in the names of its parts."""
        parts = [*map(reward_name, self.rewards), *(f"{number:.12g}" for number in self.numbers)]
        return f"{type(self).__name__.lower()}({', '.join(parts)})"

    def __repr__(self) -> str:
        parts = [*map(repr, self.rewards), *(f"{number:.12g}" for number in self.numbers)]
        return f"{type(self).__name__}({', '.join(parts)})"

    def parts(self) -> tuple[BatchReward, ...]:
        return self.rewards

    def value_of(self, values: Mapping[int, float | None], /) -> float | None:
        each = [value_below(reward, values) for reward in self.rewards]
        present = [value for value in each if value is not None]
        return self.choose([*present, *self.numbers]) if len(present) == len(each) else None


class Min(_Compared):
    """The smallest of rewards and numbers: a text is as good as it is in its worst respect.

    It abstains where one of the rewards does.

    >>> from textgym.core import Sample
    >>> from textgym.rewards import ExactMatch, KeywordCoverage
    >>> sample = Sample("", "A cat.", ("a cat",), metadata={"keywords": ["cat", "mat"]})
    >>> Min(ExactMatch(), KeywordCoverage())([sample])[0].value
    0.5
    """

    @staticmethod
    def choose(values: Sequence[float], /) -> float:
        return min(values)


class Max(_Compared):
    """The largest of rewards and numbers. It abstains where one of the rewards does.

    >>> from textgym.core import Sample
    >>> from textgym.rewards import ExactMatch, Length
    >>> Max(ExactMatch(), 0.25)([Sample("", "A dog.", ("a cat",))])[0].value
    0.25
    """

    @staticmethod
    def choose(values: Sequence[float], /) -> float:
        return max(values)


class _OfOne(Composite):
    """One reward, changed. The arguments are attributes, which the name and the repr show."""

    inner: BatchReward

    def settings(self) -> tuple[float, ...]:
        """The numbers that the formula has after the reward."""
        raise NotImplementedError

    @property
    def name(self) -> str:  # type: ignore[override]
        """The formula, in the name of its part."""
        return f"{type(self).__name__.lower()}({', '.join([reward_name(self.inner), *self._numbers()])})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(self.inner), *self._numbers()])})"

    def _numbers(self) -> list[str]:
        return [f"{number:.12g}" for number in self.settings()]

    def parts(self) -> tuple[BatchReward, ...]:
        return (self.inner,)


class Clip(_OfOne):
    """A reward held between two bounds.

    Raises:
        ConfigError: the bounds are no finite numbers, or ``low`` is above ``high``.

    >>> from textgym.rewards import Length
    >>> Clip(Length(), 0.2, 0.8)
    Clip(Length(), 0.2, 0.8)
    """

    def __init__(self, reward: Reward, low: float, high: float) -> None:
        self.inner = as_reward(reward)
        self.low, self.high = finite(low, "low"), finite(high, "high")
        if self.low > self.high:
            raise ConfigError(f"Clip got low={low!r} above high={high!r}.")

    def settings(self) -> tuple[float, ...]:
        return self.low, self.high

    def value_of(self, values: Mapping[int, float | None], /) -> float | None:
        value = value_below(self.inner, values)
        return None if value is None else min(max(value, self.low), self.high)


class Gate(_OfOne):
    """1 where a reward is at least ``at``, otherwise 0: a condition to multiply another reward by.

    Where the reward abstains, so does the gate, and with it the product.

    Raises:
        ConfigError: ``at`` is no finite number.

    >>> from textgym.core import Sample
    >>> from textgym.rewards import ExactMatch, NoRepeats
    >>> reward = ExactMatch() * Gate(NoRepeats(), 0.8)
    >>> [score.value for score in reward([Sample("", "a cat", ("a cat",)), Sample("", "so so", ("so so",))])]
    [1.0, 0.0]
    """

    def __init__(self, reward: Reward, at: float) -> None:
        self.inner, self.at = as_reward(reward), finite(at, "at")

    def settings(self) -> tuple[float, ...]:
        return (self.at,)

    def value_of(self, values: Mapping[int, float | None], /) -> float | None:
        value = value_below(self.inner, values)
        return None if value is None else float(value >= self.at)


def value_below(part: BatchReward, values: Mapping[int, float | None]) -> float | None:
    """The value of a part of a composite, from those of the leaves by their ``id``."""
    return part.value_of(values) if isinstance(part, Composite) else values[id(part)]


def finite(value: Any, name: str) -> float:
    """The number.

    Raises:
        ConfigError: it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(float(value)):
        raise ConfigError(f"{name}={value!r}: expected a finite number.")
    return float(value)
