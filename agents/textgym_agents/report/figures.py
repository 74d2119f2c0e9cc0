"""What all pictures share: colors, fonts, plain axes, and files that are equal where the data are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into files; a display is neither needed nor opened
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from textgym_agents.storage import replacing

# Okabe and Ito's colors, which color-blind readers tell apart too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
REFERENCE: dict[str, Any] = {"color": "0.35", "linestyle": "--"}  # of lines to compare with


@contextmanager
def figure(
    path: str | Path,
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    fonts: tuple[float, float, float] = (12, 14, 11),
    **options: Any,
) -> Iterator[tuple[Figure, Any]]:
    """A figure and its axes (rows, columns), written as a PNG when the block ends.

    Args:
        path: of the PNG.
        rows, columns: of panels.
        size: width and height in inches.
        fonts: sizes in points of text, titles and legends.
        options: of ``plt.subplots``.
    """
    text, title, legend = fonts
    style: Any = {"font.size": text, "axes.labelsize": text, "axes.titlesize": title, "legend.fontsize": legend}
    with plt.rc_context(style):
        drawn, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)
        try:
            yield drawn, axes
            with replacing(path, "a picture") as new:  # without metadata equal data give equal files
                drawn.savefig(new, format="png", dpi=130, metadata={"Software": None})
        finally:
            plt.close(drawn)


def plain(axis: Axes, *, grid: str = "both", alpha: float = 0.3) -> None:
    """A light grid, and no frame above and on the right."""
    axis.grid(axis=grid, alpha=alpha)  # type: ignore[arg-type]
    axis.spines[["top", "right"]].set_visible(False)


def count_tokens(axis: Axes, ticks: int) -> None:
    """At most so many ticks on the horizontal axis, 20000 written as 20k."""
    axis.xaxis.set_major_locator(MaxNLocator(ticks))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}"))


def legend_below(drawn: Figure, axes: Any, columns: int) -> None:
    """One legend for all panels, below them, with each label once."""
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    drawn.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(columns, len(handles)))
