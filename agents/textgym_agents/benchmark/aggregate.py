"""From finished runs to estimates with intervals: before, after and difference, over seeds and prompts.

Every run of a cell (algorithm, task) is evaluated on the same held-out prompts, before and after training. The interval
is a bootstrap of both: seeds are drawn with replacement, and so are prompts, the same prompts for all seeds and for
before and after (the difference is paired). Over tasks it is stratified: every task keeps its number of seeds. The mean
and the interquartile mean (IQM) over seeds follow Agarwal et al., "Deep Reinforcement Learning at the Edge of the
Statistical Precipice" (2021), https://arxiv.org/abs/2108.13264. Below four seeds nothing is cut off: the two agree.

| Symbol | Shape | Meaning |
|---|---|---|
| `before`, `after` | (seeds,) | a measure on all held-out prompts |
| `before`, `after` in `Cell` | (resamples, seeds) | the same for resampled seeds and prompts |
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import trim_mean

from textgym.errors import ConfigError
from textgym_agents.evaluation.statistics import Floats, PromptStatistics
from textgym_agents.report.numbers import Estimate, rounded

Runs = Sequence[Mapping[str, Any]]  # lines of ``results.jsonl``
ALL_TASKS = "all tasks"
SIDES = ("before", "sampled")  # evaluations before and after training


@dataclass(frozen=True)
class Effect:
    """What training did to one measure."""

    before: Estimate
    after: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Row:
    """One line of the final table.

    Attributes:
        algo, task, measure: which; the task can be "all tasks", the measure is "reward" or a metric.
        seeds, prompts, timesteps: how many (runs; held-out prompts; tokens of training).
        mean, iqm: over seeds.
    """

    algo: str
    task: str
    measure: str
    seeds: int
    prompts: int
    timesteps: int
    mean: Effect
    iqm: Effect

    def to_json(self) -> dict[str, Any]:
        """Numbers rounded to 6 places, None for NaN."""
        plain: dict[str, Any] = rounded(asdict(self))
        return plain


@dataclass(frozen=True)
class Cell:
    """One measure of all seeds of one algorithm on one task, and the same on resamples (None: can't be resampled)."""

    before: Floats
    after: Floats
    resampled: tuple[Floats, Floats] | None


def iqm(values: Floats) -> Floats:
    """Mean of what is left when a quarter is cut off at each end of the last axis, as rliable has it.

    >>> float(iqm(np.array([0.0, 1.0, 2.0, 100.0])))
    1.5
    """
    return np.asarray(trim_mean(values, 0.25, axis=-1), dtype=np.float64)


def aggregate(runs: Runs, *, resamples: int = 2000, seed: int = 0) -> list[Row]:
    """One row for each algorithm, task and measure, tasks in the order in which they first appear.

    Args:
        runs: lines of ``results.jsonl``.
        resamples: of the bootstrap.
        seed: of the bootstrap. A cell's draws depend on this and its own name only.

    Raises:
        ConfigError: runs of one cell that were not evaluated on the same number of prompts.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        groups.setdefault((run["task"], run["algo"]), []).append(run)
    tasks = list(dict.fromkeys(run["task"] for run in runs))
    algos = list(dict.fromkeys(run["algo"] for run in runs))
    rows, rewards = [], {}
    for task in tasks:
        for algo in algos:
            group = groups.get((task, algo), [])
            sides = [run["evaluations"][side]["summary"] for run in group for side in SIDES]
            measures = [name for name in sides[0] if all(name in side for side in sides)] if group else []
            for measure in measures:
                cell = _cell(group, measure, resamples, seed)
                rows.append(_row(algo, task, measure, group, cell))
                if measure == "reward":
                    rewards[algo, task] = cell
    for algo in algos if len(tasks) > 1 else ():
        mine = [run for run in runs if run["algo"] == algo]
        cells = [rewards[algo, task] for task in tasks if (algo, task) in rewards]
        rows.append(_row(algo, ALL_TASKS, "reward", mine, _joined(cells)))
    return rows


def _cell(group: Runs, measure: str, resamples: int, seed: int) -> Cell:
    found = [[run["evaluations"][side] for run in group] for side in SIDES]
    sides = [np.array([one["summary"][measure] for one in side], dtype=np.float64) for side in found]
    stored = [[one["per_prompt"].get(measure) for one in side] for side in found]
    if any(one is None for side in stored for one in side):
        return Cell(sides[0], sides[1], None)
    statistics = [[PromptStatistics.from_json(one) for one in side] for side in stored]
    sizes = {len(one) for side in statistics for one in side}
    if len(sizes) > 1:
        raise ConfigError(
            f"The runs of {group[0]['algo']} on {group[0]['task']} were evaluated on {sorted(sizes)} prompts, expected "
            "the same number. Results of different benchmarks are in one file."
        )
    rng = generator(seed, f"{group[0]['algo']} {group[0]['task']}")
    num_prompts = sizes.pop()
    prompts = rng.integers(num_prompts, size=(resamples, num_prompts))
    seeds = rng.integers(len(group), size=(resamples, len(group)))
    values = [np.stack([one.resampled(prompts) for one in side], axis=1) for side in statistics]
    before, after = (np.take_along_axis(side, seeds, axis=1) for side in values)
    return Cell(sides[0], sides[1], (before, after))


def generator(seed: int, name: str) -> np.random.Generator:
    """Random numbers that depend on the seed and a name only."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def _joined(cells: Sequence[Cell]) -> Cell:
    """The cells of several tasks side by side: every task keeps its seeds, so the bootstrap is stratified."""
    resampled = [cell.resampled for cell in cells if cell.resampled is not None]
    both = None
    if len(resampled) == len(cells):
        before, after = (np.concatenate(side, axis=1) for side in zip(*resampled, strict=True))
        both = (before, after)
    return Cell(np.concatenate([c.before for c in cells]), np.concatenate([c.after for c in cells]), both)


def _row(algo: str, task: str, measure: str, group: Runs, cell: Cell) -> Row:
    return Row(
        algo=algo,
        task=task,
        measure=measure,
        seeds=len({run["seed"] for run in group}),
        prompts=int(group[0]["eval_prompts"]),
        timesteps=sum({run["task"]: int(run["timesteps"]) for run in group}.values()),
        mean=_effect(cell, "mean"),
        iqm=_effect(cell, "iqm"),
    )


def _effect(cell: Cell, kind: Literal["mean", "iqm"]) -> Effect:
    over = iqm if kind == "iqm" else lambda values: values.mean(-1)
    resampled: list[Floats | None] = [None, None, None]
    if cell.resampled is not None:
        before, after = cell.resampled
        resampled = [over(before), over(after), over(after - before)]
    points = [cell.before, cell.after, cell.after - cell.before]
    return Effect(*(estimate(float(over(p)), r) for p, r in zip(points, resampled, strict=True)))


def estimate(value: float, resampled: Floats | None) -> Estimate:
    """A value with the 2.5 % and 97.5 % quantiles of its resamples (resamples,)."""
    if resampled is None or not np.isfinite(resampled).any():
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Estimate(value, float(low), float(high))
