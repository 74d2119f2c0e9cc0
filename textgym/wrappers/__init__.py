"""Gymnasium wrappers for text environments, each for ``Env`` and ``VectorEnv`` alike."""

from textgym.wrappers.completion import CompletionAction
from textgym.wrappers.either import EitherWrapper
from textgym.wrappers.groups import GroupedRows
from textgym.wrappers.observation import CompactVocabulary, MaskObservation
from textgym.wrappers.reward import RewardWrapper
from textgym.wrappers.reward_transforms import (
    REWARD_TRANSFORMS,
    ClipReward,
    LengthPenalty,
    MissingEOSPenalty,
    ScaleReward,
    WhitenReward,
    transform_reward,
)

__all__ = [
    "REWARD_TRANSFORMS",
    "ClipReward",
    "CompactVocabulary",
    "CompletionAction",
    "EitherWrapper",
    "GroupedRows",
    "LengthPenalty",
    "MaskObservation",
    "MissingEOSPenalty",
    "RewardWrapper",
    "ScaleReward",
    "WhitenReward",
    "transform_reward",
]
