"""How reports write numbers and intervals."""

import math

from textgym_agents.benchmark.aggregate import Estimate


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
