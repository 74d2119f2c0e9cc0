"""Pictures of many algorithms: dots with intervals, and learning curves in small multiples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into files; a display is neither needed nor opened
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from textgym_agents.benchmark.aggregate import Estimate
from textgym_agents.report.curves import COLOURS, Curve, aligned

# Told apart by colour and by shape.
LOOKS = {"better": ("#0072B2", "^"), "unclear": ("0.45", "o"), "worse": ("#D55E00", "v"), "itself": ("black", "D")}
MAX_POINTS = 24  # of a curve in a small panel
STYLE: Any = {"font.size": 13, "axes.titlesize": 14, "axes.labelsize": 13, "legend.fontsize": 12.5}


@dataclass(frozen=True)
class Dot:
    """A value with its interval, and how it compares: a key of ``LOOKS``."""

    value: Estimate
    verdict: str


def plot_dots(
    columns: Mapping[str, Mapping[str, Dot]],
    algos: Sequence[str],
    lines: Mapping[str, float],
    reference: str | None,
    path: str | Path,
) -> None:
    """Write a PNG: a column for each task, a row for each algorithm, a dot with its interval where they meet.

    Args:
        columns: dots by algorithm, by title; the part of a title after a line break says what the numbers are.
        algos: from top to bottom.
        lines: where a dashed line stands in a column: the initial model.
        reference: the algorithm that the looks of dots compare with; None: the initial model.
        path: of the PNG.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            len(columns),
            figsize=(max(8.5, 2.3 + 2.35 * len(columns)), 1.9 + 0.31 * len(algos)),
            squeeze=False,
            sharey=True,
            layout="constrained",
        )
        for axis, (title, dots) in zip(axes[0], columns.items(), strict=True):
            _column(axis, title, dots, algos, lines.get(title))
        axes[0, 0].set_yticks(range(len(algos)), algos)
        axes[0, 0].set_ylim(len(algos) - 0.4, -0.6)
        figure.legend(handles=_keys(columns, reference), loc="outside lower center", ncols=3 if len(columns) > 3 else 2)
        figure.savefig(path, dpi=130, metadata={"Software": None})
        plt.close(figure)


def _column(axis: Axes, title: str, dots: Mapping[str, Dot], algos: Sequence[str], line: float | None) -> None:
    for row, algo in enumerate(algos):
        if row % 2:
            axis.axhspan(row - 0.5, row + 0.5, color="0.955", linewidth=0, zorder=0)
        if algo not in dots:
            continue
        value, (colour, marker) = dots[algo].value, LOOKS[dots[algo].verdict]
        if not np.isnan(value.low):
            axis.plot([value.low, value.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axis.plot([value.value], [row], marker, color=colour, markersize=7)
    if line is not None:
        axis.axvline(line, color="0.35", linestyle="--", linewidth=1.3, zorder=1)
    name, _, meaning = title.partition("\n")
    axis.set_title(name)
    axis.set_xlabel(meaning)
    axis.xaxis.set_major_locator(MaxNLocator(4, prune=None, min_n_ticks=3))
    axis.grid(axis="x", alpha=0.35)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.margins(x=0.06)


def _keys(columns: Mapping[str, Mapping[str, Dot]], reference: str | None) -> list[Line2D]:
    name = "the initial model" if reference is None else reference
    labels = {
        "better": f"better than {name}",
        "unclear": f"not clearly different from {name}",
        "worse": f"worse than {name}",
        "itself": name,
    }
    shown = {dot.verdict for dots in columns.values() for dot in dots.values()}
    keys = [
        Line2D([], [], color=colour, marker=marker, linewidth=2, markersize=7, label=labels[verdict])
        for verdict, (colour, marker) in LOOKS.items()
        if verdict in shown
    ]
    return [*keys, Line2D([], [], color="0.35", linestyle="--", linewidth=1.3, label="the initial model")]


def plot_small_multiples(
    groups: Mapping[str, Sequence[str]],
    panels: Mapping[str, Mapping[str, Curve]],
    references: Mapping[str, Mapping[str, float]],
    path: str | Path,
) -> None:
    """Write a PNG of learning curves: a row for each group of algorithms, a column for each task.

    Args:
        groups: algorithms by the name of their group, at most as many in each as there are ``COLOURS``.
        panels: curves by algorithm, by task.
        references: by task, rewards on held-out prompts to compare with, by label (two at most): horizontal lines.
        path: of the PNG.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(groups),
            len(panels),
            figsize=(2.6 + 2.5 * len(panels), 0.8 + 2.0 * len(groups)),
            squeeze=False,
            sharex="col",
            sharey="col",
            layout="constrained",
        )
        labels = dict.fromkeys(label for lines in references.values() for label in lines)
        dashes: dict[str, Any] = dict(zip(labels, ("--", ":"), strict=False))
        for row, (name, algos) in zip(axes, groups.items(), strict=True):
            for axis, (task, curves) in zip(row, panels.items(), strict=True):
                _panel(
                    axis,
                    [(curves[algo], colour) for algo, colour in zip(algos, COLOURS, strict=False) if algo in curves],
                )
                for label, level in references[task].items():
                    axis.axhline(level, color="0.35", linestyle=dashes[label], linewidth=1.3)
            colours = zip(algos, COLOURS, strict=False)
            keys = [Line2D([], [], color=colour, linewidth=2.5, label=algo) for algo, colour in colours]
            place: Any = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "alignment": "left", "frameon": False}
            row[-1].legend(handles=keys, title=name.replace(", ", ",\n"), **place)
        for axis, task in zip(axes[0], panels, strict=True):
            axis.set_title(task)
        for axis, curves in zip(axes[-1], panels.values(), strict=True):
            axis.set_xlabel("tokens")
            ends = [steps[-1] for curve in curves.values() for steps, _ in curve.runs if len(steps)]
            axis.set_xlim(0, 1.03 * max(ends, default=1))
        keys = [
            Line2D([], [], color="0.35", linestyle=style, linewidth=1.3, label=label) for label, style in dashes.items()
        ]
        figure.supylabel("reward in training", fontsize=13)
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
        figure.savefig(path, dpi=130, metadata={"Software": None})
        plt.close(figure)


def _panel(axis: Axes, curves: Sequence[tuple[Curve, str]]) -> None:
    for curve, colour in curves:
        steps, rewards = aligned(curve.runs)
        if not len(steps):
            continue
        size = -(-len(steps) // MAX_POINTS)
        starts = range(0, len(steps), size)
        steps = np.array([steps[start : start + size].mean() for start in starts])
        rewards = np.stack([rewards[:, start : start + size].mean(1) for start in starts], axis=1)
        axis.plot(steps, rewards.mean(0), color=colour, linewidth=2, marker="." if len(steps) == 1 else "")
        if len(rewards) > 1:
            axis.fill_between(steps, rewards.min(0), rewards.max(0), color=colour, alpha=0.15, linewidth=0)
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}"))
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
