"""One episode for each prompt of a list, on rows whose episodes end at different times."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv

from textgym.env import TextGenerationEnv
from textgym.errors import ConfigError
from textgym_agents.envs.sync_vector import Obs, SingleEnvs
from textgym_agents.envs.vec_env import RowsThatWait, TextVecEnv, make_vec_env


class PromptQueue:
    """A row whose episode has ended begins the next prompt's at once, so that all rows are busy until none is left.

    Then rows wait for the longest episode. No episode is cut. Use it within :meth:`TextVecEnv.rows_wait`.

    Args:
        env: whose rows are used.
        prompt_ids: (episodes,) a prompt may come several times.
        beginnings: of each episode's completion, tokens that are already written. None: there are none.
        partner_seeds: (episodes,) the seeds that their partners get. None: drawn, or there are none.

    Attributes:
        observations: of all rows.
        episode_of: (rows,) the episode that each row plays, an index into ``prompt_ids``; -1: it waits.
        begun: how many episodes have begun.
        new_rows: the rows whose episodes began with the last :meth:`advance`.

    >>> env = make_vec_env("textgym/Copy-v1", n_envs=2, seed=1, max_new_tokens=3)
    >>> returns = np.zeros(5)
    >>> with env.rows_wait():
    ...     queue = PromptQueue(env, np.array([7, 7, 7, 8, 8]))
    ...     while queue.advance():
    ...         rewards, dones, infos = queue.step(np.array([1, 1]))  # the end token
    ...         playing = queue.episode_of >= 0
    ...         returns[queue.episode_of[playing]] += rewards[playing]
    >>> queue.begun, returns.tolist()
    (5, [0.0, 0.0, 0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        env: TextVecEnv,
        prompt_ids: NDArray[np.integer],
        beginnings: Sequence[NDArray[np.integer]] | None = None,
        partner_seeds: NDArray[np.integer] | None = None,
    ) -> None:
        self.env, self.prompt_ids, self.beginnings, self.partner_seeds = env, prompt_ids, beginnings, partner_seeds
        self.episode_of = np.full(env.num_envs, -1)
        self.begun = 0
        self.new_rows = np.zeros(0, dtype=np.int64)
        self.observations: Obs = {}
        self._ended: NDArray[np.bool_] = np.zeros(env.num_envs, dtype=np.bool_)

    def advance(self) -> bool:
        """Begin the next episodes in rows that are free. False: all episodes have ended."""
        self.episode_of[self._ended] = -1
        self._ended[:] = False
        self.new_rows = np.flatnonzero(self.episode_of < 0)[: len(self.prompt_ids) - self.begun]
        if len(self.new_rows):
            self.episode_of[self.new_rows] = np.arange(self.begun, self.begun + len(self.new_rows))
            self.begun += len(self.new_rows)
            episodes = self.episode_of[self.new_rows]
            tokens = None if self.beginnings is None else [self.beginnings[episode] for episode in episodes]
            seeds = None if self.partner_seeds is None else self.partner_seeds[episodes]
            self.observations = self.env.start(self.new_rows, self.prompt_ids[episodes], tokens, seeds)
        return bool((self.episode_of >= 0).any())

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """One step of all rows. ``episode_of`` stays that of the step until :meth:`advance`.

        Returns:
            rewards, dones and infos, as SB3's ``VecEnv.step`` does.
        """
        self.observations, rewards, dones, infos = self.env.step(actions)  # type: ignore[assignment]
        self._ended |= dones
        return rewards, dones, infos


def prompt_env(env: Any) -> TextVecEnv:
    """An environment as one whose rows can wait and begin a given prompt. SB3's own vector of text environments can.

    Raises:
        ConfigError: it can't be made one.
    """
    if isinstance(env, DummyVecEnv) and all(isinstance(one.unwrapped, TextGenerationEnv) for one in env.envs):
        env = TextVecEnv(SingleEnvs(env.envs))
    elif isinstance(env, gym.Env | VectorEnv):
        env = make_vec_env(env)
    if not isinstance(env, TextVecEnv) or not isinstance(env.env.unwrapped, RowsThatWait):
        raise ConfigError(
            f"env is a {type(env).__name__}. This algorithm plays several episodes of one prompt, and needs an "
            'environment that can begin a given prompt in one row: an id, or make_vec_env("textgym/Copy-v1", '
            "n_envs=16). PPO and A2C take any vector environment of tokens."
        )
    return env
