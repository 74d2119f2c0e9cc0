"""What textgym's ``RewardWrapper`` is around a VecEnv of Stable-Baselines3's own: a ``VecEnvWrapper``."""

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from textgym.errors import ConfigError
from textgym.wrappers.reward import UNTRANSFORMED, RewardWrapper, changed


class VecEnvReward(VecEnvWrapper):
    """The base of reward wrappers around a VecEnv.

    Raises:
        ConfigError: the VecEnv holds no text environments, or they were made with ``infos="none"``.
    """

    def __init__(self, env: VecEnv) -> None:
        if not env.has_attr("last_sample"):  # a process of SubprocVecEnv dies of an unknown name in get_attr
            raise ConfigError(f"{type(self).__name__} needs a VecEnv of text environments, got {env}.")
        super().__init__(env)

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        observations, rewards, dones, infos = self.venv.step_wait()
        scored = [row for row in np.flatnonzero(dones).tolist() if not infos[row].get("reward_abstained")]
        ended = [row for row in scored if self._finished(infos[row])]
        if ended:
            rewards = np.array(rewards)
            for row, sample in zip(ended, self.venv.get_attr("last_sample", ended), strict=True):
                infos[row].setdefault(UNTRANSFORMED, float(rewards[row]))
                rewards[row] = changed(self, sample, float(rewards[row]))
        return observations, rewards, dones, infos

    def _finished(self, info: dict[str, Any]) -> bool:
        """Whether an episode ended by itself: none that a TimeLimit cut."""
        if "finish_reason" not in info and "finish_code" not in info and not info.get("TimeLimit.truncated"):
            raise ConfigError(
                f"{type(self).__name__} around a VecEnv reads infos, and the environments were made with "
                'infos="none". Leave infos="all".'
            )
        return "finish_reason" in info or bool(info.get("finish_code"))


RewardWrapper.vec_env_base = VecEnvReward
