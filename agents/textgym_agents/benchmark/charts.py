"""The picture of a few algorithms: learning curves, a panel for each task."""

from collections.abc import Sequence
from pathlib import Path

from textgym_agents.benchmark.aggregate import ALL_TASKS, Row
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.composites import short_task
from textgym_agents.report.curves import Curve, plot_curves

CURVES = "learning_curves.png"


def draw_curves(folder: Path, runs: Runs, rows: Sequence[Row]) -> None:
    """Write ``learning_curves.png`` with one panel a task, rewards on held-out prompts included."""
    panels: dict[str, list[Curve]] = {}
    for row in rows:
        if row.measure != "reward" or row.task == ALL_TASKS:
            continue
        mine = lines.select(runs, algo=row.algo, task=row.task)
        after, panel = row.after, panels.setdefault(short_task(row.task), [])
        end = max(run["timesteps"] for run in mine)  # where the line ends, too
        width = max(run["timesteps"] for run in runs if run["task"] == row.task)
        beside = end + 0.015 * width * len(panel)  # so that error bars don't hide each other
        panel.append(
            Curve(
                label=row.algo,
                runs=[(run["curve"]["timesteps"], run["curve"]["reward"]) for run in mine],
                before=row.before.value,
                held_out=[(beside, after.value, after.low, after.high)],
            )
        )
    plot_curves(panels, folder / CURVES)
