"""Many values with intervals as a picture: a column for each task, a row for each algorithm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from textgym_agents.report.figures import REFERENCE, figure, plain
from textgym_agents.report.numbers import Estimate

# Distinguished by color and by shape.
LOOKS = {"better": ("#0072B2", "^"), "unclear": ("0.45", "o"), "worse": ("#D55E00", "v"), "itself": ("black", "D")}


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
        lines: where a column has its dashed line: the initial model.
        reference: the algorithm that the looks of dots compare with; None: the initial model.
        path: of the PNG.
    """
    size = (max(8.5, 2.3 + 2.35 * len(columns)), 1.9 + 0.31 * len(algos))
    with figure(path, 1, len(columns), size, fonts=(13, 14, 12.5), sharey=True) as (drawn, axes):
        for axis, (title, dots) in zip(axes[0], columns.items(), strict=True):
            _column(axis, title, dots, algos, lines.get(title))
        axes[0, 0].set_yticks(range(len(algos)), algos)
        axes[0, 0].set_ylim(len(algos) - 0.4, -0.6)
        drawn.legend(handles=_keys(columns, reference), loc="outside lower center", ncols=3 if len(columns) > 3 else 2)


def _column(axis: Axes, title: str, dots: Mapping[str, Dot], algos: Sequence[str], line: float | None) -> None:
    for row, algo in enumerate(algos):
        if row % 2:
            axis.axhspan(row - 0.5, row + 0.5, color="0.955", linewidth=0, zorder=0)
        if algo not in dots:
            continue
        value, (color, marker) = dots[algo].value, LOOKS[dots[algo].verdict]
        if not np.isnan(value.low):
            axis.plot([value.low, value.high], [row, row], color=color, linewidth=2, solid_capstyle="butt")
        axis.plot([value.value], [row], marker, color=color, markersize=7)
    if line is not None:
        axis.axvline(line, linewidth=1.3, zorder=1, **REFERENCE)
    name, _, meaning = title.partition("\n")
    axis.set_title(name)
    axis.set_xlabel(meaning)
    axis.xaxis.set_major_locator(MaxNLocator(4, prune=None, min_n_ticks=3))
    plain(axis, grid="x", alpha=0.35)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
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
        Line2D([], [], color=color, marker=marker, linewidth=2, markersize=7, label=labels[verdict])
        for verdict, (color, marker) in LOOKS.items()
        if verdict in shown
    ]
    return [*keys, Line2D([], [], linewidth=1.3, label="the initial model", **REFERENCE)]
