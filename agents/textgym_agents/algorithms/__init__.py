"""The table of algorithms, and :func:`make`, which builds any of them with defaults that suit text."""

from textgym_agents.algorithms.build import find, load, make, policy_class
from textgym_agents.algorithms.registry import ALGORITHMS, POLICIES, PPO_DEFAULTS, Algorithm

__all__ = ["ALGORITHMS", "POLICIES", "PPO_DEFAULTS", "Algorithm", "find", "load", "make", "policy_class"]
