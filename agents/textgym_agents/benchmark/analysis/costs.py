"""What a reward costs, in one currency: tokens that a model reads forward.

A token that is written counts one, one that is learnt from three (forward and backward), one that a reference model
scores one. Training is paid once; best-of-n is paid for every completion, so it is charged at test time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.lines import Line, Runs
from textgym_agents.benchmark.analysis.measures import Floats, area_under_curve, tokens_to
from textgym_agents.benchmark.analysis.scores import Scores

USES = (1_000, 100_000)  # completions that a model is used for, over which its training is spread
COSTS = ("tokens_written", "tokens_learned", "forward_tokens", "seconds", "peak_memory_mb", "tokens_per_completion")


@dataclass(frozen=True)
class Learning:
    """How fast one algorithm learnt on one task, mean over seeds.

    Attributes:
        algo, task: which.
        area: mean reward in training, over the tokens of training; None: there is no curve.
        passed: share of the seeds whose reward in training reached ``goal``.
        tokens: of training until then, median of those seeds; None: none did.
        goal: the best decode-only baseline, or halfway from the initial reward to the best one seen.
    """

    algo: str
    task: str
    area: float | None
    passed: float
    tokens: float | None
    goal: float


@dataclass(frozen=True)
class AtEqualCost:
    """One algorithm on one task when forward tokens are what is equal.

    Attributes:
        algo, task: which.
        cost: forward tokens of a whole run, mean over seeds.
        budget: forward tokens of the cheapest trained algorithm of the task.
        reward: in training, when ``budget`` was spent; None: there is no curve.
        best_of: for each number of uses, the n and the reward of best-of-n for the same cost a completion, training
            spread over the uses; None: no such runs, or an n beyond them.
    """

    algo: str
    task: str
    cost: float
    budget: float
    reward: float | None
    best_of: dict[int, tuple[float, float | None]]


def costs_of(runs: Runs) -> dict[str, float]:
    """The means of all costs that these runs have."""
    names = [name for name in COSTS if all((run.get("costs") or {}).get(name) is not None for run in runs)]
    return {name: float(np.mean([run["costs"][name] for run in runs])) for name in names if runs}


def learning(runs: Runs, scores: Scores) -> list[Learning]:
    """A row for each trained algorithm and task that has learning curves."""
    rows = []
    for task in scores.tasks:
        mine = [run for run in lines.select(lines.finished(runs), task=task) if run["curve"]["timesteps"]]
        goal = _goal(mine, scores, task)
        for algo in lines.algos_of(mine):
            curves = [run["curve"] for run in mine if run["algo"] == algo]
            areas = [area_under_curve(curve["timesteps"], curve["reward"]) for curve in curves]
            passed = [tokens_to(curve["timesteps"], curve["reward"], goal) for curve in curves]
            known = [tokens for tokens in passed if tokens is not None]
            rows.append(
                Learning(
                    algo=algo,
                    task=task,
                    area=float(np.mean([one for one in areas if one is not None])),
                    passed=len(known) / len(passed),
                    tokens=float(np.median(known)) if known else None,
                    goal=goal,
                )
            )
    return rows


def _goal(runs: Runs, scores: Scores, task: str) -> float:
    headroom = scores.headroom[task]
    if scores.kind == "headroom" and headroom.baseline is not None:
        return headroom.baseline.value
    best = max((lines.summary(run, "sampled").get("reward", -np.inf) for run in runs), default=headroom.initial.value)
    return (headroom.initial.value + float(best)) / 2


def at_equal_cost(runs: Runs, scores: Scores) -> list[AtEqualCost]:
    """A row for each trained algorithm and task whose runs say what they cost."""
    rows = []
    for task in scores.tasks:
        mine = lines.select(lines.finished(runs), task=task)
        ladder = _ladder(mine)
        by_algo: dict[str, list[Line]] = {}
        for run in mine:
            if lines.is_trained(run) and _forward(run) is not None:
                by_algo.setdefault(run["algo"], []).append(run)
        totals = {algo: float(np.mean([_forward(run) for run in group])) for algo, group in by_algo.items()}
        budget = min(totals.values(), default=0.0)
        for algo, group in by_algo.items():
            length = costs_of(group).get("tokens_per_completion")
            rows.append(
                AtEqualCost(
                    algo=algo,
                    task=task,
                    cost=totals[algo],
                    budget=budget,
                    reward=_reward_at(group, budget),
                    best_of={uses: _best_of(ladder, 1 + totals[algo] / (uses * length)) for uses in USES}
                    if length
                    else {},
                )
            )
    return rows


def _forward(run: Line) -> float | None:
    found: float | None = (run.get("costs") or {}).get("forward_tokens")
    return found


def _reward_at(group: Runs, budget: float) -> float | None:
    """Mean reward in training when so many forward tokens were spent; cost grows with the tokens of training."""
    found = []
    for run in group:
        curve: Mapping[str, Any] = run["curve"]
        total = _forward(run)
        if curve["timesteps"] and total:
            tokens = min(1.0, budget / total) * curve["timesteps"][-1]
            rewards = np.asarray(curve["reward"], dtype=np.float64)
            smooth = np.array([rewards[max(0, i - 4) : i + 1].mean() for i in range(len(rewards))])
            found.append(float(np.interp(tokens, curve["timesteps"], smooth)))
    return float(np.mean(found)) if found else None


def _ladder(runs: Runs) -> tuple[Floats, Floats]:
    """n and reward of the initial model's best of n, by n."""
    rewards: dict[int, list[float]] = {}
    for run in runs:
        n = lines.samples_of(run["algo"])
        if n is not None:
            rewards.setdefault(n, []).append(float(lines.summary(run, "sampled")["reward"]))
    ordered = sorted(rewards)
    return np.array(ordered, dtype=np.float64), np.array([np.mean(rewards[n]) for n in ordered])


def _best_of(ladder: tuple[Floats, Floats], n: float) -> tuple[float, float | None]:
    """The reward of best-of-n between the n that were run, linear in log n."""
    known, rewards = ladder
    if not len(known) or not known[0] <= n <= known[-1]:
        return n, None
    return n, float(np.interp(np.log(n), np.log(known), rewards))
