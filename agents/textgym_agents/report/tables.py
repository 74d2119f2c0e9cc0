"""Tables of values, written once and shown as Markdown, in the terminal or on a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from textgym_agents.report import markdown
from textgym_agents.report.numbers import Estimate, number, show

Value = str | int | float | Estimate | None
NONE = "–"


@dataclass(frozen=True)
class Table:
    """Values by row and column.

    Attributes:
        header: names of the columns.
        rows: as many values each. Text is shown as it is; None and NaN are a dash.
        signed: columns whose numbers are shown with their sign.
        caption: what the rows are; empty: nothing.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Value]]
    signed: frozenset[str] = frozenset()
    caption: str = ""

    def texts(self) -> list[list[str]]:
        """All values as text.

        >>> Table(["a", "b"], [[1200, None]]).texts()
        [['1,200', '–']]
        """
        return [
            [text(value, sign=name in self.signed) for name, value in zip(self.header, row, strict=True)]
            for row in self.rows
        ]

    def markdown(self) -> str:
        """As Markdown, without the caption."""
        return markdown.table(self.header, self.texts())


def text(value: Value, *, sign: bool = False) -> str:
    """A value as tables show it.

    >>> text(0.5, sign=True), text(12000), text(Estimate(0.5, 0.4, 0.6)), text(float("nan"))
    ('+0.500', '12,000', '0.500 [0.400, 0.600]', '–')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if isinstance(value, Estimate):
        return NONE if math.isnan(value.value) else show(value, sign=sign)
    if isinstance(value, str):
        return value
    if value == 0 or isinstance(value, int) or abs(value) >= 1000:
        return f"{value:+,.0f}" if sign and value else f"{value:,.0f}"
    return number(value, sign=sign)


def sort_key(value: Value) -> float | str | None:
    """What a column is sorted by: the number where there is one.

    >>> sort_key(Estimate(0.5, 0.4, 0.6)), sort_key("ppo"), sort_key(None)
    (0.5, 'ppo', None)
    """
    plain = value.value if isinstance(value, Estimate) else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
