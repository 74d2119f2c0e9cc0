"""Gymnasium wrappers for text environments, each for ``Env`` and ``VectorEnv`` alike."""

from textgym.wrappers.completion import CompletionAction
from textgym.wrappers.either import EitherWrapper
from textgym.wrappers.reward import RewardWrapper

__all__ = ["CompletionAction", "EitherWrapper", "RewardWrapper"]
