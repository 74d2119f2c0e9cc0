"""Small pictures as SVG text: for a page, where its colors follow the page, or as a file of its own.

Colors are Okabe and Ito's (lighter ones on dark ground), each with a dash pattern of its own, so that nothing hangs on
seeing colors. Equal data give equal text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

LIGHT = ("#0072B2", "#D55E00", "#009E73", "#B5568F", "#B77E00", "#2E8BC0", "#222222")
DARK = ("#5AB0E6", "#FF8A4C", "#2FC79A", "#E59BC4", "#F0B429", "#A5D8F6", "#F2F2F2")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 4")
MANY = len(LIGHT)  # series in one picture at most

_RULES = """
.plot text{{font:11px system-ui,sans-serif;fill:{ink}}}.plot .title{{font-size:13px;font-weight:600}}
.plot .small{{font-size:9.5px}}.plot .grid{{stroke:{grid};stroke-width:1;fill:none}}
.plot .axis{{stroke:{ink};stroke-width:1;fill:none}}.plot .other{{stroke:{other};stroke-width:1;fill:none}}
.plot .base{{stroke:{ink};stroke-width:1.6;stroke-dasharray:5 4;fill:none}}.plot .dot{{stroke:{paper};stroke-width:1}}
"""
_COLOR = (
    ".plot .s{i}{{stroke:{c};stroke-width:2;fill:none;stroke-dasharray:{d}}}.plot .f{i}{{fill:{c}}}"
    ".plot .b{i}{{fill:{c};opacity:.17}}.plot .e{i}{{stroke:{c};stroke-width:2;fill:none}}"
)


def style() -> str:
    """The rules of all pictures, light and dark."""

    def rules(ink: str, grid: str, other: str, paper: str, colors: Sequence[str]) -> str:
        drawn = "".join(_COLOR.format(i=i, c=c, d=d) for i, (c, d) in enumerate(zip(colors, DASHES, strict=True)))
        return _RULES.format(ink=ink, grid=grid, other=other, paper=paper) + drawn

    light = rules("#222", "#e3e3e3", "#cfcfcf", "#fff", LIGHT)
    dark = rules("#e8e8e8", "#33383d", "#4a5056", "#15181b", DARK)
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


@dataclass(frozen=True)
class Series:
    """A line of a picture.

    Attributes:
        label: in the legend.
        points: (x, y).
        band: (x, low, high) around it.
        marks: whether points are marked.
    """

    label: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()
    marks: bool = False


@dataclass(frozen=True)
class Panel:
    """One picture with axes.

    Attributes:
        title, x_label, y_label: what it shows.
        series: at most ``MANY``, in colors.
        others: lines in gray, to compare with.
        bases: dashed lines in the color of text.
        levels: horizontal dashed lines by label.
        x_scale: "linear", "sqrt" or "log".
        y_range, x_range: None: that of the data.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    others: Sequence[Sequence[tuple[float, float]]] = ()
    bases: Sequence[Series] = ()
    levels: dict[str, float] = field(default_factory=dict)
    x_scale: Literal["linear", "sqrt", "log"] = "linear"
    y_range: tuple[float, float] | None = None
    x_range: tuple[float, float] | None = None


WIDTH, TOP, LEFT, RIGHT, HEIGHT = 340, 26, 46, 12, 170  # of a panel; HEIGHT is that of its axes


def panel(what: Panel) -> str:
    """A panel as an ``<svg>`` element."""
    keys = [*(f"s{i}" for i in range(len(what.series))), *("base" for _ in what.bases), *("base" for _ in what.levels)]
    labels = [*(one.label for one in what.series), *(one.label for one in what.bases), *what.levels]
    legend = _legend(keys, labels)
    height = TOP + HEIGHT + 34 + legend[1]
    x_range, y_range = _ranges(what)
    place = _Place(what.x_scale, x_range, y_range)
    room = 1.0 if len(what.title) <= 40 else 40 / len(what.title)
    drawn = [f'<text class="title" style="font-size:{13 * room:.1f}px" x="4" y="15">{escape(what.title)}</text>']
    drawn += _axes(what, place)
    drawn += [_path(place.line(points), "other") for points in what.others if len(points) > 1]
    for i, one in enumerate(what.series):
        if one.band:
            upper = place.line([(x, high) for x, _, high in one.band])
            lower = place.line([(x, low) for x, low, _ in one.band])
            drawn.append(f'<polygon class="b{i}" points="{" ".join([*upper, *lower[::-1]])}"/>')
    drawn += [_path(place.line(one.points), "base") for one in what.bases]
    for level in what.levels.values():
        drawn.append(_path(place.line([(x_range[0], level), (x_range[1], level)]), "base"))
    for i, one in enumerate(what.series):
        if len(one.points) > 1:
            drawn.append(f"<g><title>{escape(one.label)}</title>{_path(place.line(one.points), f's{i}')}</g>")
        if one.marks or len(one.points) == 1:
            at = (place.at(*point) for point in one.points)
            drawn += [f'<circle class="f{i} dot" cx="{x:.1f}" cy="{y:.1f}" r="3.4"/>' for x, y in at]
    drawn.append(f'<g transform="translate(0 {TOP + HEIGHT + 36})">{legend[0]}</g>')
    return element(WIDTH, height, drawn, what.title)


def element(width: float, height: float, drawn: Sequence[str], title: str) -> str:
    """An ``<svg>`` element that takes the width of what it is in."""
    return (
        f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}</svg>'
    )


def grid(elements: Sequence[str], columns: int) -> str:
    """Several ``<svg>`` elements as one file of its own, with its rules and a ground in the page's color."""
    sizes = [tuple(float(number) for number in _between(one, 'viewBox="0 0 ', '"').split()) for one in elements]
    width, drawn, top = max(size[0] for size in sizes), [], 0.0
    for start in range(0, len(elements), columns):
        row = range(start, min(start + columns, len(elements)))
        for column, i in enumerate(row):
            place = f'<svg x="{column * (width + 10):g}" y="{top:g}" '
            drawn.append(elements[i].replace("<svg ", place, 1))
        top += max(sizes[i][1] for i in row) + 8
    whole = columns * (width + 10)
    paper = "<style>.paper{fill:#fff}@media (prefers-color-scheme:dark){.paper{fill:#15181b}}"
    return (
        f'<svg viewBox="0 0 {whole:g} {top:g}" width="{whole:g}" height="{top:g}" xmlns="http://www.w3.org/2000/svg">'
        f'{paper}{style()}</style><rect class="paper" width="100%" height="100%"/>{"".join(drawn)}</svg>\n'
    )


def _between(whole: str, before: str, after: str) -> str:
    return whole.partition(before)[2].partition(after)[0]


class _Place:
    """Where values are in a panel."""

    def __init__(self, scale: str, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        self.scale, self.x_range, self.y_range = scale, x_range, y_range

    def _scaled(self, x: float) -> float:
        if self.scale == "sqrt":
            return math.sqrt(max(x, 0.0))
        return math.log10(max(x, 1e-12)) if self.scale == "log" else x

    def at(self, x: float, y: float) -> tuple[float, float]:
        low, high = map(self._scaled, self.x_range)
        bottom, top = self.y_range
        across = (self._scaled(x) - low) / (high - low)
        up = min(max((y - bottom) / (top - bottom), -0.02), 1.02)
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + (1 - up) * HEIGHT

    def line(self, points: Sequence[tuple[float, float]]) -> list[str]:
        return ["{:.1f},{:.1f}".format(*self.at(x, y)) for x, y in points]


def _path(points: Sequence[str], name: str) -> str:
    return f'<polyline class="{name}" points="{" ".join(points)}"/>'


def _ranges(what: Panel) -> tuple[tuple[float, float], tuple[float, float]]:
    lines = [one.points for one in (*what.series, *what.bases)] + list(what.others)
    xs = [x for points in lines for x, _ in points] or [0.0, 1.0]
    ys = [y for points in lines for _, y in points] + list(what.levels.values())
    ys += [y for one in what.series for _, low, high in one.band for y in (low, high)]
    low, high = (min(xs) if what.x_scale == "log" else min(0.0, *xs)), max(xs)
    x_range = what.x_range or ((low, high) if high > low else (low, low + 1))
    if what.y_range is not None:
        return x_range, what.y_range
    bottom, top = (min(ys), max(ys)) if ys else (0.0, 1.0)
    margin = 0.06 * (top - bottom) or 0.5
    return x_range, (bottom - margin, top + margin)


def _axes(what: Panel, place: _Place) -> list[str]:
    drawn = []
    bottom = TOP + HEIGHT
    for tick in ticks(*place.y_range, 5):
        y = place.at(place.x_range[0], tick)[1]
        drawn.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in _x_ticks(what.x_scale, place.x_range):
        x = place.at(tick, place.y_range[0])[0]
        drawn.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>')
        drawn.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{short(tick)}</text>')
    drawn.append(f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn.append(f'<text x="{middle:g}" y="{bottom + 28}" text-anchor="middle">{escape(what.x_label)}</text>')
    turned = f'transform="rotate(-90 10 {TOP + HEIGHT / 2:g})" text-anchor="middle"'
    drawn.append(f'<text x="10" y="{TOP + HEIGHT / 2:g}" {turned}>{escape(what.y_label)}</text>')
    return drawn


def _x_ticks(scale: str, bounds: tuple[float, float]) -> list[float]:
    if scale == "log":
        tens = range(math.ceil(math.log10(bounds[0]) - 1e-9), math.floor(math.log10(bounds[1]) + 1e-9) + 1)
        return [10.0**power for power in tens] or list(bounds)
    if scale == "sqrt":
        roots = ticks(0.0, math.sqrt(bounds[1]), 4)
        known = [0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
        inside = [one for one in known if one == 0 or bounds[1] / 40 < one <= bounds[1]]
        return inside if len(inside) > 2 else [root**2 for root in roots]
    return ticks(*bounds, 4)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About so many round numbers from ``low`` to ``high``.

    >>> ticks(0.0, 1.0, 4), ticks(0, 18000, 4)
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 5000.0, 10000.0, 15000.0])
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = min((power * factor for factor in (1, 2, 2.5, 5, 10)), key=lambda one: abs(one - rough))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number beside an axis.

    >>> short(0.25), short(20000.0), short(3e6)
    ('0.25', '20k', '3M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.4g}"


def _legend(keys: Sequence[str], labels: Sequence[str]) -> tuple[str, float]:
    """Lines with labels, as many in a row as fit; and how high it is."""
    drawn, x, y = [], 6.0, 8.0
    for key, label in zip(keys, labels, strict=True):
        width = 30 + 6.4 * len(label)
        if x + width > WIDTH and x > 6:
            x, y = 6.0, y + 15
        drawn.append(f'<path class="{key}" d="M{x:g} {y - 4:g}h20"/>')
        drawn.append(f'<text x="{x + 24:g}" y="{y:g}">{escape(label)}</text>')
        x += width + 6
    return "".join(drawn), (y + 6 if keys else 0)
