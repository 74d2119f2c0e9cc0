"""Reward against KL to the initial model, and a proxy reward against the gold one.

A front is what an algorithm reaches within a budget of KL: the largest held-out reward among its evaluations with no
more KL, and mixtures of them. To draw each completion from one of two policies by chance gets a reward between theirs
for at most the KL between theirs, since KL is convex: so a front is the concave hull of its points, and hardly depends
on where in the training they were taken. The initial model has one, too, with lower temperatures: an algorithm whose
front isn't above that one has learnt nothing that a number wouldn't have done. KL is no fair axis between methods that
choose and methods that train (Gao et al., "Scaling Laws for Reward Model Overoptimization", 2023,
https://arxiv.org/abs/2210.10760): gold against proxy is, which is why both are drawn.

| Symbol | Shape | Meaning |
|---|---|---|
| `kl` | (points,) | nats of a completion to the initial model |
| `reward`, `gold`, `proxy` | (points,) | held-out means |
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.lines import Line, Runs
from textgym_agents.benchmark.analysis.measures import RESAMPLES, Floats, estimate, generator
from textgym_agents.benchmark.composites import base
from textgym_agents.report.numbers import Estimate


@dataclass(frozen=True)
class Front:
    """One algorithm's evaluations on one task, by seed, each with KL and reward; the initial model is (0, its reward).

    Attributes:
        algo, task: which. The initial model's own front has the name ``TEMPERED``.
        runs: for each seed, points (kl, reward), by KL.
        area: mean over budgets of KL from 0 to ``budget`` of the reward within it, less the initial model's.
        budget: in nats.
    """

    algo: str
    task: str
    runs: list[list[tuple[float, float]]]
    area: Estimate
    budget: float


@dataclass(frozen=True)
class Overoptimization:
    """What happened to the gold reward while one algorithm trained on a proxy.

    Attributes:
        algo, task: which.
        runs: for each seed, points (kl, proxy, gold) in the order of training, the initial model first.
        turned: share of seeds whose gold reward turned over.
        kl: for each of them, the KL at which it did.
        peak, end: smoothed gold reward at its peak and at the end, mean over seeds.
    """

    algo: str
    task: str
    runs: list[list[tuple[float, float, float]]]
    turned: float
    kl: list[float]
    peak: float
    end: float


TEMPERED = "initial model, tempered"


def hull(points: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """KL and reward of the corners of the concave hull, from the smallest KL to the largest reward.

    >>> kl, reward = hull([(0.0, 0.1), (1.0, 0.2), (2.0, 0.5), (3.0, 0.4)])
    >>> kl.tolist(), reward.tolist()
    ([0.0, 2.0], [0.1, 0.5])
    """
    corners: list[tuple[float, float]] = []
    highest = max(reward for _, reward in points)
    for kl, reward in sorted(points, key=lambda point: (point[0], -point[1])):
        if corners and (reward <= corners[-1][1] or kl == corners[-1][0]):
            continue
        while len(corners) > 1 and _slope(corners[-2], corners[-1]) <= _slope(corners[-1], (kl, reward)):
            corners.pop()
        corners.append((kl, reward))
        if reward == highest:
            break
    kls, rewards = np.array(corners, dtype=np.float64).T
    return kls, rewards


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])


def area(points: Sequence[tuple[float, float]], budget: float) -> float:
    """Mean of the reward within budgets of KL from 0 to ``budget``, less the first point's.

    Args:
        points: (kl, reward), the initial model's with KL 0 among them.
        budget: in nats.

    >>> area([(0.0, 0.1), (1.0, 0.5)], budget=2.0)
    0.3
    """
    kl, reward = hull(points)
    inside = np.append(kl[kl < budget], budget)
    height = np.interp(inside, kl, reward) - reward[0]
    return round(float(np.trapezoid(height, inside) / budget), 9)


def fronts(runs: Runs, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, list[Front]]:
    """By task, a front for each algorithm that has one, the largest area first; the tempered model's is among them.

    The budget of KL is the median over the trained runs of their last.
    """
    found = {}
    for task in lines.tasks_of(runs):
        mine = lines.select(lines.finished(runs), task=task)
        trained = [run for run in mine if run.get("front")]
        last = [max(point["kl"] for point in run["front"] if point["kl"] is not None) for run in trained if _known(run)]
        tempered = _tempered(mine)
        if not last or not (budget := float(np.median(last))) > 0:
            continue
        rows = []
        for algo in lines.algos_of(trained):
            by_seed = [_points(run) for run in trained if run["algo"] == algo and _known(run)]
            if by_seed:
                rows.append(_front(algo, task, by_seed, budget, resamples, seed))
        if tempered:
            rows.append(_front(TEMPERED, task, tempered, budget, resamples, seed))
        found[task] = sorted(rows, key=lambda front: -front.area.value)
    return found


def _known(run: Line) -> bool:
    return any(point.get("kl") is not None for point in run["front"])


def _front(
    algo: str, task: str, by_seed: list[list[tuple[float, float]]], budget: float, resamples: int, seed: int
) -> Front:
    areas = np.array([area(points, budget) for points in by_seed])
    picks = generator(seed, f"front {algo} {task}").integers(len(areas), size=(resamples, len(areas)))
    return Front(algo, task, by_seed, estimate(areas.mean(), areas[picks].mean(1)), budget)


def _points(run: Line) -> list[tuple[float, float]]:
    start = (0.0, float(lines.summary(run, "before")["reward"]))
    return sorted([start, *((float(p["kl"]), float(p["reward"])) for p in run["front"] if p["kl"] is not None)])


def _tempered(runs: Iterable[Line]) -> list[list[tuple[float, float]]]:
    """The initial model at several temperatures, by seed."""
    by_seed: dict[int, list[tuple[float, float]]] = {}
    for run in runs:
        if base(run["algo"]) != "zero_shot" or "top_" in run["algo"]:
            continue
        kl = 0.0 if run["algo"] == "zero_shot" else run.get("kl")
        if kl is not None:
            by_seed.setdefault(run["seed"], []).append((float(kl), float(lines.summary(run, "sampled")["reward"])))
    return [sorted(points) for _, points in sorted(by_seed.items()) if len(points) > 1 and min(points)[0] == 0.0]


def overoptimization(runs: Runs) -> list[Overoptimization]:
    """One for each algorithm and task whose evaluations have a gold reward beside the one that it trained on."""
    found = []
    for task in lines.tasks_of(runs):
        for algo in lines.algos_of(runs):
            mine = [run for run in lines.select(lines.finished(runs), algo=algo, task=task) if _has_gold(run)]
            by_seed = [_with_gold(run) for run in mine]
            if not by_seed:
                continue
            fits = [turnover([p[0] for p in points], [p[2] for p in points]) for points in by_seed]
            turned = [fit.kl for fit in fits if fit.kl is not None]
            found.append(
                Overoptimization(
                    algo=algo,
                    task=task,
                    runs=by_seed,
                    turned=len(turned) / len(fits),
                    kl=turned,
                    peak=float(np.mean([fit.peak for fit in fits])),
                    end=float(np.mean([fit.end for fit in fits])),
                )
            )
    return found


def _has_gold(run: Line) -> bool:
    points = [point for point in run.get("front") or () if point.get("kl") is not None]
    return len(points) > 2 and all(point.get("gold") is not None for point in points)


def _with_gold(run: Line) -> list[tuple[float, float, float]]:
    before = lines.summary(run, "before")
    start = [(0.0, float(before["reward"]), float(before["gold"]))] if "gold" in before else []
    ordered = sorted((p for p in run["front"] if p["kl"] is not None), key=lambda point: point["timesteps"])
    return start + [(float(p["kl"]), float(p["reward"]), float(p["gold"])) for p in ordered]


@dataclass(frozen=True)
class Turnover:
    """A smoothed gold reward: the KL of its peak (None: it doesn't turn over), its value there and at the end."""

    kl: float | None
    peak: float
    end: float


def turnover(kl: Sequence[float], gold: Sequence[float]) -> Turnover:
    """Whether a gold reward turns over as KL grows, and where.

    The curve is smoothed by the mean of three neighbors. It turns over if it ends below its peak by more than three
    standard errors of the difference of two such means. The noise of a point is estimated from how far points are from
    the line between their neighbors (Gasser, Sroka and Jennen-Steinmetz 1986).

    Args:
        kl: nats, of at least four points; else nothing turns over.
        gold: rewards there.

    >>> fit = turnover([0, 1, 2, 3, 4, 5, 6], [0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0])
    >>> fit.kl, round(fit.peak, 3), fit.end
    (3.0, 2.333, 0.5)
    """
    order = np.argsort(kl, kind="stable")
    x, y = np.asarray(kl, dtype=np.float64)[order], np.asarray(gold, dtype=np.float64)[order]
    smooth = np.array([y[max(0, i - 1) : i + 2].mean() for i in range(len(y))])
    if len(y) < 4:
        return Turnover(None, float(smooth.max()), float(smooth[-1]))
    share = (x[1:-1] - x[:-2]) / np.maximum(x[2:] - x[:-2], 1e-12)
    away = y[1:-1] - (1 - share) * y[:-2] - share * y[2:]
    noise = float(np.sqrt(np.mean(away**2 / (1 + share**2 + (1 - share) ** 2))))
    top = int(np.argmax(smooth))
    fall = float(smooth[top] - smooth[-1])
    turned = fall > 3 * noise * np.sqrt(1 / 3 + 1 / 2)  # the last mean is of two points
    return Turnover(float(x[top]) if turned else None, float(smooth[top]), float(smooth[-1]))
