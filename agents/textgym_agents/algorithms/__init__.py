"""The table of algorithms, :func:`make`, which builds any of them, and :func:`register_algorithm` for further ones."""

from textgym_agents.algorithms.build import find, load, make
from textgym_agents.algorithms.registry import ALGORITHMS, check_settings, register_algorithm
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.algorithms.sb3 import PPO_DEFAULTS

__all__ = [
    "ALGORITHMS",
    "PPO_DEFAULTS",
    "Algorithm",
    "Learning",
    "check_settings",
    "find",
    "load",
    "make",
    "register_algorithm",
]
