"""The pictures of a benchmark's sections, as SVG.

There are more algorithms than colors that everybody tells apart, so that lines come in small multiples: a panel for
each family, with all others in gray.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.costs import costs_of
from textgym_agents.benchmark.analysis.fronts import TEMPERED, Front, Overoptimization
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.analysis.measures import estimate, mean, performance_profile
from textgym_agents.benchmark.analysis.scores import Scores
from textgym_agents.benchmark.composites import base, short_task
from textgym_agents.benchmark.suites import family
from textgym_agents.report import svg
from textgym_agents.report.intervals import intervals
from textgym_agents.report.numbers import Estimate
from textgym_agents.report.radar import radar
from textgym_agents.report.svg import MANY, Panel, Series

POINTS = 24  # of a learning curve
NAMES = ("sampled", "greedy")


def groups(algos: Sequence[str]) -> dict[str, list[str]]:
    """Algorithms by family, at most as many in each as there are colors; small families share a panel.

    >>> groups(["ppo", "bc", "a2c"])
    {'actor-critic, supervised': ['ppo', 'a2c', 'bc']}
    """
    by_family: dict[str, list[str]] = {}
    for algo in algos:
        by_family.setdefault(family(algo), []).append(algo)
    pieces = [
        (name if start == 0 else f"{name} {start // MANY + 1}", mine[start : start + MANY])
        for name, mine in by_family.items()
        for start in range(0, len(mine), MANY)
    ]
    made: dict[str, list[str]] = {}
    last = ""
    for name, piece in pieces:
        if last and len(made[last]) + len(piece) <= 4:
            made[f"{last}, {name}"] = made.pop(last) + piece
            last = f"{last}, {name}"
        else:
            made[name], last = piece, name
    return made


def radars(known: Mapping[str, Mapping[str, Estimate]], tags: Sequence[str], order: Sequence[str]) -> list[str]:
    """One for each algorithm; none with fewer than three tags."""
    return [radar(algo, known[algo], tags) for algo in order] if len(tags) > 2 else []


def scores_of_task(task: str, scores: Scores, order: Sequence[str]) -> str:
    """Sampled and greedy scores on one task with their intervals."""
    rows = []
    for algo in order:
        sampled, greedy = scores.cell(task, algo), scores.cell(task, algo, "greedy")
        if sampled is not None:
            rows.append((algo, sampled.score, None if greedy is None else greedy.score))
    return intervals(f"{short_task(task)}: score", rows, line=0.0, names=NAMES)


def overall(scores: Scores, order: Sequence[str]) -> str:
    """Mean scores over all tasks."""
    greedy = set(scores.complete("greedy"))
    rows = []
    for algo in order:
        both = [
            estimate(float(mean(scores.point(algo, side))), mean(scores.drawn(algo, side)))
            if side == "sampled" or algo in greedy
            else None
            for side in NAMES
        ]
        assert both[0] is not None
        rows.append((algo, both[0], both[1]))
    return intervals("mean score over all tasks", rows, line=0.0, names=NAMES)


def profiles(scores: Scores, order: Sequence[str]) -> list[str]:
    """The share of runs above each score, a panel for each family."""
    points = np.concatenate([scores.point(algo).ravel() for algo in order]) if order else np.zeros(1)
    low, high = (0.0, 1.0) if scores.kind == "probe" else (float(points.min()), float(points.max()))
    thresholds = np.linspace(low - 0.01, high + 0.01, 41)
    lines_of = {
        algo: list(zip(thresholds.tolist(), performance_profile(scores.point(algo), thresholds).tolist(), strict=True))
        for algo in order
    }
    panels = []
    for name, algos in groups(order).items():
        series = []
        for algo in algos:
            drawn = performance_profile(scores.drawn(algo)[::4], thresholds)
            below, above = np.quantile(drawn, [0.025, 0.975], axis=0)
            band = list(zip(thresholds.tolist(), below.tolist(), above.tolist(), strict=True))
            series.append(Series(algo, lines_of[algo], band))
        others = [points for algo, points in lines_of.items() if algo not in algos]
        panels.append(svg.panel(Panel(name, "score", "share of runs above it", series, others, y_range=(0.0, 1.0))))
    return panels


def curves(runs: Runs, scores: Scores, shown: Sequence[str] = ()) -> list[str]:
    """Reward in training against tokens, a panel for each family and task, or each of the tasks ``shown``."""
    panels = []
    for task in shown or scores.tasks:
        mine = [run for run in lines.select(runs, task=task) if run["curve"]["timesteps"]]
        drawn = {algo: _curve([r for r in mine if r["algo"] == algo], algo) for algo in lines.algos_of(mine)}
        headroom = scores.headroom[task]
        levels = (
            {"initial model": headroom.initial.value}
            if headroom.baseline is None
            else {"best decoding": headroom.baseline.value}
        )
        for name, algos in groups(list(drawn)).items():
            others = [one.points for algo, one in drawn.items() if algo not in algos]
            series = [drawn[algo] for algo in algos]
            title = f"{short_task(task)}: {name}"
            panels.append(svg.panel(Panel(title, "tokens", "reward in training", series, others, levels=levels)))
    return panels


def _curve(runs: Runs, label: str) -> Series:
    ends = [run["curve"]["timesteps"][-1] for run in runs]
    steps = np.linspace(max(run["curve"]["timesteps"][0] for run in runs), min(ends), POINTS)
    values = []
    for run in runs:
        rewards = np.asarray(run["curve"]["reward"], dtype=np.float64)
        width = max(1, len(rewards) // POINTS)
        smooth = np.convolve(
            np.pad(rewards, (width // 2, width - 1 - width // 2), "edge"), np.ones(width) / width, "valid"
        )
        values.append(np.interp(steps, run["curve"]["timesteps"], smooth))
    together = np.stack(values)
    band = list(zip(steps.tolist(), together.min(0).tolist(), together.max(0).tolist(), strict=True))
    return Series(
        label, list(zip(steps.tolist(), together.mean(0).tolist(), strict=True)), band if len(runs) > 1 else ()
    )


def cost_against_score(scores: Scores, runs: Runs) -> list[str]:
    """What the score of a trained algorithm costs, a panel for each family."""
    known = {}
    for algo in scores.complete():
        cost = costs_of(lines.select(runs, algo=algo)).get("forward_tokens")
        if cost:
            known[algo] = (float(cost), float(scores.point(algo).mean()))
    if len(known) < 2:
        return []
    labels = sorted(known, key=lambda algo: known[algo][0])
    best: list[tuple[float, float]] = []
    for algo in labels:
        if not best or known[algo][1] > best[-1][1]:
            best.append(known[algo])
    costs, points = zip(*known.values(), strict=True)
    margin = max(0.08 * (max(points) - min(points)), 0.01)
    x_range, y_range = (0.8 * min(costs), 1.25 * max(costs)), (min(points) - margin, max(points) + margin)
    cheapest = [Series("best for the cost", best)]
    panels = []
    for name, algos in groups(labels).items():
        series = [Series(algo, [known[algo]], marks=True) for algo in algos]
        what = Panel(name, "forward tokens of a run", "score, sampled", series, bases=cheapest, x_scale="log")
        panels.append(svg.panel(replace(what, x_range=x_range, y_range=y_range)))
    return panels


def fronts(by_task: Mapping[str, Sequence[Front]], *, together: bool = False) -> list[str]:
    """Held-out reward against KL, seeds averaged point by point, a panel for each task and family.

    An algorithm has one color in all panels. ``together``: a panel for each task.
    """
    areas: dict[str, list[float]] = {}
    for one in (one for mine in by_task.values() for one in mine):
        areas.setdefault(one.algo, []).append(one.area.value)
    order = sorted(areas, key=lambda algo: -float(np.mean(areas[algo])))
    panels = []
    for task, unordered in by_task.items():
        mine = sorted(unordered, key=lambda one: order.index(one.algo))
        drawn = {one.algo: Series(one.algo, _mean_points([list(run) for run in one.runs]), marks=True) for one in mine}
        tempered = [drawn.pop(TEMPERED)] if TEMPERED in drawn else []
        by_family = {"reward against KL": list(drawn)} if together else groups(list(drawn))
        for name, algos in by_family.items():
            others = [one.points for algo, one in drawn.items() if algo not in algos]
            what = Panel(
                f"{short_task(task)}: {name}", "KL to the initial model, nats", "held-out reward",
                [drawn[algo] for algo in algos], others, tempered, x_scale="sqrt",
            )  # fmt: skip
            panels.append(svg.panel(what))
    return panels


def _mean_points(by_seed: Sequence[Sequence[tuple[float, ...]]]) -> list[tuple[float, float]]:
    """The mean over seeds of each point, of as many points as all have."""
    count = min(len(points) for points in by_seed)
    return [
        (float(np.mean([points[i][0] for points in by_seed])), float(np.mean([points[i][1] for points in by_seed])))
        for i in range(count)
    ]


def ends_of_variants(found: Sequence[Overoptimization]) -> list[str]:
    """Proxy and gold reward of trained policies against their KL, a panel for each algorithm with several variants.

    Bands are from the lowest to the highest seed. Gray: on the way of the variant that gets furthest.
    """
    by_base: dict[tuple[str, str], list[Overoptimization]] = {}
    for one in found:
        by_base.setdefault((one.task, base(one.algo)), []).append(one)
    panels = []
    for (task, algo), variants in by_base.items():
        if len(variants) < 2:
            continue
        ends = sorted((np.array([run[-1] for run in one.runs]) for one in variants), key=lambda end: end[:, 0].mean())
        start = np.array([run[0] for one in variants for run in one.runs])
        ends = [start, *ends] if not start[:, 0].any() else ends
        series = []
        for column, label in ((1, "proxy"), (2, "gold")):
            points = [(float(end[:, 0].mean()), float(end[:, column].mean())) for end in ends]
            band = [
                (x, float(end[:, column].min()), float(end[:, column].max()))
                for (x, _), end in zip(points, ends, strict=True)
            ]
            series.append(Series(label, points, band, marks=True))
        furthest = max(variants, key=lambda one: max(kl for run in one.runs for kl, _, _ in run))
        on_the_way = [
            _mean_points([[(point[0], point[column]) for point in run] for run in furthest.runs]) for column in (1, 2)
        ]
        title = f"{algo}, {short_task(task)}: at the end"
        kl = "KL to the initial model, nats"
        panels.append(svg.panel(Panel(title, kl, "held-out reward", series, on_the_way, x_scale="sqrt")))
    return panels


def proxy_and_gold(found: Sequence[Overoptimization]) -> list[str]:
    """Proxy and gold reward against KL, and gold against proxy, for each algorithm."""
    panels = []
    for one in found:
        proxy = _mean_points([[(kl, value) for kl, value, _ in run] for run in one.runs])
        gold = _mean_points([[(kl, value) for kl, _, value in run] for run in one.runs])
        title = f"{one.algo}, {short_task(one.task)}"
        both = [Series("proxy", proxy, marks=True), Series("gold", gold, marks=True)]
        seeds = [[(kl, value) for kl, _, value in run] for run in one.runs]
        kl = "KL to the initial model, nats"
        panels.append(svg.panel(Panel(title, kl, "held-out reward", both, seeds, x_scale="sqrt")))
    by_task: dict[str, list[Overoptimization]] = {}
    for one in found:
        by_task.setdefault(one.task, []).append(one)
    for task, mine in by_task.items():
        against = {
            one.algo: Series(one.algo, _mean_points([[(proxy, gold) for _, proxy, gold in run] for run in one.runs]))
            for one in mine
        }
        for name, algos in groups(list(against)).items():
            others = [one.points for algo, one in against.items() if algo not in algos]
            title = f"{short_task(task)}: {name}"
            panels.append(svg.panel(Panel(title, "proxy", "gold", [against[algo] for algo in algos], others)))
    return panels
