"""Checks of the arguments that users pass to the environments."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from textgym.errors import ConfigError, SeedError, did_you_mean

MOST_TOKENS = 1_000_000  # of a prompt or a completion


def check_seed(seed: object) -> int | None:
    """The seed as a plain integer. Raises ``SeedError`` for anything but None or a non-negative integer."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise SeedError(f"seed={seed!r} is not a seed, expected a non-negative integer or None.")
    return int(seed)


def check_reset_options(options: Mapping[str, Any] | None, valid: Sequence[str]) -> dict[str, Any]:
    """The options of ``reset`` as a new dict. Raises ``ConfigError`` for an unknown key."""
    if options is not None and not isinstance(options, Mapping):
        raise ConfigError(f"options={options!r} makes no sense, expected a dict with {' or '.join(valid)}.")
    for key in options or ():
        if key not in valid:
            raise ConfigError(f"Unknown reset option {key!r}. {did_you_mean(str(key), valid)}")
    return dict(options or {})


def count(name: str, value: object, least: int, most: int | None = None) -> int:
    """``value`` as an integer of at least ``least`` and at most ``most``."""
    wrong = isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least
    if wrong or (most is not None and int(value) > most):  # type: ignore[call-overload]
        between = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        raise ConfigError(f"{name}={value!r} makes no sense, expected an integer {between}.")
    return int(value)  # type: ignore[call-overload, no-any-return]


def flag(name: str, value: object, otherwise: str = "") -> bool:
    """``value``, True or False: a string such as "no" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"{name}={value!r} makes no sense, expected True or False{otherwise}.")
    return bool(value)


def items(name: str, value: object, what: str) -> tuple[Any, ...]:
    """The items of ``value``, which is several of something."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ConfigError(f"{name}={value!r} makes no sense, expected {what}.")
    return tuple(value)


def budget(name: str, given: dict[str, Any], task: object, factor: float = 1) -> int:
    """A number of tokens: as given, or else ``factor`` times the task's own, rounded up."""
    if given[name] is not None:
        return count(name, given[name], least=1, most=MOST_TOKENS)
    value = getattr(task, name, None)
    if value is None:
        raise ConfigError(f"The task {type(task).__name__} sets no {name}: give the environment {name}=...")
    return math.ceil(factor * count(name, value, least=1, most=MOST_TOKENS))


def choice(name: str, value: object, valid: tuple[str, ...]) -> str:
    """``value``, one of the ``valid`` names."""
    if value not in valid:
        raise ConfigError(f"{name}={value!r} is unknown. {did_you_mean(str(value), valid)}")
    return str(value)
