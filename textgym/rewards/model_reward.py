"""A reward that asks a transformers model."""

from textgym.rewards.base import BatchReward
from textgym.text_model import TextModel


class ModelReward(TextModel, BatchReward):
    """A reward that asks a transformers model, see :class:`textgym.text_model.TextModel` for its arguments.

    Subclasses set ``auto_class`` and define ``__call__``.
    """
