"""The search for an algorithm's settings on validation prompts: what ``textgym tune`` does."""

from textgym_agents.tuning.config import TuneConfig
from textgym_agents.tuning.result import Trial, Tuning
from textgym_agents.tuning.tune import tune

__all__ = ["Trial", "TuneConfig", "Tuning", "tune"]
