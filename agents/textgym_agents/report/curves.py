"""Learning curves as pictures: one panel per task, or a grid of tasks and groups of algorithms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from textgym_agents.report.figures import COLORS, REFERENCE, count_tokens, figure, legend_below, plain

MAX_POINTS = 24  # of a curve in a grid


@dataclass(frozen=True)
class Curve:
    """What one algorithm did on one task.

    Attributes:
        label: in the legend.
        runs: per seed, tokens of training and the mean reward of the episodes of each rollout.
        before: mean reward on held-out prompts before training; None: not drawn.
        held_out: tokens of training, mean reward on held-out prompts, and the bounds of its interval (NaN: none).
    """

    label: str
    runs: Sequence[tuple[Sequence[float], Sequence[float]]]
    before: float | None = None
    held_out: Sequence[tuple[float, float, float, float]] = ()


def plot_curves(panels: Mapping[str, Sequence[Curve]], path: str | Path) -> None:
    """Write a PNG: mean over seeds as a line, lowest to highest seed as a band, held-out rewards as points.

    Args:
        panels: curves by title.
        path: of the PNG.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    labels = list(dict.fromkeys(curve.label for curves in panels.values() for curve in curves))
    colors = {label: COLORS[i % len(COLORS)] for i, label in enumerate(labels)}
    with figure(path, rows, columns, (max(7.0, 5.2 * columns), 4.2 * rows + 0.6)) as (drawn, axes):
        for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
            _panel(axis, title, curves, colors)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        legend_below(drawn, axes, 5)


def _panel(axis: Axes, title: str, curves: Sequence[Curve], colors: Mapping[str, str]) -> None:
    for curve in curves:
        color = colors[curve.label]
        _training(axis, *aligned(curve.runs), color=color, band=0.18, label=curve.label)
        if curve.held_out:
            at, value, low, high = np.array(curve.held_out, dtype=np.float64).T
            looks: dict[str, Any] = {"color": color, "markersize": 6, "label": f"{curve.label}, held out"}
            if np.isnan(low).all():
                axis.plot(at, value, "o:", clip_on=False, **looks)
            else:
                errors = np.nan_to_num(np.maximum(np.stack([value - low, high - value]), 0))
                for part in axis.errorbar(at, value, yerr=errors, fmt="o", capsize=4, **looks).get_children():
                    part.set_clip_on(False)  # without training, it lies on the axis
    levels = [curve.before for curve in curves if curve.before is not None]
    if levels:
        axis.axhline(float(np.mean(levels)), linewidth=1.5, label="before, held out", **REFERENCE)
    axis.set_title(title)
    axis.set_xlabel("tokens of training")
    axis.set_ylabel("reward")
    count_tokens(axis, 5)
    axis.set_xlim(left=0)
    plain(axis)


def plot_curve_grid(
    groups: Mapping[str, Sequence[str]],
    panels: Mapping[str, Mapping[str, Curve]],
    references: Mapping[str, Mapping[str, float]],
    path: str | Path,
) -> None:
    """Write a PNG of small panels: a row for each group of algorithms, a column for each task.

    Args:
        groups: algorithms by the name of their group, at most as many in each as there are ``COLORS``.
        panels: curves by algorithm, by task.
        references: by task, rewards on held-out prompts to compare with, by label (two at most): horizontal lines.
        path: of the PNG.
    """
    size = (2.6 + 2.5 * len(panels), 0.8 + 2.0 * len(groups))
    labels = dict.fromkeys(label for lines in references.values() for label in lines)
    lines: dict[str, Any] = {
        label: {**REFERENCE, "linestyle": style, "linewidth": 1.3}
        for label, style in zip(labels, ("--", ":"), strict=False)
    }
    with figure(path, len(groups), len(panels), size, fonts=(13, 14, 12.5), sharex="col", sharey="col") as (
        drawn,
        axes,
    ):
        for row, (name, algos) in zip(axes, groups.items(), strict=True):
            for axis, (task, curves) in zip(row, panels.items(), strict=True):
                for algo, color in zip(algos, COLORS, strict=False):
                    if algo in curves:
                        _training(axis, *_thinned(*aligned(curves[algo].runs)), color=color, band=0.15)
                count_tokens(axis, 3)
                axis.yaxis.set_major_locator(MaxNLocator(4))
                plain(axis)
                for label, level in references[task].items():
                    axis.axhline(level, **lines[label])
            keys = [
                Line2D([], [], color=color, linewidth=2.5, label=algo)
                for algo, color in zip(algos, COLORS, strict=False)
            ]
            place: Any = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "alignment": "left", "frameon": False}
            row[-1].legend(handles=keys, title=name.replace(", ", ",\n"), **place)
        for above, below, (task, curves) in zip(axes[0], axes[-1], panels.items(), strict=True):
            above.set_title(task)
            below.set_xlabel("tokens")
            ends = [steps[-1] for curve in curves.values() for steps, _ in curve.runs if len(steps)]
            below.set_xlim(0, 1.03 * max(ends, default=1))
        drawn.supylabel("reward in training", fontsize=13)
        keys = [Line2D([], [], label=label, **look) for label, look in lines.items()]
        drawn.legend(handles=keys, loc="outside lower center", ncols=len(keys))


def _training(axis: Axes, steps: Any, rewards: Any, *, color: str, band: float, label: str | None = None) -> None:
    """The mean over seeds of rewards (seeds, points) as a line, and a band of that opacity around all seeds."""
    if not len(steps):
        return
    axis.plot(steps, rewards.mean(0), color=color, linewidth=2, marker="." if len(steps) == 1 else "", label=label)
    if len(rewards) > 1:
        axis.fill_between(steps, rewards.min(0), rewards.max(0), color=color, alpha=band, linewidth=0)


def _thinned(steps: Any, rewards: Any) -> tuple[Any, Any]:
    """At most ``MAX_POINTS`` points, each the mean of neighbors."""
    if not len(steps):
        return steps, rewards
    size = -(-len(steps) // MAX_POINTS)
    starts = range(0, len(steps), size)
    means = [rewards[:, start : start + size].mean(1) for start in starts]
    return np.array([steps[start : start + size].mean() for start in starts]), np.stack(means, axis=1)


def aligned(runs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[Any, Any]:
    """Tokens (points,) and rewards (seeds, points) at the first run's tokens; shorter runs are interpolated there."""
    filled = [(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)) for x, y in runs if len(x)]
    if not filled:
        return np.zeros(0), np.zeros((0, 0))
    steps = filled[0][0]
    return steps, np.stack([np.interp(steps, x, y) for x, y in filled])
