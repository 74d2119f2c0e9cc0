"""A value with its interval, and how reports write numbers."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """A value with the bounds of its 95 % interval; NaN bounds where there is none."""

    value: float
    low: float
    high: float


def show(estimate: Estimate, *, sign: bool = False) -> str:
    """A value with its interval.

    >>> show(Estimate(0.5, 0.4, 0.6)), show(Estimate(0.1, float("nan"), float("nan")), sign=True)
    ('0.500 [0.400, 0.600]', '+0.100')
    """
    value = number(estimate.value, sign=sign)
    if math.isnan(estimate.low):
        return value
    low, high = (number(bound, sign=sign, like=estimate.value) for bound in (estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def number(value: float, *, sign: bool = False, like: float | None = None) -> str:
    """A number with as many decimals as suit its size, or that of ``like``.

    >>> number(0.51234), number(12.345), number(0.5, sign=True)
    ('0.512', '12.3', '+0.500')
    """
    size = abs(value if like is None else like)
    return format(value, f"{'+' if sign else ''}.{1 if size >= 10 else 2 if size >= 1.5 else 3}f")


def quantity(value: float) -> str:
    """A speed or a size with thousands separated, and millions as such.

    >>> quantity(3_480_000.0), quantity(63118.2), quantity(53.94)
    ('3.48 M', '63,118', '53.9')
    """
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds in minutes, hours or days.

    >>> duration(90), duration(7000), duration(200_000)
    ('2 min', '1.9 h', '2.3 days')
    """
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"


def rounded(value: Any) -> Any:
    """Plain values for JSON: numbers rounded to 6 places, None for NaN.

    >>> rounded({"low": float("nan"), "values": (0.12345678, 2)})
    {'low': None, 'values': [0.123457, 2]}
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value
