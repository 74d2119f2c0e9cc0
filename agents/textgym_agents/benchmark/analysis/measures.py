"""The statistics of a benchmark, as functions of arrays.

Names and definitions are those of Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (2021), https://arxiv.org/abs/2108.13264, and give what its library, rliable, gives. The seeds are the last
axis here, so that resamples can stand before it.

| Symbol | Shape | Meaning |
|---|---|---|
| `scores` | (..., tasks, seeds) | of one algorithm |
| `thresholds` | (points,) | of a performance profile |
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import trim_mean

from textgym_agents.report.numbers import Estimate

Floats = NDArray[np.float64]
RESAMPLES = 2000
FEWEST_TASKS_OF_AN_IQM = 10  # over few tasks it leaves out those that tell anything


def mean(scores: Floats) -> Floats:
    """Mean over tasks and seeds.

    >>> float(mean(np.array([[0.0, 1.0], [1.0, 1.0]])))
    0.75
    """
    return np.asarray(scores.mean((-2, -1)))


def iqm(scores: Floats) -> Floats:
    """Interquartile mean: of what is left when a quarter of all runs of all tasks is cut off at each end.

    >>> float(iqm(np.array([[0.0, 1.0, 2.0, 100.0]])))
    1.5
    """
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.asarray(trim_mean(flat, 0.25, axis=-1), dtype=np.float64)


def optimality_gap(scores: Floats, goal: float = 1.0) -> Floats:
    """How far runs fall short of a score, on average; more than the score counts as the score.

    >>> float(optimality_gap(np.array([[0.5, 2.0]])))
    0.25
    """
    return np.asarray(goal - np.minimum(scores, goal).mean((-2, -1)))


def probability_of_improvement(mine: Floats, theirs: Floats) -> Floats:
    """Probability that a run of one algorithm ends above a run of another on the same task; a tie counts half.

    Args:
        mine, theirs: (..., tasks, seeds); numbers of seeds may differ.

    >>> float(probability_of_improvement(np.array([[0.2, 0.4]]), np.array([[0.1, 0.3]])))
    0.75
    """
    pairs = mine[..., :, None] - theirs[..., None, :]
    return np.asarray(((pairs > 0) + 0.5 * (pairs == 0)).mean((-3, -2, -1)))


def performance_profile(scores: Floats, thresholds: Floats) -> Floats:
    """The share of runs whose score is above each threshold.

    Returns:
        (..., points).

    >>> performance_profile(np.array([[0.2, 0.8]]), np.array([0.0, 0.5, 1.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.stack([(flat > threshold).mean(-1) for threshold in thresholds], axis=-1)


def area_under_curve(timesteps: Sequence[float], rewards: Sequence[float]) -> float | None:
    """The mean reward over the tokens of training: the area under a learning curve as a share of its width.

    Before the first point the reward counts as the first; None without points.

    >>> area_under_curve([100, 200], [0.0, 1.0])
    0.25
    """
    if not len(timesteps):
        return None
    x, y = np.array([0.0, *timesteps]), np.array([rewards[0], *rewards])
    return float(np.trapezoid(y, x) / x[-1]) if x[-1] > 0 else float(y[-1])


def tokens_to(timesteps: Sequence[float], rewards: Sequence[float], goal: float, window: int = 5) -> float | None:
    """Tokens of training until the mean reward of the last ``window`` points is at least ``goal``; None: never.

    >>> tokens_to([10, 20, 30, 40], [0.0, 1.0, 1.0, 1.0], goal=0.9, window=2)
    30.0
    """
    values = np.asarray(rewards, dtype=np.float64)
    for end in range(min(window, len(values)), len(values) + 1):
        if end and values[max(0, end - window) : end].mean() >= goal:
            return float(timesteps[end - 1])
    return None


def generator(seed: int, name: str) -> np.random.Generator:
    """Random numbers that depend on the seed and a name only."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def estimate(value: float, resampled: Floats | None) -> Estimate:
    """A value with the 2.5 % and 97.5 % quantiles of its resamples (resamples,)."""
    if resampled is None or not np.isfinite(resampled).any():
        return Estimate(float(value), float("nan"), float("nan"))
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))
