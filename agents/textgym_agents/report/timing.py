"""Entries that take turns, and what comes out of it: a ratio with its spread and its target."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch.utils.benchmark.utils.timer import timer  # a clock that waits for the accelerator, where there is one


@dataclass(frozen=True)
class Entry:
    """Something to be timed."""

    name: str
    run: Callable[[], float]  # does its work once and returns how much that was, in tokens or steps
    before: Callable[[], object] = lambda: None  # called before each turn and not timed


@dataclass(frozen=True)
class Series:
    """The turns of one entry, the first (to warm up) left out."""

    name: str
    work: tuple[float, ...]  # in tokens or steps
    seconds: tuple[float, ...]  # wall time
    cpu_seconds: tuple[float, ...] = ()  # of this process: without what others took on a busy machine

    @property
    def speeds(self) -> tuple[float, ...]:
        """Work for each second, turn by turn."""
        return tuple(work / seconds for work, seconds in zip(self.work, self.seconds, strict=True))


def take_turns(entries: Sequence[Entry], repeats: int) -> list[Series]:
    """Time all entries in turn, ``repeats`` times after one round to warm up.

    A busy moment of the machine hits all of them, and every other round runs in the opposite order.

    >>> slow, fast = take_turns([Entry("a", lambda: 1), Entry("b", lambda: 10**6)], 3)
    >>> len(slow.speeds), slow.work
    (3, (1.0, 1.0, 1.0))
    """
    turns: dict[int, list[tuple[float, float, float]]] = {i: [] for i in range(len(entries))}
    for turn in range(repeats + 1):
        for i in turns if turn % 2 else reversed(turns):
            entries[i].before()
            started, cpu = timer(), time.process_time()
            work = entries[i].run()
            turns[i].append((float(work), timer() - started, time.process_time() - cpu))
    return [Series(one.name, *zip(*turns[i][1:], strict=True)) for i, one in enumerate(entries)]


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    row: str  # the name under which ``--only`` selects it
    what: str  # was measured
    value: float | None  # what the target is about, mostly the median ratio of the repeats; None: see the note
    repeats: tuple[float, ...]  # the same of each repeat alone
    unit: str = ""  # of ``ours`` and ``usual``; empty: they are not shown
    ours: float | None = None  # median speeds, or whatever the unit says
    usual: float | None = None
    usual_name: str = ""
    target: float | None = None  # what the value should reach, from below or above; None: there is no target
    better: Literal["higher", "lower"] = "higher"
    shown: Literal["ratio", "share", "number"] = "ratio"  # how the value is written; a share in per cent
    note: str = ""  # for the reader
    setting: dict[str, Any] = field(default_factory=dict)  # model, episodes at once, tokens and so on
    series: tuple[Series, ...] = ()  # all raw numbers

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a value."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper quartile of the repeats.

        >>> Result("update", "x", 2.0, (1.0, 2.0, 3.0, 4.0)).quartiles
        (1.75, 3.25)
        """
        low, high = np.percentile(self.repeats, [25, 75])
        return float(low), float(high)


def compare(ours: Series, usual: Series, **about: Any) -> Result:
    """How many times faster ``ours`` is: the median of the ratios of turns that followed each other.

    On a machine that others use too, such a pair has met the same load; the medians of all turns may not have.

    >>> ours, usual = Series("a", (10, 10, 10), (1, 2, 4)), Series("b", (10, 10, 10), (2, 4, 8))
    >>> result = compare(ours, usual, row="update", what="x", target=1.5)
    >>> result.value, result.repeats, result.met
    (2.0, (2.0, 2.0, 2.0), True)
    """
    repeats = tuple(a / b for a, b in zip(ours.speeds, usual.speeds, strict=True))
    medians = {"ours": float(np.median(ours.speeds)), "usual": float(np.median(usual.speeds))}
    named: dict[str, Any] = {"unit": "tokens/s", "usual_name": usual.name, "series": (ours, usual), **medians}
    return Result(value=float(np.median(repeats)), repeats=repeats, **{**named, **about})
