"""Which of many algorithms is better, and how sure that is.

All algorithms were evaluated on the same held-out prompts, so two of them are compared on the same resamples of those;
seeds are drawn for each algorithm by itself, since two trainings have nothing in common. Over tasks, a score that means
the same on each of them is averaged as in Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (2021), https://arxiv.org/abs/2108.13264: interquartile mean over tasks and seeds, each task keeping its
number of seeds in every resample, and the probability of improvement.

| Symbol | Shape | Meaning |
|---|---|---|
| `point` | (seeds,) | mean reward on all held-out prompts |
| `drawn` | (resamples, seeds) | the same for resampled seeds and prompts |
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from textgym_agents.benchmark.aggregate import SIDES, Runs, estimate, generator, iqm
from textgym_agents.evaluation.statistics import Floats, PromptStatistics
from textgym_agents.report.numbers import Estimate, rounded

Verdict = Literal["better", "unclear", "worse", "itself"]
SUPERVISED = "bc"


@dataclass(frozen=True)
class Standing:
    """One algorithm on one task.

    Attributes:
        algo, task: which.
        after: reward on held-out prompts.
        gain: the same less that of the initial model.
        margin: less that of the reference, an algorithm or the initial model.
        score: the gain as a share of what was left to gain: 1 is a perfect reward, 0 the initial model's.
        verdict: "better" or "worse" than the reference if the margin's interval excludes 0.
    """

    algo: str
    task: str
    after: Estimate
    gain: Estimate
    margin: Estimate
    score: Estimate
    verdict: Verdict


@dataclass(frozen=True)
class Overall:
    """One algorithm over all tasks.

    Attributes:
        algo: which.
        score: interquartile mean of the scores of all tasks and seeds.
        mean: their mean.
        improvement: probability that a run of it is better than one of the reference on the same task; None for the
            reference, and where that is the initial model.
    """

    algo: str
    score: Estimate
    mean: Estimate
    improvement: Estimate | None


@dataclass(frozen=True)
class Comparison:
    """All of it.

    Attributes:
        reference: the algorithm that others are measured by; None: the initial model.
        standings: by task, the best first.
        overall: the best first. Empty with one task; without the algorithms that have no run on some task.
        scaled: whether scores are shares of what was left to gain (else plain gains: some reward exceeds 1).
        duels: by task, how much the best is ahead of the second.
    """

    reference: str | None
    standings: dict[str, list[Standing]]
    overall: list[Overall]
    scaled: bool
    duels: dict[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Numbers rounded to 6 places, None for NaN."""
        plain: dict[str, Any] = rounded(asdict(self))
        return plain


@dataclass(frozen=True)
class _Cell:
    before: Floats  # (seeds,)
    after: Floats
    drawn_before: Floats  # (resamples, seeds)
    drawn_after: Floats

    @property
    def gain(self) -> Floats:
        return self.after - self.before

    @property
    def drawn_gain(self) -> Floats:
        return self.drawn_after - self.drawn_before


def compare(runs: Runs, *, resamples: int = 2000, seed: int = 0) -> Comparison:
    """Compare the algorithms of finished runs by their rewards on held-out prompts.

    Args:
        runs: lines of ``results.jsonl``, evaluated on the same prompts.
        resamples, seed: of the bootstrap.
    """
    tasks = list(dict.fromkeys(run["task"] for run in runs))
    algos = list(dict.fromkeys(run["algo"] for run in runs))
    cells = {task: _cells([run for run in runs if run["task"] == task], resamples, seed) for task in tasks}
    reference = SUPERVISED if all(SUPERVISED in cells[task] for task in tasks) else None
    scaled = all(max(run["evaluations"][side]["per_prompt"]["reward"]) <= 1 for run in runs for side in SIDES)
    rooms = {task: _room(cells[task]) if scaled else 1.0 for task in tasks}
    standings, duels = {}, {}
    for task in tasks:
        unsorted = [_standing(algo, task, cells[task], reference, rooms[task]) for algo in cells[task]]
        standings[task] = sorted(unsorted, key=lambda one: -one.after.value)
        if len(unsorted) > 1:
            first, second = (cells[task][one.algo] for one in standings[task][:2])
            duels[task] = _difference(first, second)
    complete = [algo for algo in algos if len(tasks) > 1 and all(algo in cells[task] for task in tasks)]
    overall = [_overall(algo, cells, rooms, reference) for algo in complete]
    return Comparison(reference, standings, sorted(overall, key=lambda one: -one.score.value), scaled, duels)


def _cells(runs: Runs, resamples: int, seed: int) -> dict[str, _Cell]:
    """The runs of one task by algorithm, on the same resamples of its prompts."""
    task = runs[0]["task"]
    num_prompts = len(runs[0]["evaluations"]["sampled"]["per_prompt"]["reward"])
    prompts = generator(seed, task).integers(num_prompts, size=(resamples, num_prompts))
    cells = {}
    for algo in dict.fromkeys(run["algo"] for run in runs):
        mine = sorted((run for run in runs if run["algo"] == algo), key=lambda run: run["seed"])
        picks = generator(seed, f"{algo} {task}").integers(len(mine), size=(resamples, len(mine)))
        sides = []
        for side in SIDES:
            stored = [run["evaluations"][side]["per_prompt"]["reward"] for run in mine]
            statistics = [PromptStatistics.from_json(one) for one in stored]
            values = np.stack([one.resampled(prompts) for one in statistics], axis=1)
            sides.append((np.array([one.value for one in statistics]), np.take_along_axis(values, picks, axis=1)))
        (before, drawn_before), (after, drawn_after) = sides
        cells[algo] = _Cell(before, after, drawn_before, drawn_after)
    return cells


def _room(cells: Mapping[str, _Cell]) -> float:
    """What the initial model leaves to gain, up to a reward of 1."""
    room = 1 - float(np.mean(np.concatenate([cell.before for cell in cells.values()])))
    return room if room > 1e-6 else 1.0


def _standing(algo: str, task: str, cells: Mapping[str, _Cell], reference: str | None, room: float) -> Standing:
    cell = cells[algo]
    gain = estimate(float(cell.gain.mean()), cell.drawn_gain.mean(1))
    margin = gain if reference is None else _difference(cell, cells[reference])
    verdict: Verdict = "better" if margin.low > 0 else "worse" if margin.high < 0 else "unclear"
    return Standing(
        algo=algo,
        task=task,
        after=estimate(float(cell.after.mean()), cell.drawn_after.mean(1)),
        gain=gain,
        margin=margin,
        score=estimate(float(cell.gain.mean()) / room, cell.drawn_gain.mean(1) / room),
        verdict="itself" if algo == reference else verdict,
    )


def _difference(one: _Cell, other: _Cell) -> Estimate:
    if one is other:
        return Estimate(0.0, 0.0, 0.0)
    return estimate(float(one.after.mean() - other.after.mean()), one.drawn_after.mean(1) - other.drawn_after.mean(1))


def _overall(
    algo: str, cells: Mapping[str, Mapping[str, _Cell]], rooms: Mapping[str, float], reference: str | None
) -> Overall:
    scores = np.concatenate([cells[task][algo].gain / rooms[task] for task in cells])
    drawn = np.concatenate([cells[task][algo].drawn_gain / rooms[task] for task in cells], axis=1)
    improvement = None
    if reference is not None and algo != reference:
        pairs = [(cells[task][algo], cells[task][reference]) for task in cells]
        improvement = estimate(
            float(np.mean([_ahead(mine.after, theirs.after) for mine, theirs in pairs])),
            np.mean([_ahead(mine.drawn_after, theirs.drawn_after) for mine, theirs in pairs], axis=0),
        )
    return Overall(
        algo=algo,
        score=estimate(float(iqm(scores)), iqm(drawn)),
        mean=estimate(float(scores.mean()), drawn.mean(1)),
        improvement=improvement,
    )


def _ahead(mine: Floats, theirs: Floats) -> Floats:
    """(..., seeds) and (..., seeds): share of all pairs of runs in which mine is higher; a tie counts half."""
    pairs = mine[..., :, None] - theirs[..., None, :]
    return np.asarray(((pairs > 0) + 0.5 * (pairs == 0)).mean((-2, -1)))
