"""A reward that comes after its episode has ended, as the reward wrappers of the environment change it."""

from typing import Any

from textgym.core import Sample
from textgym.wrappers.reward import RewardWrapper, changed


def late_reward(env: Any, sample: Sample, value: float, row: int = 0) -> float:
    """What the reward wrappers make of a completion's reward, the innermost first.

    Args:
        env: an ``Env`` or a ``VectorEnv`` with any wrappers.
        sample: the completion.
        value: its reward.
        row: that played it, where the rows are environments of their own.

    >>> import gymnasium, textgym
    >>> from textgym.wrappers import ClipReward, ScaleReward
    >>> late_reward(ClipReward(ScaleReward(gymnasium.make("textgym/Copy-v1"), 3), 0, 2), Sample("", "hi"), 1.0)
    2.0
    """
    for wrapper in reversed(reward_wrappers(env, row)):
        value = changed(wrapper, sample, value)
    return value


def reward_wrappers(env: Any, row: int = 0) -> list[Any]:
    """The reward wrappers of an environment, or of a row where the rows are environments of their own; outermost first.

    >>> import gymnasium, textgym
    >>> from textgym.wrappers import ScaleReward
    >>> [wrapper.factor for wrapper in reward_wrappers(ScaleReward(gymnasium.make("textgym/Copy-v1"), 3))]
    [3.0]
    """
    wrappers = []
    inner = env
    while inner is not None:
        if isinstance(inner, RewardWrapper):
            wrappers.append(inner)
        rows = getattr(inner, "__dict__", {}).get("envs")  # a vector of single environments
        inner = rows[row] if rows else getattr(inner, "__dict__", {}).get("env")
    return wrappers
