"""The table of algorithms, and :func:`make`, which builds any of them with defaults that suit text."""

from textgym_agents.algorithms.build import find, load, make
from textgym_agents.algorithms.registry import ALGORITHMS, PPO_DEFAULTS, Algorithm

__all__ = ["ALGORITHMS", "PPO_DEFAULTS", "Algorithm", "find", "load", "make"]
