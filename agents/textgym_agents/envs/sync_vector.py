"""Single environments side by side as one vector environment whose rows can wait, as textgym's own can."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from textgym.core import Reward, Sample
from textgym.env import TextGenerationEnv
from textgym.errors import ConfigError
from textgym.mdp import text_env

Obs = dict[str, NDArray[Any]]


class SingleEnvs(VectorEnv[Any, Any, Any]):
    """Rows that are environments of their own, with whatever wrappers they have.

    Slower than ``TextGenerationVectorEnv``, which scores finished completions together, and just as good for
    algorithms: rows reset within the step (SAME_STEP) or wait (DISABLED), and can begin a given prompt. With
    ``sampling="sequential"`` they share one counter of prompts.

    Args:
        envs: ``TextGenerationEnv``s, wrapped or not, of one task and with equal spaces.

    Raises:
        ConfigError: no environment, or one that is no text environment or has other spaces than the first.

    >>> rows = SingleEnvs([gym.make("textgym/Copy-v1") for _ in range(2)])
    >>> observations, infos = rows.reset(seed=0)
    >>> observations["attention_mask"].shape == (2, *rows.single_observation_space["attention_mask"].shape)
    True
    """

    def __init__(self, envs: Sequence[gym.Env[Any, Any]]) -> None:
        if not envs:
            raise ConfigError("SingleEnvs got no environment, expected at least one.")
        for env in envs:
            if not isinstance(env.unwrapped, TextGenerationEnv):
                raise ConfigError(f"SingleEnvs got a {type(env.unwrapped).__name__}, expected a TextGenerationEnv.")
            if env.observation_space != envs[0].observation_space or env.action_space != envs[0].action_space:
                raise ConfigError(
                    "SingleEnvs got environments with different spaces; make all with the same arguments."
                )
        self.envs = list(envs)
        self.num_envs, self.render_mode = len(self.envs), self.envs[0].render_mode
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.mdp = text_env(self.envs[0]).mdp
        self.task = self.mdp.task
        self._observations: list[Obs] = [{}] * self.num_envs
        self._ended = np.ones(self.num_envs, dtype=np.bool_)
        self._taken: dict[int, Any] = {}  # what rows returned in a step that another row's error broke off
        self._next_prompt_id = 0  # of sampling="sequential", whose one counter all rows share
        self.metadata = dict(self.envs[0].metadata)
        self.set_autoreset_mode(AutoresetMode.SAME_STEP)

    def set_autoreset_mode(self, mode: str | AutoresetMode) -> None:
        """SAME_STEP: a row that ends is reset at once. DISABLED: it waits, and its actions are ignored."""
        self.autoreset_mode = AutoresetMode(mode)
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            raise ConfigError("SingleEnvs got autoreset mode NEXT_STEP, expected SAME_STEP or DISABLED.")
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """As ``TextGenerationVectorEnv.reset``: ``options`` with ``reset_mask``, ``prompt_id`` and ``partner_seed``."""
        given = dict(options or {})
        mask = given.pop("reset_mask", None)
        per_row = {name: given.pop(name) for name in ("prompt_id", "partner_seed") if given.get(name) is not None}
        rows = np.flatnonzero(np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask)
        seeds: Any = [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            # Children of a SeedSequence are independent streams.
            seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(self.num_envs)]
        elif seed is not None:
            seeds = list(seed)
        if seed is not None:
            self._next_prompt_id = 0
        infos: dict[str, Any] = {}
        for row in rows.tolist():
            own = {k: v[row] if isinstance(v, Sequence | np.ndarray) else v for k, v in per_row.items()}
            chosen = given | {name: value for name, value in own.items() if value is not None}
            infos = self._add_info(infos, self._begin(row, seeds[row], chosen or None), row)
        return self._batch(), infos

    def _begin(self, row: int, seed: int | None = None, options: dict[str, Any] | None = None) -> dict[str, Any]:
        if self.mdp.rules.sampling == "sequential" and "prompt_id" not in (options or {}):
            options = {**(options or {}), "prompt_id": self._next_prompt_id}
            self._next_prompt_id = (self._next_prompt_id + 1) % len(self.task)
        self._observations[row], info = self.envs[row].reset(seed=seed, options=options)
        self._ended[row] = False
        self._taken.pop(row, None)
        return info

    def step(self, actions: Any) -> tuple[Obs, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One token (num_envs,) in every row that is running.

        Where a row's reward raises, the same step may be tried again: rows that have taken it wait for the others.
        """
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, dtype=np.bool_), np.zeros(self.num_envs, dtype=np.bool_)
        infos: dict[str, Any] = {}
        running, waited = np.flatnonzero(~self._ended).tolist(), np.flatnonzero(self._ended).tolist()
        for row in running:
            if row not in self._taken:
                self._taken[row] = self.envs[row].step(actions[row])
        taken, self._taken = self._taken, {}
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            for row in waited:
                infos = self._add_info(infos, self._begin(row), row)
        for row in running:
            self._observations[row], reward, ended, cut, info = taken[row]
            rewards[row], terminated[row], truncated[row] = float(reward), ended, cut
            self._ended[row] = ended or cut
            if self._ended[row] and self.autoreset_mode == AutoresetMode.SAME_STEP:
                info = {"final_obs": self._observations[row], "final_info": info, **self._begin(row)}
            infos = self._add_info(infos, info, row)
        return self._batch(), rewards, terminated, truncated, infos

    def _batch(self) -> Obs:
        return {name: np.stack([one[name] for one in self._observations]) for name in self._observations[0]}

    @property
    def reward(self) -> Reward | None:
        """What scores completions in all rows. A new one scores those that end from now on."""
        return self.mdp.reward

    @reward.setter
    def reward(self, reward: Reward | None) -> None:
        for env in self.envs:
            env.unwrapped.reward = reward  # type: ignore[attr-defined]

    @property
    def completion_so_far(self) -> list[str]:
        """The text that the running, or else the last, episode of each row has written."""
        return [env.unwrapped.completion_so_far for env in self.envs]  # type: ignore[attr-defined]

    @property
    def last_samples(self) -> list[Sample | None]:
        """Of each row's last finished episode."""
        return [env.unwrapped.last_sample for env in self.envs]  # type: ignore[attr-defined]

    @property
    def last_abstained(self) -> NDArray[np.bool_]:
        """(num_envs,) whether the reward of each row's last finished episode abstained."""
        return np.array([env.unwrapped.last_abstained for env in self.envs])  # type: ignore[attr-defined]

    def action_masks(self) -> NDArray[np.int8]:
        """(num_envs, V) int8, 1 where a token is legal now."""
        return np.stack([env.unwrapped.action_masks() for env in self.envs])  # type: ignore[attr-defined]

    def close_extras(self, **kwargs: Any) -> None:
        for env in self.envs:
            env.close()
