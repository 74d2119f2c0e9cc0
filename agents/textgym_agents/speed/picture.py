"""Cost per token against length, as a picture."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into files; a display is neither needed nor opened
import matplotlib.pyplot as plt
import numpy as np

from textgym_agents.report.figures import COLORS
from textgym_agents.speed.measure import Result

Line = tuple[str, int]  # the model's title, and texts at once; 0 in updates
PANELS = {
    "rollout": "rollout: time a token, model.generate = 1",
    "update": "update: time a token, hand-written step = 1",
}


def plot(results: Sequence[Result], path: str | Path) -> bool:
    """Write a PNG. Above, the time of a token relative to the usual way's at the same length; below, the time itself.

    Points are medians of the repeats' ratios, bars their quartiles; dashed lines are the usual way. Returns whether
    there was something to draw: rollouts or updates of texts of equal length.
    """
    lines = {panel: _lines(results, panel) for panel in PANELS}
    panels = [panel for panel in PANELS if lines[panel]]
    if not panels:
        return False
    keys = [key for panel in panels for key in lines[panel]]
    looks = _looks(dict.fromkeys(title for title, _ in keys), sorted({rows for _, rows in keys}))
    style: Any = {"font.size": 11, "axes.titlesize": 12, "legend.fontsize": 10}
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            2, len(panels), figsize=(6.2 * len(panels), 7.6), squeeze=False, layout="constrained"
        )
        for column, panel in enumerate(panels):
            _relative(axes[0, column], PANELS[panel], lines[panel], looks)
            _absolute(axes[1, column], lines[panel], looks)
        handles: dict[str, Any] = {}
        for axis in axes[0]:
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
        figure.savefig(path, dpi=130, metadata={"Software": None})
        plt.close(figure)
    return True


def _lines(results: Sequence[Result], panel: str) -> dict[Line, list[Result]]:
    """Results of each line, in order of length."""
    found: dict[Line, list[Result]] = {}
    for one in results:
        equal = one.setting.get("new_tokens") is not None and one.setting.get("mean_tokens") is None
        if one.row in ("rollout", "update", "seq2seq") and equal and one.what.startswith(panel) and one.value:
            rows = one.setting["rows"] if panel == "rollout" else 0
            found.setdefault((one.setting["title"], rows), []).append(one)
    return {key: sorted(same, key=lambda one: one.setting["new_tokens"]) for key, same in found.items()}


def _looks(titles: Iterable[str], batches: Sequence[int]) -> Callable[[Line], dict[str, Any]]:
    """A colour for each model, a marker for each number of texts at once, and a label that says both."""
    colours = {title: COLORS[i % len(COLORS)] for i, title in enumerate(titles)}
    markers = {rows: "osD^vP"[i % 6] for i, rows in enumerate(batches)}

    def look(line: Line) -> dict[str, Any]:
        title, rows = line
        label = f"{title}: {rows} texts at once" if rows else f"{title}: update"
        return {"color": colours[title], "marker": markers[rows], "label": label}

    return look


def _relative(axis: Any, title: str, lines: dict[Line, list[Result]], look: Callable[[Line], dict[str, Any]]) -> None:
    for key, same in lines.items():
        at = [one.setting["new_tokens"] for one in same]
        value = np.array([1 / (one.value or np.nan) for one in same])
        ends = 1 / np.array([[one.middle[2], one.middle[1]] for one in same]).T
        errors = np.maximum(np.stack([value - ends[0], ends[1] - value]), 0)
        axis.errorbar(at, value, yerr=errors, capsize=4, linewidth=2, **look(key))
    axis.axhline(1, color="0.35", linestyle="--", linewidth=1.5)
    axis.set_title(title)
    _finish(axis, lines, "relative time (less is faster)")


def _absolute(axis: Any, lines: dict[Line, list[Result]], look: Callable[[Line], dict[str, Any]]) -> None:
    for key, same in lines.items():
        at = [one.setting["new_tokens"] for one in same]
        looks = {**look(key), "markersize": 4}
        axis.plot(at, [1000 / (one.ours or np.nan) for one in same], linewidth=2, **looks)
        axis.plot(at, [1000 / (one.usual or np.nan) for one in same], linewidth=1.2, linestyle="--", **looks)
    axis.set_xlabel("new tokens of each text")
    _finish(axis, lines, "ms a token (dashed: the usual way)")


def _finish(axis: Any, lines: dict[Line, list[Result]], label: str) -> None:
    lengths = sorted({one.setting["new_tokens"] for same in lines.values() for one in same})
    axis.set_xscale("log", base=2)
    axis.set_xticks(lengths, [str(length) for length in lengths])
    axis.minorticks_off()
    axis.set_xlim(lengths[0] / 1.15, lengths[-1] * 1.15)
    axis.set_ylim(bottom=0)
    axis.set_ylabel(label)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
