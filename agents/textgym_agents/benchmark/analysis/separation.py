"""Which algorithms a benchmark tells apart, and whether it would say the same again.

Two algorithms are separated on a task when their means differ at 95 % after Holm's correction for all pairs of the
task. A bootstrap has no p-values small enough for hundreds of pairs, so each pair is a t test: what a mean varies by is
estimated from seeds and from prompts, both as they cross, with Welch's and Satterthwaite's degrees of freedom.

For an algorithm with rewards of n seeds on P prompts, seeds vary the mean by s^2/n, where s^2 is the variance of the
seeds' means: that has the noise of sampling in it. Prompts vary a difference by the variance over prompts of the two
algorithms' difference, less the noise that is in the seeds' part already, over P.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from textgym_agents.benchmark.analysis.measures import Floats
from textgym_agents.benchmark.analysis.scores import Cell, Scores

LEVEL = 0.05
SAME_ORDER = 0.7  # Kendall's tau from which halves of the seeds are said to agree
TELLS = 0.4  # share of separated pairs from which a task is said to tell algorithms apart
MAX_HALVES = 20  # ways to halve the seeds; with up to six seeds all of them


@dataclass(frozen=True)
class Discrimination:
    """What a task, or a whole benchmark, tells apart.

    Attributes:
        task: which; None: the mean over tasks.
        pairs: of algorithms.
        separated: share of them, at 95 % after Holm's correction.
        tau: Kendall's, between the rankings of two halves of the seeds, mean over the ways to halve them; None: there
            is one seed, or all scores are the same.
        verdict: a sentence.
    """

    task: str | None
    pairs: int
    separated: float
    tau: float | None
    verdict: str


def p_value(one: Cell, other: Cell) -> float:
    """Two-sided p-value of the difference between two algorithms' mean scores on one task.

    With a single seed of either, nothing is known of how trainings vary: 1.
    """
    difference = float(one.point.mean() - other.point.mean())
    if difference == 0 or min(len(one.point), len(other.point)) < 2:
        return 1.0
    variances, freedoms = [], []
    for cell in (one, other):
        variances.append(float(cell.point.var(ddof=1)) / len(cell.point))
        freedoms.append(len(cell.point) - 1)
    prompts = one.rewards.shape[1]
    if prompts > 1 and other.rewards.shape[1] == prompts:
        scale = _unit(one, other)
        spread = float((one.rewards.mean(0) - other.rewards.mean(0)).var(ddof=1)) / prompts
        noise = sum(_interaction(cell.rewards) / cell.rewards.size for cell in (one, other))
        variances.append(max(spread - noise, 0.0) * scale**2)
        freedoms.append(prompts - 1)
    total = sum(variances)
    if total <= 1e-18:
        return 0.0  # every seed of each says exactly the same
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return float(2 * stats.t.sf(abs(difference) / np.sqrt(total), freedom))


def _unit(one: Cell, other: Cell) -> float:
    """How much score one unit of reward is, between the two algorithms."""
    if one.unit is not None:
        return one.unit
    rewards = float(one.rewards.mean() - other.rewards.mean())
    return float(one.point.mean() - other.point.mean()) / rewards if rewards else 0.0


def _interaction(rewards: Floats) -> float:
    """Mean square of what neither a seed nor a prompt explains; (seeds, prompts)."""
    seeds, prompts = rewards.shape
    rest = rewards - rewards.mean(1, keepdims=True) - rewards.mean(0, keepdims=True) + rewards.mean()
    return float((rest**2).sum() / ((seeds - 1) * (prompts - 1)))


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses are rejected when the chance of a single wrong one stays below ``level`` (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]), holm([0.001, 0.02, 0.9])
    ([True, False, False], [True, True, False])
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = [False] * len(p_values)
    for rank, i in enumerate(order):
        if p_values[i] > level / (len(order) - rank):
            break
        rejected[i] = True
    return rejected


def separated_pairs(scores: Scores, side: str = "sampled") -> dict[str, dict[tuple[str, str], bool]]:
    """By task, which pairs of algorithms are separated there; corrected within the task."""
    found = {}
    for task in scores.tasks:
        pairs = _pairs(scores, task, side)
        rejected = holm([p_value(scores.cells[task, a, side], scores.cells[task, b, side]) for a, b in pairs])
        found[task] = dict(zip(pairs, rejected, strict=True))
    return found


def separated_somewhere(scores: Scores, side: str = "sampled") -> float:
    """Share of all pairs that are separated on at least one task, corrected for all pairs of all tasks together."""
    keys, values = [], []
    for task in scores.tasks:
        for pair in _pairs(scores, task, side):
            keys.append(pair)
            values.append(p_value(*(scores.cells[task, algo, side] for algo in pair)))
    apart = {pair for pair, rejected in zip(keys, holm(values), strict=True) if rejected}
    return len(apart) / len(set(keys)) if keys else 0.0


def _pairs(scores: Scores, task: str, side: str) -> list[tuple[str, str]]:
    algos = [algo for algo in scores.algos if (task, algo, side) in scores.cells]
    return list(itertools.combinations(algos, 2))


def discrimination(scores: Scores, side: str = "sampled") -> list[Discrimination]:
    """One for each task, and with several tasks one for their mean."""
    rows = []
    for task, pairs in separated_pairs(scores, side).items():
        share = float(np.mean(list(pairs.values()))) if pairs else 0.0
        points = [scores.cells[task, algo, side].point for algo in scores.algos if (task, algo, side) in scores.cells]
        tau = agreement(points)
        rows.append(Discrimination(task, len(pairs), share, tau, _verdict(share, tau, len(pairs))))
    if len(rows) > 1:
        share, pairs_of_all = float(np.mean([row.separated for row in rows])), max(row.pairs for row in rows)
        whole = [scores.point(algo, side).mean(0) for algo in scores.complete(side)]
        tau = agreement(whole)
        rows.append(Discrimination(None, pairs_of_all, share, tau, _verdict(share, tau, pairs_of_all)))
    return rows


def agreement(points: Sequence[Floats]) -> float | None:
    """Kendall's tau-b between rankings by one half of the seeds and by the other, mean over the ways to halve them.

    Args:
        points: for each algorithm, the scores of its seeds.

    >>> agreement([np.array([0.0, 0.1]), np.array([0.5, 0.6]), np.array([0.9, 1.0])])
    1.0
    """
    seeds = min((len(point) for point in points), default=0)
    if seeds < 2 or len(points) < 2:
        return None
    taus = []
    for half in itertools.islice(itertools.combinations(range(seeds), seeds // 2), MAX_HALVES):
        rest = [seed for seed in range(seeds) if seed not in half]
        first, second = ([float(point[chosen].mean()) for point in points] for chosen in (list(half), rest))
        taus.append(float(stats.kendalltau(np.round(first, 9), np.round(second, 9)).statistic))
    known = [tau for tau in taus if not np.isnan(tau)]
    return round(float(np.mean(known)), 6) if known else None


def _verdict(share: float, tau: float | None, pairs: int) -> str:
    if not pairs:
        return "one algorithm: nothing to tell apart"
    if share == 0:
        return "separates nobody: change it or drop it"
    ranking = "" if tau is None else "; seeds agree" if tau >= SAME_ORDER else "; seeds do not agree on the order"
    return ("tells algorithms apart" if share >= TELLS else "separates few") + ranking
