"""What the pictures of a benchmark show: learning curves, and of many algorithms a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textgym_agents.benchmark import suites
from textgym_agents.benchmark.aggregate import ALL_TASKS, Row, Runs
from textgym_agents.benchmark.comparison import Comparison, Overall
from textgym_agents.benchmark.composites import short_task
from textgym_agents.report.curves import Curve, plot_curve_grid, plot_curves
from textgym_agents.report.dots import Dot, plot_dots
from textgym_agents.report.figures import COLORS

COMPARISON, CURVES = "comparison.png", "learning_curves.png"


def draw_few(folder: Path, runs: Runs, rows: Sequence[Row]) -> None:
    """Write ``learning_curves.png`` with one panel a task, rewards on held-out prompts included."""
    panels: dict[str, list[Curve]] = {}
    for row in rows:
        if row.measure != "reward" or row.task == ALL_TASKS:
            continue
        mine = [run for run in runs if (run["algo"], run["task"]) == (row.algo, row.task)]
        after, panel = row.mean.after, panels.setdefault(short_task(row.task), [])
        end = max(run["timesteps"] for run in mine)  # where the line ends, too
        width = max(run["timesteps"] for run in runs if run["task"] == row.task)
        beside = end + 0.015 * width * len(panel)  # so that error bars don't hide each other
        panel.append(
            Curve(
                label=row.algo,
                runs=[(run["curve"]["timesteps"], run["curve"]["reward"]) for run in mine],
                before=row.mean.before.value,
                held_out=[(beside, after.value, after.low, after.high)],
            )
        )
    plot_curves(panels, folder / CURVES)


def draw_many(folder: Path, runs: Runs, comparison: Comparison) -> None:
    """Write ``comparison.png`` and, where anything was trained, ``learning_curves.png``."""
    order = [whole.algo for whole in comparison.overall]
    order += [one.algo for standings in comparison.standings.values() for one in standings]
    order = list(dict.fromkeys(order))
    columns: dict[str, dict[str, Dot]] = {}
    lines: dict[str, float] = {}
    if comparison.overall:
        title = "all tasks\n" + ("score, IQM" if comparison.scaled else "gain, IQM")
        columns[title] = {
            whole.algo: Dot(whole.score, _overall_verdict(whole, comparison)) for whole in comparison.overall
        }
        lines[title] = 0.0
    for task, standings in comparison.standings.items():
        title = f"{_short_title(short_task(task))}\nreward"
        columns[title] = {one.algo: Dot(one.after, one.verdict) for one in standings}
        lines[title] = float(np.mean([one.after.value - one.gain.value for one in standings]))
    plot_dots(columns, order, lines, comparison.reference, folder / COMPARISON)
    groups = _groups(runs)
    if groups:
        plot_curve_grid(groups, _curves(runs), _levels(comparison), folder / CURVES)


def _overall_verdict(one: Overall, comparison: Comparison) -> str:
    """By the probability of improvement, whose interval may or may not exclude a half."""
    if one.algo == comparison.reference:
        return "itself"
    value, even = (one.score, 0.0) if one.improvement is None else (one.improvement, 0.5)
    return "better" if value.low > even else "worse" if value.high < even else "unclear"


def _short_title(task: str) -> str:
    """Long names of tasks would run into each other.

    >>> _short_title("SentimentContinuation")
    'Sentiment…'
    """
    return task if len(task) <= 14 else f"{task[:9]}…"


def _groups(runs: Runs) -> dict[str, list[str]]:
    """Algorithms that have learning curves, by family; small families share a row."""
    families: dict[str, list[str]] = {}
    for run in runs:
        if run["curve"]["timesteps"] and run["algo"] not in families.setdefault(suites.family(run["algo"]), []):
            families[suites.family(run["algo"])].append(run["algo"])
    groups: dict[str, list[str]] = {}
    last = ""
    for family, algos in families.items():
        pieces = [algos[start : start + len(COLORS)] for start in range(0, len(algos), len(COLORS))]
        for number, piece in enumerate(pieces):
            if last and len(groups[last]) + len(piece) <= 4:
                groups[f"{last}, {family}"] = groups.pop(last) + piece
                last = f"{last}, {family}"
            else:
                last = family if number == 0 else f"{family} {number + 1}"
                groups[last] = piece
    return groups


def _curves(runs: Runs) -> dict[str, dict[str, Curve]]:
    curves: dict[str, dict[str, list[Any]]] = {}
    for run in runs:
        curve = (run["curve"]["timesteps"], run["curve"]["reward"])
        curves.setdefault(_short_title(short_task(run["task"])), {}).setdefault(run["algo"], []).append(curve)
    return {task: {algo: Curve(algo, seeds) for algo, seeds in all_.items()} for task, all_ in curves.items()}


def _levels(comparison: Comparison) -> dict[str, dict[str, float]]:
    levels: dict[str, dict[str, float]] = {}
    for task, standings in comparison.standings.items():
        level = levels.setdefault(_short_title(short_task(task)), {})
        level["initial model, held out"] = float(np.mean([one.after.value - one.gain.value for one in standings]))
        for one in standings:
            if one.algo == comparison.reference:
                level[f"{one.algo}, held out"] = one.after.value
    return levels
