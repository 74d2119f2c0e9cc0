"""Learning curves as pictures: one panel per task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from textgym_agents.report.figures import COLORS, REFERENCE, count_tokens, figure, legend_below, plain


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


def _training(axis: Axes, steps: Any, rewards: Any, *, color: str, band: float, label: str | None = None) -> None:
    """The mean over seeds of rewards (seeds, points) as a line, and a band of that opacity around all seeds."""
    if not len(steps):
        return
    axis.plot(steps, rewards.mean(0), color=color, linewidth=2, marker="." if len(steps) == 1 else "", label=label)
    if len(rewards) > 1:
        axis.fill_between(steps, rewards.min(0), rewards.max(0), color=color, alpha=band, linewidth=0)


def aligned(runs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[Any, Any]:
    """Tokens (points,) and rewards (seeds, points) at the first run's tokens; shorter runs are interpolated there."""
    filled = [(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)) for x, y in runs if len(x)]
    if not filled:
        return np.zeros(0), np.zeros((0, 0))
    steps = filled[0][0]
    return steps, np.stack([np.interp(steps, x, y) for x, y in filled])
