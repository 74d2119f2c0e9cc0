"""Numbers that follow how many tokens were seen: for the callback ``Schedules``, or a ``ScheduledKL``."""

import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from textgym.errors import ConfigError, did_you_mean

Schedule = Callable[[int], float]


class _Warmed(ABC):
    """What the schedules share: a rise from 0 over ``warmup`` tokens, then a shape of their own."""

    warmup: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"{name} is {value!r}, expected a finite number.")
        tokens = getattr(self, "tokens", math.inf)
        for name in ("tokens", "warmup"):
            if not isinstance(getattr(self, name, 0), int | np.integer):
                raise ConfigError(f"{name} is {getattr(self, name)!r}, expected an integer.")
        if not 0 <= self.warmup < tokens:
            within = f"at least 0 and less than the {tokens} tokens of the whole" if tokens < math.inf else "at least 0"
            raise ConfigError(f"warmup is {self.warmup}, expected {within}.")

    def __call__(self, tokens: int) -> float:
        """The value after so many tokens.

        Raises:
            ConfigError: what was given isn't a number of tokens, because SB3 got this schedule and passed its progress.
        """
        if not isinstance(tokens, int | np.integer):
            raise ConfigError(
                f"{self} got {tokens!r}, expected a number of tokens. SB3's arguments take schedules of progress: pass "
                "this one by the callback Schedules instead, Schedules(learning_rate=...) for instance."
            )
        if tokens < self.warmup:
            return self._after(0.0) * int(tokens) / self.warmup
        whole = getattr(self, "tokens", None)
        return self._after(min(1.0, (int(tokens) - self.warmup) / (whole - self.warmup)) if whole else 0.0)

    @abstractmethod
    def _after(self, share: float) -> float:
        """The value after this share of the tokens that follow the warmup."""


@dataclass(frozen=True)
class Constant(_Warmed):
    """``value`` throughout, after a warmup.

    >>> rate = Constant(4e-3, warmup=1000)
    >>> rate(0), rate(500), rate(50_000)
    (0.0, 0.002, 0.004)
    """

    value: float
    warmup: int = 0

    def _after(self, share: float) -> float:
        return float(self.value)


@dataclass(frozen=True)
class Linear(_Warmed):
    """From ``start`` to ``end`` in a straight line, reached after ``tokens`` (warmup included) and kept.

    >>> rate = Linear(4e-3, 0, 50_000)
    >>> rate(0), rate(25_000), rate(60_000)
    (0.004, 0.002, 0.0)
    """

    start: float
    end: float
    tokens: int
    warmup: int = 0

    def _after(self, share: float) -> float:
        return self.start + (self.end - self.start) * share


@dataclass(frozen=True)
class Cosine(_Warmed):
    """From ``start`` to ``end`` along half a cosine, reached after ``tokens`` (warmup included) and kept.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), equation 5, without restarts,
    https://arxiv.org/abs/1608.03983.

    >>> rate = Cosine(4e-3, 0, 50_000, warmup=2_000)
    >>> rate(1_000), round(rate(26_000), 12), rate(50_000)
    (0.002, 0.002, 0.0)
    """

    start: float
    end: float
    tokens: int
    warmup: int = 0

    def _after(self, share: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {"constant": Constant, "linear": Linear, "cosine": Cosine}
CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)


def parse_schedule(text: str) -> Schedule:
    """A schedule from its written form: ``name(numbers)``, the last ones by name if you like, or a plain number.

    Raises:
        ConfigError: no such schedule, or its arguments make no sense.

    >>> parse_schedule("linear(4e-3, 0, 50_000)")
    Linear(start=0.004, end=0, tokens=50000, warmup=0)
    >>> parse_schedule("cosine(4e-3, 0, 50000, warmup=2000)")
    Cosine(start=0.004, end=0, tokens=50000, warmup=2000)
    >>> parse_schedule("0.01")
    Constant(value=0.01, warmup=0)
    """
    call = CALL.fullmatch(text)
    if call is None:
        return Constant(_number(text, text))
    name, inner = call.groups()
    if name.lower() not in SCHEDULES:
        raise ConfigError(f"No schedule is called {name!r}. {did_you_mean(name.lower(), SCHEDULES)}")
    build = SCHEDULES[name.lower()]
    positional: list[float] = []
    named: dict[str, float] = {}
    for part in inner.split(",") if inner.strip() else ():
        key, equals, value = part.partition("=")
        if not equals and named:
            raise ConfigError(f"{part.strip()!r} follows an argument with a name in {text!r}: put it before.")
        if equals:
            named[key.strip()] = _number(value, text)
        else:
            positional.append(_number(part, text))
    signature = inspect.signature(build)
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        raise ConfigError(f"{text!r} doesn't fit {name.lower()}{signature}: {error}.") from None
    return build(*positional, **named)


def _number(text: str, whole: str) -> float:
    """An int where it is written as one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    forms = "a number, linear(start, end, tokens), cosine(start, end, tokens) or constant(value), each with warmup=..."
    raise ConfigError(f"{text.strip()!r} in {whole!r} is no number. A schedule is {forms}.")
