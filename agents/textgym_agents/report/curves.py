"""Learning curves as a picture: one panel per task, one colour per algorithm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into files; a display is neither needed nor opened
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Okabe and Ito's colours: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@dataclass(frozen=True)
class Curve:
    """What one algorithm did on one task.

    Attributes:
        label: in the legend.
        runs: per seed, tokens of training and the mean reward of the texts written in each rollout.
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
    colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}
    style: Any = {"font.size": 12, "axes.titlesize": 14, "axes.labelsize": 12, "legend.fontsize": 11}
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            rows, columns, figsize=(max(7.0, 5.2 * columns), 4.2 * rows + 0.6), squeeze=False, layout="constrained"
        )
        for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
            _panel(axis, title, curves, colours)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        handles: dict[str, Any] = {}
        for axis in axes.flat:
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, len(handles)))
        # Without metadata equal curves give equal files.
        figure.savefig(path, dpi=130, metadata={"Software": None})
        plt.close(figure)


def _panel(axis: Axes, title: str, curves: Sequence[Curve], colours: Mapping[str, str]) -> None:
    for curve in curves:
        colour = colours[curve.label]
        steps, rewards = aligned(curve.runs)
        if len(steps):
            marker = "." if len(steps) == 1 else ""
            axis.plot(steps, rewards.mean(0), color=colour, linewidth=2, marker=marker, label=curve.label)
        if len(steps) and len(rewards) > 1:
            axis.fill_between(steps, rewards.min(0), rewards.max(0), color=colour, alpha=0.18, linewidth=0)
        if curve.held_out:
            at, value, low, high = np.array(curve.held_out, dtype=np.float64).T
            looks: dict[str, Any] = {"color": colour, "markersize": 6, "label": f"{curve.label}, held out"}
            if np.isnan(low).all():
                axis.plot(at, value, "o:", clip_on=False, **looks)
            else:
                errors = np.nan_to_num(np.maximum(np.stack([value - low, high - value]), 0))
                axis.errorbar(at, value, yerr=errors, fmt="o", capsize=4, **looks)
    levels = [curve.before for curve in curves if curve.before is not None]
    if levels:
        axis.axhline(float(np.mean(levels)), color="0.35", linestyle="--", linewidth=1.5, label="before, held out")
    axis.set_title(title)
    axis.set_xlabel("tokens of training")
    axis.set_ylabel("reward")
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}"))
    axis.set_xlim(left=0)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def aligned(runs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[Any, Any]:
    """Tokens (points,) and rewards (seeds, points) at the first run's tokens; shorter runs are interpolated there."""
    filled = [(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)) for x, y in runs if len(x)]
    if not filled:
        return np.zeros(0), np.zeros((0, 0))
    steps = filled[0][0]
    return steps, np.stack([np.interp(steps, x, y) for x, y in filled])
