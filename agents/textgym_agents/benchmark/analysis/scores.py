"""The score of every run, and of resamples of its seeds and prompts.

A score means the same on every task, so that it can be averaged over them. There are three, for a whole benchmark:

- "probe": the task's own, between chance (0) and the optimum (1). Resamples draw seeds only: a run has one score.
- "headroom": (reward - baseline) / (ceiling - baseline). The baseline is the best that decoding alone gets from the
  initial model (over temperatures, top-p and greedy), the ceiling its best of n samples with the largest n. Above 0, an
  algorithm has learnt what no decoder gives.
- "gain": reward less the initial model's, where a benchmark has no such runs.

Prompts are drawn once a task, for all algorithms, the baseline and the ceiling: differences are paired. Seeds are
drawn for each algorithm by itself, since two trainings have nothing in common; each task keeps its number of seeds, so
the bootstrap is stratified. Draws depend on the seed and on names only.

| Symbol | Shape | Meaning |
|---|---|---|
| `rewards` | (seeds, prompts) | of held-out prompts |
| `point` | (seeds,) | score of each run |
| `drawn` | (resamples, seeds) | the same for resampled seeds and prompts |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textgym.errors import ConfigError
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.analysis.measures import RESAMPLES, Floats, estimate, generator
from textgym_agents.benchmark.composites import short_task
from textgym_agents.report.numbers import Estimate

Kind = Literal["probe", "headroom", "gain"]
ROOM = 1e-6  # less than this between baseline and ceiling is none


@dataclass(frozen=True)
class Cell:
    """All seeds of one algorithm on one task, with one way to decode."""

    rewards: Floats
    point: Floats
    drawn: Floats
    drawn_rewards: Floats  # (resamples, seeds)
    unit: float | None = 1.0  # how much score one unit of reward is; None: that depends on the reward

    @property
    def score(self) -> Estimate:
        """Mean over seeds."""
        return estimate(self.point.mean(), self.drawn.mean(1))

    @property
    def reward(self) -> Estimate:
        """Mean over seeds and prompts."""
        return estimate(self.rewards.mean(), self.drawn_rewards.mean(1))


@dataclass(frozen=True)
class Headroom:
    """What decoding alone gets on a task, and what is left above it.

    Attributes:
        initial: the initial model, sampled.
        baseline, baseline_name: the best decode-only reward, and which runs gave it; None: there are none.
        ceiling, ceiling_name: the best of n with the largest n; None: there is none.
        room: ceiling less baseline.
    """

    initial: Estimate
    baseline: Estimate | None = None
    baseline_name: str | None = None
    ceiling: Estimate | None = None
    ceiling_name: str | None = None
    room: Estimate | None = None


@dataclass(frozen=True)
class Scores:
    """The scores of a benchmark: by task, algorithm and way to decode."""

    kind: Kind
    tasks: list[str]
    algos: list[str]
    cells: dict[tuple[str, str, str], Cell]
    headroom: dict[str, Headroom] = field(default_factory=dict)

    def cell(self, task: str, algo: str, side: str = "sampled") -> Cell | None:
        """None: there are no such runs."""
        return self.cells.get((task, algo, side))

    def complete(self, side: str = "sampled") -> list[str]:
        """The algorithms that have runs on every task."""
        return [algo for algo in self.algos if all((task, algo, side) in self.cells for task in self.tasks)]

    def drawn(self, algo: str, side: str = "sampled") -> Floats:
        """(resamples, tasks, seeds); a task with fewer seeds repeats its own in turn."""
        return _stack([self.cells[task, algo, side].drawn for task in self.tasks])

    def point(self, algo: str, side: str = "sampled") -> Floats:
        """(tasks, seeds)."""
        return _stack([self.cells[task, algo, side].point for task in self.tasks])


def _stack(values: list[Floats]) -> Floats:
    seeds = int(np.lcm.reduce([one.shape[-1] for one in values]))
    return np.stack([np.tile(one, seeds // one.shape[-1]) for one in values], axis=-2)


def score(runs: Runs, *, resamples: int = RESAMPLES, seed: int = 0) -> Scores:
    """The scores of finished runs.

    Args:
        runs: lines of ``results.jsonl``.
        resamples, seed: of the bootstrap.

    Raises:
        ConfigError: runs of one task were evaluated on different numbers of prompts.
    """
    runs = lines.finished(runs)
    tasks, algos = lines.tasks_of(runs), lines.algos_of(runs)
    by_task = {task: lines.select(runs, task=task) for task in tasks}
    kind = _kind(by_task)
    cells: dict[tuple[str, str, str], Cell] = {}
    headroom = {}
    for task, mine in by_task.items():
        drawn = _Task(task, mine, resamples, seed)
        headroom[task] = drawn.headroom()
        for algo in lines.algos_of(mine):
            for side in lines.SIDES:
                cell = drawn.cell(algo, side, kind)
                if cell is not None:
                    cells[task, algo, side] = cell
    return Scores(kind, tasks, algos, cells, headroom)


def _kind(by_task: Mapping[str, Runs]) -> Kind:
    if by_task and all(run.get("score") is not None for mine in by_task.values() for run in mine):
        return "probe"
    named = {task: lines.algos_of(mine) for task, mine in by_task.items()}
    able = (
        any(map(lines.is_decoding, algos)) and any((lines.samples_of(algo) or 1) > 1 for algo in algos)
        for algos in named.values()
    )
    return "headroom" if by_task and all(able) else "gain"


class _Task:
    """One task: the draws of its prompts, and what its baselines are."""

    def __init__(self, task: str, runs: Runs, resamples: int, seed: int) -> None:
        self.task, self.runs, self.resamples, self.seed = task, runs, resamples, seed
        sizes = {len(found) for run in runs if (found := lines.rewards(run, "sampled")) is not None}
        if len(sizes) > 1:
            raise ConfigError(
                f"The runs of {short_task(task)} were evaluated on {sorted(sizes)} prompts, expected the same "
                "number. Results of different benchmarks are in one file."
            )
        prompts = sizes.pop() if sizes else 0
        picked = generator(seed, task).integers(prompts, size=(resamples, prompts)) if prompts else None
        self.weights = np.zeros((resamples, prompts))  # how often a resample has each prompt, as a share
        if picked is not None:
            np.add.at(self.weights, (np.arange(resamples)[:, None], picked), 1 / prompts)
        self.baseline: tuple[float, Floats] | None = None
        self.ceiling: tuple[float, Floats] | None = None

    def seeds(self, algo: str, count: int) -> NDArray[np.int64]:
        """(resamples, seeds)."""
        rng = generator(self.seed, f"{algo} {self.task}")
        return rng.integers(count, size=(self.resamples, count))

    def rewards(self, algo: str, side: str) -> Floats | None:
        """(seeds, prompts); None unless all seeds have such an evaluation."""
        found = [lines.rewards(run, side) for run in self.runs if run["algo"] == algo]
        values = [one for one in found if one is not None]
        return np.stack(values) if values and len(values) == len(found) else None

    def drawn(self, algo: str, rewards: Floats) -> Floats:
        """(resamples, seeds): the mean rewards of resampled prompts, of resampled seeds."""
        return np.take_along_axis(self.weights @ rewards.T, self.seeds(algo, len(rewards)), axis=1)

    def headroom(self) -> Headroom:
        """What decoding alone gets. Remembers baseline and ceiling for the scores."""
        known = {algo: self.rewards(algo, "sampled") for algo in lines.algos_of(self.runs)}
        rewards = {algo: values for algo, values in known.items() if values is not None}
        before = [one for run in self.runs if (one := lines.rewards(run, "before")) is not None]
        start = np.mean(before, axis=0) if before else np.full(self.weights.shape[1], np.nan)
        initial = estimate(start.mean(), self.weights @ start)
        plain = [algo for algo in rewards if lines.is_decoding(algo)]
        picked = [algo for algo in rewards if (lines.samples_of(algo) or 1) > 1]
        if not plain or not picked:
            return Headroom(initial)
        best = max(plain, key=lambda algo: float(rewards[algo].mean()))
        most = max(picked, key=lambda algo: lines.samples_of(algo) or 1)
        (low, drawn_low), (high, drawn_high) = (
            (float(rewards[algo].mean()), self.drawn(algo, rewards[algo]).mean(1)) for algo in (best, most)
        )
        self.baseline, self.ceiling = (low, drawn_low), (high, drawn_high)
        return Headroom(
            initial=initial,
            baseline=estimate(low, drawn_low),
            baseline_name=best,
            ceiling=estimate(high, drawn_high),
            ceiling_name=most,
            room=estimate(high - low, drawn_high - drawn_low),
        )

    def cell(self, algo: str, side: str, kind: Kind) -> Cell | None:
        rewards = self.rewards(algo, side)
        if rewards is None:
            return None
        drawn_rewards = self.drawn(algo, rewards)
        mine = [run for run in self.runs if run["algo"] == algo]
        if kind == "probe":
            name = {"sampled": "score", "greedy": "score_greedy"}.get(side)
            if name is None or any(run.get(name) is None for run in mine):
                return None
            point = np.array([run[name] for run in mine], dtype=np.float64)
            return Cell(rewards, point, point[self.seeds(algo, len(point))], drawn_rewards, unit=None)
        if kind == "headroom" and self.baseline is not None and self.ceiling is not None:
            (low, drawn_low), (high, drawn_high) = self.baseline, self.ceiling
            room = high - low if abs(high - low) > ROOM else 1.0
            drawn_room = np.where(np.abs(drawn_high - drawn_low) > ROOM, drawn_high - drawn_low, 1.0)
            return Cell(
                rewards,
                (rewards.mean(1) - low) / room,
                (drawn_rewards - drawn_low[:, None]) / drawn_room[:, None],
                drawn_rewards,
                unit=1 / room,
            )
        before = self.rewards(algo, "before")
        start = np.zeros_like(rewards) if before is None else before
        return Cell(rewards, (rewards - start).mean(1), self.drawn(algo, rewards - start), drawn_rewards)
