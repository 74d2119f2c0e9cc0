"""Rewards that compare the completions of a prompt: asked when the last episode of a rollout has ended."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from textgym.core import Sample, TextMDP, reward_name, scores_groups, text_env
from textgym.errors import ConfigError
from textgym.wrappers.late import late_reward
from textgym.wrappers.reward import UNTRANSFORMED
from textgym_agents.envs.vec_env import TextVecEnv


class PendingGroups:
    """The episodes of a rollout whose reward waits for the others of their group.

    Args:
        env: where they are played.
        group_size: that many episodes in a row, by their numbers, are a group.

    Attributes:
        pending: by an episode's number, the row that played it, its sample and its last info.
    """

    def __init__(self, env: TextVecEnv, group_size: int) -> None:
        self.env, self.group_size = env, group_size
        self.pending: dict[int, tuple[int, Sample, dict[str, Any]]] = {}
        self._started = time.time()

    def add(self, episode_of: NDArray[np.integer], dones: NDArray[np.bool_], infos: Sequence[dict[str, Any]]) -> None:
        """The ends of a step. Those that are pending are taken out of what callbacks see: they get their ends later."""
        for row in np.flatnonzero(dones).tolist():
            if infos[row].pop("reward_pending", False):
                infos[row].pop("reward_abstained", None)
                sample = self.env.get_attr("last_sample", row)[0]
                self.pending[int(episode_of[row])] = row, sample, dict(infos[row])

    def score(self, lengths: Sequence[int]) -> tuple[dict[int, float | None], list[dict[str, Any]]]:
        """Ask the reward. Reward wrappers change what it gives as they would have changed it at the end of an episode.

        Args:
            lengths: tokens of each episode.

        Returns:
            rewards by the episode's number, None where the reward abstained, and the infos of these ends.
        """
        numbers = sorted(self.pending)
        samples = [replace(self.pending[number][1], group=number // self.group_size) for number in numbers]
        values, finals = text_env(self.env).mdp.finish_groups(samples)
        rewards: dict[int, float | None] = {}
        infos = []
        for number, sample, value, final in zip(numbers, samples, values, finals, strict=True):
            row, _, info = self.pending[number]
            info = {**info, **final}
            rewards[number] = value
            if value is not None:
                rewards[number] = reward = late_reward(self.env.env, sample, value, row)
                ended = {"r": round(reward, 6), "l": lengths[number], "t": round(time.time() - self._started, 6)}
                info = {**info, UNTRANSFORMED: value, "episode": ended}
            infos.append(info)
        self.pending = {}
        return rewards, infos


def check_scope(env: VecEnv, algorithm: str, group_size: int) -> None:
    """Raise ConfigError for a reward that compares the completions of a prompt where only one of each is played."""
    while isinstance(env, VecEnvWrapper):
        env = env.venv
    mdp = getattr(getattr(getattr(env, "env", None), "unwrapped", None), "mdp", None)
    reward = mdp.reward if isinstance(mdp, TextMDP) else None
    if scores_groups(reward) and group_size < 2:
        raise ConfigError(
            f"The reward {reward_name(reward)!r} compares completions of one prompt, and {algorithm} plays one of each."
            " Take 'grpo' or 'rloo', or 'reinforce' with a group_size of 2 or more."
        )
