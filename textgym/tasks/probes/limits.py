"""Checks of the probes' arguments."""

import math

from textgym.errors import ConfigError


def number(name: str, value: object, least: float, most: float = math.inf) -> float:
    """``value`` as a finite number from ``least`` to ``most``.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most or value == math.inf:
        between = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ConfigError(f"{name}={value!r} makes no sense, expected a number {between}.")
    return float(value)
