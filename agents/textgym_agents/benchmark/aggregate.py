"""From finished runs to estimates of every measure with intervals: before, after and difference.

Every run of a cell (algorithm, task) is evaluated on the same held-out prompts, before and after training. The interval
is a bootstrap of both: seeds are drawn with replacement, and so are prompts, the same prompts for all seeds and for
before and after (the difference is paired). Over tasks it is stratified: every task keeps its number of seeds.

| Symbol | Shape | Meaning |
|---|---|---|
| `before`, `after` | (seeds,) | a measure on all held-out prompts |
| `before`, `after` in `Cell` | (resamples, seeds) | the same for resampled seeds and prompts |
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from textgym.errors import ConfigError
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.analysis.measures import RESAMPLES, estimate, generator
from textgym_agents.evaluation.statistics import Floats, PromptStatistics
from textgym_agents.report.numbers import Estimate, rounded

ALL_TASKS = "all tasks"
SIDES = ("before", "sampled")  # evaluations before and after training


@dataclass(frozen=True)
class Row:
    """One line of the final table: means over seeds.

    Attributes:
        algo, task, measure: which; the task can be "all tasks", the measure is "reward" or a metric.
        seeds, prompts, timesteps: how many (runs; held-out prompts; tokens of training).
        before, after: sampled, before and after training.
        difference: after less before, paired.
        greedy: after training, greedy; NaN: a run has no such evaluation.
    """

    algo: str
    task: str
    measure: str
    seeds: int
    prompts: int
    timesteps: int
    before: Estimate
    after: Estimate
    difference: Estimate
    greedy: float

    def to_json(self) -> dict[str, Any]:
        """Numbers rounded to 6 places, None for NaN."""
        plain: dict[str, Any] = rounded(asdict(self))
        return plain


@dataclass(frozen=True)
class Cell:
    """One measure of all seeds of one algorithm on one task, and the same on resamples (None: can't be resampled)."""

    before: Floats
    after: Floats
    greedy: Floats
    resampled: tuple[Floats, Floats] | None


def aggregate(runs: Runs, *, resamples: int = RESAMPLES, seed: int = 0) -> list[Row]:
    """One row for each algorithm, task and measure, tasks in the order in which they first appear.

    Args:
        runs: lines of ``results.jsonl`` without an error.
        resamples: of the bootstrap.
        seed: of the bootstrap. A cell's draws depend on this and its own name only.

    Raises:
        ConfigError: runs of one cell that were not evaluated on the same number of prompts.
    """
    tasks, algos = lines.tasks_of(runs), lines.algos_of(runs)
    rows, rewards = [], {}
    for task in tasks:
        for algo in algos:
            group = lines.select(runs, algo=algo, task=task)
            sides = [lines.summary(run, side) for run in group for side in SIDES]
            measures = [name for name in sides[0] if all(name in side for side in sides)] if group else []
            for measure in measures:
                cell = _cell(group, measure, resamples, seed)
                rows.append(_row(algo, task, measure, group, cell))
                if measure == "reward":
                    rewards[algo, task] = cell
    for algo in algos if len(tasks) > 1 else ():
        cells = [rewards[algo, task] for task in sorted(tasks) if (algo, task) in rewards]  # sums have an order
        rows.append(_row(algo, ALL_TASKS, "reward", lines.select(runs, algo=algo), _joined(cells)))
    return rows


def _cell(group: Runs, measure: str, resamples: int, seed: int) -> Cell:
    before, after, greedy = (
        np.array([lines.summary(run, side).get(measure, np.nan) for run in group], dtype=np.float64)
        for side in (*SIDES, "greedy")
    )
    stored = [[run["evaluations"][side]["per_prompt"].get(measure) for run in group] for side in SIDES]
    if any(one is None for side in stored for one in side):
        return Cell(before, after, greedy, None)
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
    drawn_before, drawn_after = (np.take_along_axis(side, seeds, axis=1) for side in values)
    return Cell(before, after, greedy, (drawn_before, drawn_after))


def _joined(cells: Sequence[Cell]) -> Cell:
    """The cells of several tasks side by side: every task keeps its seeds, so the bootstrap is stratified."""
    resampled = [cell.resampled for cell in cells if cell.resampled is not None]
    both = None
    if len(resampled) == len(cells):
        before, after = (np.concatenate(side, axis=1) for side in zip(*resampled, strict=True))
        both = (before, after)
    columns = zip(*((cell.before, cell.after, cell.greedy) for cell in cells), strict=True)
    before_all, after_all, greedy = (np.concatenate(column) for column in columns)
    return Cell(before_all, after_all, greedy, both)


def _row(algo: str, task: str, measure: str, group: Sequence[Mapping[str, Any]], cell: Cell) -> Row:
    resampled: list[Floats | None] = [None, None, None]
    if cell.resampled is not None:
        before, after = cell.resampled
        resampled = [one.mean(-1) for one in (before, after, after - before)]
    points = [cell.before, cell.after, cell.after - cell.before]
    estimates = [estimate(float(point.mean()), drawn) for point, drawn in zip(points, resampled, strict=True)]
    return Row(
        algo=algo,
        task=task,
        measure=measure,
        seeds=len({run["seed"] for run in group}),
        prompts=int(group[0]["eval_prompts"]),
        timesteps=sum({run["task"]: int(run["timesteps"]) for run in group}.values()),
        before=estimates[0],
        after=estimates[1],
        difference=estimates[2],
        greedy=float(cell.greedy.mean()),
    )
