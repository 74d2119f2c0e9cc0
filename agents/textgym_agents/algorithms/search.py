"""What ``textgym tune`` tries: a space of values for each argument, and the spaces that algorithms share."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textgym.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """All numbers from ``low`` to ``high``, evenly in their logarithm.

    >>> Range(1e-4, 1e-2).including(0.1)
    Range(low=0.0001, high=0.1)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise ConfigError(f"The range from {self.low} to {self.high} makes no sense: expected 0 < low < high.")

    def including(self, value: Any) -> "Range":
        """The range with a default in it."""
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return self
        return Range(min(self.low, value), max(self.high, value))


@dataclass(frozen=True)
class Choice:
    """Some values.

    >>> Choice((1, 2, 4)).including(3)
    Choice(values=(1, 2, 4, 3))
    """

    values: tuple[Any, ...]

    def including(self, value: Any) -> "Choice":
        """The values with a default among them."""
        return self if value in self.values else Choice((*self.values, value))


Space = Mapping[str, Range | Choice]


def parse_space(text: str) -> Range | Choice:
    """A space as the command line has it: ``1e-4:1e-2`` is a range, ``1,2,4`` are choices.

    Raises:
        ConfigError: it is neither.

    >>> parse_space("1e-4:1e-2"), parse_space("none,0.1,true,token")
    (Range(low=0.0001, high=0.01), Choice(values=(None, 0.1, True, 'token')))
    """
    low, colon, high = text.partition(":")
    if colon:
        try:
            return Range(float(low), float(high))
        except ValueError:
            raise ConfigError(f"{text!r} is no range of numbers, such as 1e-4:1e-2.") from None
    values = tuple(_value(part.strip()) for part in text.split(",") if part.strip())
    if not values:
        raise ConfigError(f"{text!r} holds no values, expected some as in 1,2,4, or a range as in 1e-4:1e-2.")
    return Choice(values)


def _value(text: str) -> Any:
    try:
        return None if text.lower() == "none" else json.loads(text)
    except ValueError:
        return text


# The spaces of families. A row adds what is its own.
COMMON: Space = {"learning_rate": Range(1e-4, 3e-3)}
KL: Space = {"kl_coef": Choice((0.0, 0.003, 0.01, 0.03, 0.1))}
ROLLOUTS: Space = {**COMMON, **KL, "n_steps": Choice((16, 32, 64, 128)), "gae_lambda": Choice((0.9, 0.95, 1.0))}
PPO: Space = {**ROLLOUTS, "batch_size": Choice((256, 512, 1024)), "n_epochs": Choice((1, 2, 4))}
EPISODES: Space = {
    **COMMON,
    **KL,
    "prompts_per_rollout": Choice((16, 32, 64, 128)),
    "batch_size": Choice((None, 512, 1024)),
}
ACTION_VALUES: Space = {**EPISODES, "beta": Range(3e-3, 0.1), "td_lambda": Choice((0.5, 0.8, 0.95, 1.0))}
REPLAY: Space = {
    **COMMON,
    "batch_size": Choice((128, 256, 512)),
    "train_freq": Choice((8, 16, 32)),
    "gradient_steps": Choice((4, 8, 16)),
    "target_update_interval": Choice((256, 1024, 4096)),
    "num_candidates": Choice((4, 8, 16)),
}
