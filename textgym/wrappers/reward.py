"""Changing the reward of a completion."""

import math
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv

from textgym.core import Sample
from textgym.errors import ConfigError, RewardError
from textgym.scoring import say_whose
from textgym.wrappers.either import EitherWrapper, VectorWrapperBase

UNTRANSFORMED = "untransformed_reward"


class _EnvReward(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    takes_late_rewards = True

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        if not hasattr(env.unwrapped, "last_sample"):
            raise ConfigError(f"{type(self).__name__} needs a text environment, got {env}.")
        gymnasium.Wrapper.__init__(self, env)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute of this wrapper or of what it wraps; "reward" is what the text environment scores with."""
        return (
            super().set_wrapper_attr(name, value, force=force)
            if name != "reward"
            else self.env.set_wrapper_attr(name, value, force=force)
        )

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        base: Any = self.env.unwrapped
        if base.finished and not base.last_abstained:  # not where a TimeLimit cuts an episode
            if "finish_reason" in info:
                info.setdefault(UNTRANSFORMED, float(reward))
            reward = changed(self, base.last_sample, float(reward))
        return observation, reward, terminated, truncated, info


class _VectorReward(VectorWrapperBase):
    takes_late_rewards = True

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        if not hasattr(env.unwrapped, "last_samples") and not hasattr(env.unwrapped, "get_attr"):
            raise ConfigError(f"{type(self).__name__} needs a vector environment of texts, got {env}.")
        VectorWrapperBase.__init__(self, env)

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """What becomes of rows that end. TorchRL asks the outermost wrapper."""
        mode: AutoresetMode = self.env.unwrapped.autoreset_mode  # type: ignore[attr-defined]
        return mode

    def step(self, actions: Any) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        base: Any = self.env.unwrapped
        before = list(getattr(base, "last_samples", ()))
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        # With SAME_STEP autoreset, the end of an episode is under "final_info".
        ends = [part for part in (infos, infos.get("final_info", {})) if "_finish_reason" in part]
        if ends:
            finished = np.logical_or.reduce([part["_finish_reason"] for part in ends])
        else:  # with infos="numbers" or "none"
            finished = _finished(base, before, terminated | truncated)
        if finished.any():
            abstained = base.last_abstained if hasattr(base, "last_abstained") else base.get_attr("last_abstained")
            finished = finished & ~np.asarray(abstained)
            for part in ends:  # the innermost wrapper has it right
                part.setdefault(f"_{UNTRANSFORMED}", part["_finish_reason"] & finished)
                part.setdefault(UNTRANSFORMED, np.where(part["_finish_reason"], rewards, 0.0))
            samples = base.last_samples if hasattr(base, "last_samples") else base.get_attr("last_sample")
            rewards = np.array(rewards, dtype=np.float64)
            for row in np.flatnonzero(finished):
                rewards[row] = changed(self, samples[row], float(rewards[row]))
        return observations, rewards, terminated, truncated, infos


class RewardWrapper(EitherWrapper):
    """Override ``reward`` to change the reward of each completion, of an ``Env``, a ``VectorEnv`` or an SB3 ``VecEnv``.

    A VecEnv of Stable-Baselines3's own can be wrapped once ``textgym_agents`` is imported.
    ``info["untransformed_reward"]`` at an episode's end is the reward before the innermost of such wrappers. Where the
    environment's reward abstained, there is nothing to change: ``reward`` isn't called, and the number stays 0. Where
    it comes late, ``reward`` is called when it comes, in the order in which the episodes ended.

    >>> import textgym
    >>> class Brief(textgym.wrappers.RewardWrapper):
    ...     def reward(self, sample, reward):
    ...         return reward - 0.1 * len(sample.completion)
    >>> env = Brief(textgym.TextGenerationEnv([textgym.Prompt("Say hi:")], max_prompt_tokens=16, max_new_tokens=4))
    >>> observation, info = env.reset(seed=0)
    >>> rewards = [float(env.step(action)[1]) for action in env.unwrapped.encode_completion("hi")]
    >>> round(sum(rewards), 6)
    -0.2
    """

    env_base = _EnvReward
    vector_base = _VectorReward

    def reward(self, sample: Sample, reward: float) -> float:
        """The new reward of a completion, given the one it had. Other steps keep theirs.

        Raises:
            RewardError: (by the wrapper) if what is returned isn't a finite number.
        """
        raise NotImplementedError(f"{type(self).__name__} must define reward(self, sample, reward).")


def _finished(base: Any, before: list[Sample | None], ended: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(num_envs,) the rows that the last step finished: not those that a TimeLimit cut."""
    if not ended.any():
        return ended
    if before:
        return np.array([old is not new for old, new in zip(before, base.last_samples, strict=True)])
    finished: npt.NDArray[np.bool_] = ended & np.array(base.get_attr("finished"))
    return finished


def changed(wrapper: Any, sample: Sample, reward: float) -> float:
    """What a wrapper makes of the reward of a completion.

    Raises:
        RewardError: no finite number.
    """
    try:
        value = wrapper.reward(sample, reward)
    except Exception as error:
        say_whose(error, wrapper, [sample])
        raise
    try:
        finite = math.isfinite(value)
    except TypeError:
        finite = False
    if not finite:
        raise RewardError(
            f"{type(wrapper).__name__}.reward returned {value!r} for prompt_id {sample.prompt_id} (completion "
            f"{sample.completion[:60]!r}), expected a finite number."
        )
    return float(value)
