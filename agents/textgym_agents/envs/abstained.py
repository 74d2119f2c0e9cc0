"""Which rewards of a step abstained, for rollout buffers, which Stable-Baselines3 gives no infos."""

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper

from textgym_agents.envs.vec_env import TextVecEnv


def abstained_rows(env: VecEnv) -> NDArray[np.bool_]:
    """(rows,) where the reward of the episode that a row finished last abstained; it means nothing within an episode.

    Args:
        env: any vector environment of texts, wrapped as one likes: ``TextVecEnv``, or SB3's own.

    >>> from textgym_agents.envs.vec_env import make_vec_env
    >>> abstained_rows(make_vec_env("textgym/Copy-v1", n_envs=2)).tolist()
    [False, False]
    """
    while isinstance(env, VecEnvWrapper):
        env = env.venv
    if isinstance(env, TextVecEnv):
        return env.abstained
    if isinstance(env, DummyVecEnv):
        return np.array([bool(info.get("reward_abstained", False)) for info in env.buf_infos])
    if not env.has_attr("last_abstained"):  # asked first: a process of SubprocVecEnv dies of an unknown name
        return np.zeros(env.num_envs, dtype=np.bool_)  # no environment of textgym's
    return np.array(env.get_attr("last_abstained"), dtype=np.bool_)
