"""What one algorithm can do, as a polygon: an axis for each ability, from 0 in the middle to 1."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from textgym_agents.report.numbers import Estimate
from textgym_agents.report.svg import element

WIDTH, HEIGHT, RADIUS = 316, 232, 82


def radar(title: str, values: Mapping[str, Estimate], axes: Sequence[str], *, color: int = 0) -> str:
    """An ``<svg>`` element: the values as a polygon, their intervals as a band, rings at 0.5 and 1.

    Args:
        title: above.
        values: by axis; an axis without one is drawn without a point.
        axes: in order, clockwise from the top; at least three.
        color: index of the colors of ``svg``.
    """
    middle, center = WIDTH / 2, HEIGHT / 2 + 9

    def at(i: int, value: float) -> tuple[float, float]:
        angle = 2 * math.pi * i / len(axes) - math.pi / 2
        reach = RADIUS * min(max(value, 0.0), 1.0)
        return middle + reach * math.cos(angle), center + reach * math.sin(angle)

    def polygon(chosen: Sequence[float]) -> str:
        return " ".join("{:.1f},{:.1f}".format(*at(i, value)) for i, value in enumerate(chosen))

    drawn = [f'<text class="title" x="{middle:g}" y="15" text-anchor="middle">{escape(title)}</text>']
    for ring in (0.5, 1.0):
        drawn.append(f'<polygon class="grid" points="{polygon([ring] * len(axes))}"/>')
    for i, name in enumerate(axes):
        x, y = at(i, 1.0)
        drawn.append(f'<path class="grid" d="M{middle:g} {center:g}L{x:.1f} {y:.1f}"/>')
        angle = 2 * math.pi * i / len(axes) - math.pi / 2
        far_x, far_y = x + 7 * math.cos(angle), y + 9 * math.sin(angle) + 3.5
        side = "middle" if abs(math.cos(angle)) < 0.2 else "start" if math.cos(angle) > 0 else "end"
        drawn.append(f'<text class="small" x="{far_x:.1f}" y="{far_y:.1f}" text-anchor="{side}">{escape(name)}</text>')
    known = [values.get(name, Estimate(0.0, 0.0, 0.0)) for name in axes]
    lows = [one.value if math.isnan(one.low) else one.low for one in known]
    highs = [one.value if math.isnan(one.high) else one.high for one in known]
    band = f"M{polygon(highs).replace(' ', 'L')}ZM{polygon(lows).replace(' ', 'L')}Z"
    drawn.append(f'<path class="b{color}" fill-rule="evenodd" d="{band}"/>')
    points = polygon([one.value for one in known])
    drawn.append(f'<polygon class="b{color}" points="{points}"/><polygon class="e{color}" points="{points}"/>')
    for i, name in enumerate(axes):
        if name in values:
            x, y = at(i, values[name].value)
            one = values[name]
            said = f"{name}: {one.value:.2f} [{lows[i]:.2f}, {highs[i]:.2f}]"
            drawn.append(
                f'<circle class="f{color}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(said)}</title></circle>'
            )
    return element(WIDTH, HEIGHT, drawn, title)
