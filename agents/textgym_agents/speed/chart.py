"""Time of a token against the length of completions, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textgym_agents.report.figures import COLORS, REFERENCE, figure, legend_below, plain
from textgym_agents.report.timing import Result

Line = tuple[str, int]  # the model's title, and episodes at once; 0 in updates
PANELS = {
    "rollout": "rollout: time a token, model.generate = 1",
    "update": "update: time a token, hand-written step = 1",
}


def plot(results: Sequence[Result], path: str | Path) -> bool:
    """Write a PNG. Above, the time of a token relative to the usual way's at the same length; below, the time itself.

    Points are medians of the repeats' ratios, bars their quartiles; dashed lines are the usual way. Returns whether
    there was something to draw: rollouts or updates of completions of equal length.
    """
    panels = {panel: lines for panel in PANELS if (lines := _lines(results, panel))}
    keys = list(dict.fromkeys(key for lines in panels.values() for key in lines))
    if not keys:
        return False
    titles, batches = list(dict.fromkeys(title for title, _ in keys)), sorted({rows for _, rows in keys})
    size = (6.2 * len(panels), 7.6)
    with figure(path, 2, len(panels), size, fonts=(11, 12, 10)) as (drawn, axes):
        for column, (panel, lines) in enumerate(panels.items()):
            relative, absolute = axes[:, column]
            for (title, rows), same in lines.items():
                label = f"{title}: {rows} episodes at once" if rows else f"{title}: update"
                look = {"color": COLORS[titles.index(title) % len(COLORS)], "marker": "osD^vP"[batches.index(rows) % 6]}
                _line(relative, absolute, same, {**look, "label": label})
            relative.axhline(1, linewidth=1.5, **REFERENCE)
            relative.set_title(PANELS[panel])
            absolute.set_xlabel("new tokens of each completion")
            lengths = sorted({one.setting["new_tokens"] for same in lines.values() for one in same})
            _finish(relative, lengths, "relative time (less is faster)")
            _finish(absolute, lengths, "ms a token (dashed: the usual way)")
        legend_below(drawn, axes[0], 2)
    return True


def _lines(results: Sequence[Result], panel: str) -> dict[Line, list[Result]]:
    """Results of each line, in order of length."""
    lines: dict[Line, list[Result]] = {}
    of_row = [one for one in results if one.row in ("rollout", "update", "seq2seq") and one.what.startswith(panel)]
    equal = [one for one in of_row if one.value and one.setting["mean_tokens"] is None]
    for one in sorted(equal, key=lambda one: one.setting["new_tokens"]):
        lines.setdefault((one.setting["title"], one.setting["rows"] if panel == "rollout" else 0), []).append(one)
    return lines


def _line(relative: Any, absolute: Any, same: Sequence[Result], look: dict[str, Any]) -> None:
    at = [one.setting["new_tokens"] for one in same]
    value = np.array([1 / (one.value or np.nan) for one in same])
    low, high = 1 / np.array([one.quartiles[::-1] for one in same]).T
    errors = np.maximum(np.stack([value - low, high - value]), 0)
    relative.errorbar(at, value, yerr=errors, capsize=4, linewidth=2, **look)
    absolute.plot(at, [1000 / (one.ours or np.nan) for one in same], linewidth=2, markersize=4, **look)
    usual = [1000 / (one.usual or np.nan) for one in same]
    absolute.plot(at, usual, linewidth=1.2, linestyle="--", markersize=4, **look)


def _finish(axis: Any, lengths: Sequence[int], label: str) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(lengths, [str(length) for length in lengths])
    axis.minorticks_off()
    axis.set_xlim(lengths[0] / 1.15, lengths[-1] * 1.15)
    axis.set_ylim(bottom=0)
    axis.set_ylabel(label)
    plain(axis)
