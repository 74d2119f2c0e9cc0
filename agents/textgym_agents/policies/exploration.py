"""The ways in which policies of value-based algorithms explore."""

from typing import Literal, get_args

from textgym.errors import ConfigError, did_you_mean

Exploration = Literal["boltzmann", "epsilon_greedy"]


def check_exploration(exploration: str) -> None:
    """Raise ConfigError unless there is such an exploration."""
    if exploration not in get_args(Exploration):
        raise ConfigError(f"exploration is {exploration!r}. {did_you_mean(exploration, get_args(Exploration))}")
