"""Contestants that take turns, and what comes out of it: a ratio with its spread and its target."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

Progress = Callable[[int, int], None]  # told the number of turns done, and of all


def nobody(done: int, of: int) -> None:
    """A listener to whom progress means nothing."""


@dataclass(frozen=True)
class Contestant:
    """Something to be timed.

    Attributes:
        name: what it is called in the table.
        run: does its work once and returns how much that was, in tokens or steps.
        before: is called before each turn and not timed.
    """

    name: str
    run: Callable[[], float]
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Series:
    """The turns of one contestant, the first (to warm up) left out.

    Attributes:
        name: of the contestant.
        work: of each turn, in tokens or steps.
        seconds: of each turn, by the clock.
        cpu_seconds: of each turn, of this process alone: without what other processes took on a busy machine.
    """

    name: str
    work: tuple[float, ...]
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...] = ()

    @property
    def speeds(self) -> tuple[float, ...]:
        """Work for each second, turn by turn."""
        return tuple(work / seconds for work, seconds in zip(self.work, self.seconds, strict=True))


def take_turns(
    contestants: Sequence[Contestant], repeats: int, progress: Progress = nobody, device: str = "cpu"
) -> list[Series]:
    """Time all contestants in turn, ``repeats`` times after one round to warm up.

    A busy moment of the machine hits all of them, and every other round runs in the opposite order.

    >>> slow, fast = take_turns([Contestant("a", lambda: 1), Contestant("b", lambda: 10**6)], 3)
    >>> len(slow.speeds), slow.work
    (3, (1.0, 1.0, 1.0))
    """
    found: list[list[tuple[float, float, float]]] = [[] for _ in contestants]
    done, of = 0, (repeats + 1) * len(contestants)
    for turn in range(repeats + 1):
        order = range(len(contestants))
        for i in order if turn % 2 else reversed(order):
            contestants[i].before()
            synchronize(device)
            started, cpu = time.perf_counter(), time.process_time()
            work = contestants[i].run()
            synchronize(device)
            if turn:
                found[i].append((float(work), time.perf_counter() - started, time.process_time() - cpu))
            done += 1
            progress(done, of)
    return [Series(one.name, *zip(*rows, strict=True)) for one, rows in zip(contestants, found, strict=True)]


def synchronize(device: str) -> None:
    """Wait until an accelerator has done what was asked of it; a clock would stop too early otherwise."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        row: the name under which ``--only`` selects it.
        what: was measured.
        value: what the target is about, mostly the median ratio of the repeats. None: see the note.
        repeats: the same of each repeat alone.
        unit: of ``ours`` and ``usual``; empty: they are not shown.
        ours, usual: median speeds, or whatever the unit says.
        usual_name: what ``usual`` is.
        target: what the value should reach, and whether from below or above. None: there is no target.
        better: "higher" or "lower".
        shown: how the value is written: "ratio", "share" (per cent) or "number".
        note: what the reader must know.
        setting: model, texts at once, tokens and so on.
        series: all raw numbers.
    """

    row: str
    what: str
    value: float | None
    repeats: tuple[float, ...]
    unit: str = ""
    ours: float | None = None
    usual: float | None = None
    usual_name: str = ""
    target: float | None = None
    better: Literal["higher", "lower"] = "higher"
    shown: Literal["ratio", "share", "number"] = "ratio"
    note: str = ""
    setting: dict[str, Any] = field(default_factory=dict)
    series: tuple[Series, ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a value."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    @property
    def middle(self) -> tuple[float, float, float]:
        """Median and quartiles of the repeats.

        >>> Result("update", "x", 2.0, (1.0, 2.0, 3.0, 4.0)).middle
        (2.5, 1.75, 3.25)
        """
        low, median, high = np.percentile(self.repeats, [25, 50, 75])
        return float(median), float(low), float(high)


def compare(ours: Series, usual: Series, **about: Any) -> Result:
    """How many times faster ``ours`` is: the median of the ratios of turns that followed each other.

    On a machine that others use too, such a pair has met the same weather; the medians of all turns may not have.

    >>> ours, usual = Series("a", (10, 10, 10), (1, 2, 4)), Series("b", (10, 10, 10), (2, 4, 8))
    >>> result = compare(ours, usual, row="update", what="x", target=1.5)
    >>> result.value, result.repeats, result.met
    (2.0, (2.0, 2.0, 2.0), True)
    """
    our_speed, usual_speed = float(np.median(ours.speeds)), float(np.median(usual.speeds))
    repeats = tuple(a / b for a, b in zip(ours.speeds, usual.speeds, strict=True))
    return Result(
        value=float(np.median(repeats)),
        repeats=repeats,
        ours=our_speed,
        usual=usual_speed,
        usual_name=usual.name,
        series=(ours, usual),
        **{"unit": "tokens/s", **about},
    )
