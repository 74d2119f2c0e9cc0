"""Evaluation on held-out prompts, and statistics over prompts and runs."""

from textgym_agents.evaluation.held_out import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
