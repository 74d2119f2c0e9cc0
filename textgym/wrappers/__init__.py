"""Gymnasium wrappers for text environments, each for ``Env`` and ``VectorEnv`` alike."""

from textgym.wrappers.completion import CompletionAction
from textgym.wrappers.either import EitherWrapper
from textgym.wrappers.reward import RewardWrapper
from textgym.wrappers.shaping import (
    SHAPES,
    ClipReward,
    LengthPenalty,
    MissingEndPenalty,
    ScaleReward,
    WhitenReward,
    shape,
)

__all__ = [
    "SHAPES",
    "ClipReward",
    "CompletionAction",
    "EitherWrapper",
    "LengthPenalty",
    "MissingEndPenalty",
    "RewardWrapper",
    "ScaleReward",
    "WhitenReward",
    "shape",
]
