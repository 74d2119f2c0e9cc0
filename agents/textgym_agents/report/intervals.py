"""Values with intervals as a picture: a row each, two values in a row."""

import math
from collections.abc import Sequence
from html import escape

from textgym_agents.report.numbers import Estimate
from textgym_agents.report.svg import element, short, ticks

ROW = 19  # height of a row of dots


def intervals(
    title: str, rows: Sequence[tuple[str, Estimate, Estimate | None]], *, line: float | None, names: tuple[str, str]
) -> str:
    """Values with intervals, a row each: a filled circle, and a hollow diamond for a second value.

    Args:
        title: above.
        rows: label, value and second value or None.
        line: a vertical dashed line.
        names: what the two values are.
    """
    left, width, top = 164, 440, 44
    known = [one for _, first, second in rows for one in (first, second) if one is not None]
    bounds = [b for one in known for b in (one.value, one.low, one.high) if not math.isnan(b)]
    bounds += [] if line is None else [line]
    low, high = min(bounds, default=0.0), max(bounds, default=1.0)
    margin = 0.04 * (high - low) or 0.5
    low, high = low - margin, high + margin

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - 10)

    bottom = top + ROW * len(rows)
    drawn = [f'<text class="title" x="4" y="15">{escape(title)}</text>']
    drawn.append(f'<circle class="f0" cx="10" cy="29" r="4"/><text x="19" y="33">{escape(names[0])}</text>')
    if any(second is not None for _, _, second in rows):
        drawn.append(f'{_diamond(130, 29)}<text x="140" y="33">{escape(names[1])}</text>')
    for tick in ticks(low, high, 5):
        x = across(tick)
        drawn.append(f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/>')
        drawn.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{short(tick)}</text>')
    if line is not None:
        drawn.append(f'<path class="base" d="M{across(line):.1f} {top}V{bottom}"/>')
    for i, (label, first, second) in enumerate(rows):
        y = top + ROW * (i + 0.5)
        size = "" if len(label) <= 24 else ' class="small"'
        drawn.append(f'<text{size} x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(_cut(label, 30))}</text>')
        for one, shift, number in ((second, 3.5, 1), (first, -2.5 if second is not None else 0, 0)):
            if one is None or math.isnan(one.value):
                continue
            x, at = across(one.value), y + shift
            if not math.isnan(one.low):
                drawn.append(f'<path class="e{number}" d="M{across(one.low):.1f} {at:.1f}H{across(one.high):.1f}"/>')
            drawn.append(f'<circle class="f0" cx="{x:.1f}" cy="{at:.1f}" r="4"/>' if not number else _diamond(x, at))
    return element(width, bottom + 20, drawn, title)


def _cut(label: str, length: int) -> str:
    return label if len(label) <= length else f"{label[: length - 1]}…"


def _diamond(x: float, y: float) -> str:
    return f'<path class="f1 dot" d="M{x - 4.5:.1f} {y:.1f}l4.5 -4.5l4.5 4.5l-4.5 4.5z"/>'
