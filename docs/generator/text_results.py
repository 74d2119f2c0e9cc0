"""Tables of docs/benchmark.md about the suite text, from its results file in agents/results."""

from functools import partial

import numpy as np

from docs.generator.blocks import ROOT
from docs.generator.results import marked, runs_of, scores_of, separation_table
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.costs import USES, AtEqualCost, at_equal_cost, costs_of
from textgym_agents.benchmark.analysis.fronts import TEMPERED, fronts
from textgym_agents.benchmark.analysis.measures import estimate
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.suites import family, find_suite
from textgym_agents.report import markdown
from textgym_agents.report.numbers import show

TEXT = ROOT / "agents" / "results" / "text-v1.jsonl.gz"
MANY = 3  # tasks on which an algorithm has to be above the best decoding
MOST = 64  # completions of the largest best-of-n

_runs, _scores = partial(runs_of, TEXT), partial(scores_of, TEXT)


def _name(task: str) -> str:
    return short_task(task).removeprefix("text/").partition("-v")[0]


def _trained() -> set[str]:
    return {run["algo"] for run in _runs() if lines.is_trained(run)}


def headroom() -> str:
    """What decoding alone gets on each task."""
    rows = []
    budgets = find_suite("text").tasks
    for task in _scores().tasks:
        one = _scores().headroom[task]
        assert one.baseline is not None
        assert one.ceiling is not None
        values = [one.initial.value, one.baseline.value, one.ceiling.value]
        decoding = f"`{one.baseline_name}`"
        rows.append([_name(task), f"{budgets[task]:,}", *(f"{value:.3f}" for value in values), decoding])
    header = ["task", "tokens", "initial model", "best decoding", "best of 64", "which decoding"]
    return markdown.table(header, rows)


def overall() -> str:
    """Mean scores over the tasks, the best algorithm first, and the sampled score on each task."""
    scores, rows = _scores(), []
    for algo in sorted(scores.complete(), key=lambda algo: -float(scores.point(algo).mean())):
        sides = [
            estimate(scores.point(algo, side).mean(), scores.drawn(algo, side).mean((1, 2)))
            for side in ("sampled", "greedy")
        ]
        cells = [scores.cells[task, algo, "sampled"].score for task in scores.tasks]
        seconds = costs_of(lines.select(_runs(), algo=algo))["seconds"]
        rows.append(
            [
                f"`{algo}`",
                family(algo),
                *map(show, sides),
                *(marked(f"{cell.value:.2f}", cell) for cell in cells),
                f"{seconds:.0f}",
            ]
        )
    header = ["algorithm", "family", "sampled", "greedy", *map(_name, scores.tasks), "seconds a run"]
    return markdown.table(header, rows)


def above() -> str:
    """Which algorithms are surely above the best decoding, sampled and greedy."""
    scores = _scores()
    counts = {
        algo: sum(
            all(
                (cell := scores.cell(task, algo, side)) is not None and cell.score.low > 0
                for side in ("sampled", "greedy")
            )
            for task in scores.tasks
        )
        for algo in sorted(_trained())
    }
    named = [f"`{algo}` ({n})" for algo, n in sorted(counts.items(), key=lambda pair: -pair[1]) if n >= MANY]
    return (
        f"Above the best decoding of the initial model, sampled and greedy, intervals excluding 0, on at least {MANY} "
        f"of {len(scores.tasks)} tasks: {', '.join(named) or 'none'}."
    )


def separation() -> str:
    """What each task tells apart."""
    return separation_table(_scores(), "task", _name)


def front_areas() -> str:
    """The area under each algorithm's front of reward against KL, less the tempered initial model's, by task."""
    found = fronts(_runs())
    areas = {(task, one.algo): one.area.value for task, mine in found.items() for one in mine}
    algos = [algo for algo in sorted(_trained()) if all((task, algo) in areas for task in found)]
    gains = {algo: [areas[task, algo] - areas[task, TEMPERED] for task in found] for algo in algos}
    rows = [
        [f"`{algo}`", f"{np.mean(values):+.3f}", *(f"{value:+.3f}" for value in values)]
        for algo, values in sorted(gains.items(), key=lambda pair: -float(np.mean(pair[1])))
    ]
    budgets = ["up to, in nats", "", *(f"{mine[0].budget:.1f}" for mine in found.values())]
    return markdown.table(["algorithm", "mean", *map(_name, found)], [*rows, budgets])


def equal_cost() -> str:
    """The best of each task that learns from rewards alone, against best-of-n for the same forward tokens."""
    rows = []
    found = at_equal_cost(_runs(), _scores())
    for task in _scores().tasks:
        mine = [one for one in found if one.task == task and family(one.algo) not in ("supervised", "warm start + RL")]
        best = max(mine, key=_end)
        ceiling = _scores().headroom[task].ceiling
        assert ceiling is not None
        # Best of n writes n - 1 completions more for each use, which is what training costs, spread over the uses.
        n = {uses: best.best_of[uses][0] for uses in USES}
        even = (n[USES[0]] - 1) * USES[0] / (MOST - 1)
        equal = best.best_of[USES[-1]][1]
        rows.append(
            [
                _name(task),
                f"`{best.algo}`",
                f"{_end(best):.3f}",
                f"{ceiling.value:.3f}",
                f"{best.cost:,.0f}",
                f"{even:,.0f}",
                f"{n[USES[-1]]:.1f}: {'–' if equal is None else f'{equal:.3f}'}",
            ]
        )
    header = ["task", "best of RL", "reward", f"best of {MOST}", "forward tokens", f"cheaper than best of {MOST} from"]
    return markdown.table([*header, f"best of n at equal cost, {USES[-1]:,} uses"], rows)


def _end(one: AtEqualCost) -> float:
    return _scores().cells[one.task, one.algo, "sampled"].reward.value
