"""Rows of a vector environment in groups that play one prompt, for rewards that compare its completions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv

from textgym.arguments import count
from textgym.errors import ConfigError
from textgym.infos import add_infos
from textgym.scoring import scores_groups
from textgym.vector import TextGenerationVectorEnv
from textgym.wrappers.either import VectorWrapperBase
from textgym.wrappers.late import late_reward


class GroupedRows(VectorWrapperBase):
    """Rows 0 to k - 1 play one prompt, rows k to 2 k - 1 another one, and so on; a group's rows end together.

    A row whose completion is finished waits for the last of its group, and its actions are ignored. In the step in
    which that one ends, all of them terminate with their rewards, which a reward that compares them gives then. The
    next step resets them (autoreset ``NEXT_STEP``). Algorithms that play groups themselves, such as GRPO in
    ``textgym_agents``, need no such wrapper.

    Infos are those of the environment: what a finished row has before its group ends (``completion``,
    ``reward_pending`` and so on) comes once more at the end, with ``reward_components``.

    Args:
        env: a ``TextGenerationVectorEnv``, or ``gymnasium.make_vec(id, vectorization_mode="vector_entry_point")``, with
            any reward wrappers, whose reward compares completions.
        group_size: k.

    Raises:
        ConfigError: another environment or reward, or a number of rows that is no multiple of ``group_size``.

    >>> import textgym
    >>> task = [textgym.Prompt("a:"), textgym.Prompt("b:"), textgym.Prompt("c:")]
    >>> reward = textgym.rewards.SelfBLEU()
    >>> envs = textgym.TextGenerationVectorEnv(4, task, reward, max_prompt_tokens=8, max_new_tokens=2)
    >>> envs = GroupedRows(envs, 2)
    >>> observations, infos = envs.reset(seed=0)
    >>> infos["prompt"].tolist()
    ['c:', 'c:', 'b:', 'b:']
    >>> end = envs.unwrapped.mdp.rules.eos_token_id
    >>> [part.tolist() for part in envs.step(np.array([end, 900, end, end]))[1:3]]
    [[0.0, 0.0, 0.0, 0.0], [False, False, True, True]]
    >>> [part.tolist() for part in envs.step(np.array([0, end, 0, 0]))[1:3]]
    [[1.0, 1.0, 0.0, 0.0], [True, True, False, False]]
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], group_size: int) -> None:
        base = env.unwrapped
        if not isinstance(base, TextGenerationVectorEnv):
            raise ConfigError(f"GroupedRows needs a TextGenerationVectorEnv, got {type(base).__name__}.")
        if not scores_groups(base.reward):
            raise ConfigError(f"GroupedRows needs a reward that compares completions, got {base.reward!r}.")
        self.group_size = count("group_size", group_size, least=2)
        if base.num_envs % self.group_size:
            raise ConfigError(f"{base.num_envs} rows are no groups of {self.group_size}: make a multiple of them.")
        super().__init__(env)
        self._base = base
        base.set_autoreset_mode(AutoresetMode.DISABLED)  # rows wait: this wrapper resets them
        self.metadata = {**env.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        self._over: npt.NDArray[np.bool_] = np.zeros(base.num_envs, dtype=np.bool_)  # the next step resets them
        self._cut = self._over.copy()  # whose episode was truncated

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """What becomes of rows that end. TorchRL asks the outermost wrapper."""
        return AutoresetMode.NEXT_STEP

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin all groups anew. Their prompts are drawn by the environment's generator, unless ``prompt_id`` is given.

        Raises:
            ConfigError: ``options`` has a ``reset_mask``: groups begin and end as a whole.
        """
        given = dict(options or {})
        if "reset_mask" in given:
            raise ConfigError("GroupedRows resets all groups: leave reset_mask out.")
        self._over[:], self._cut[:] = False, False
        if given.get("prompt_id") is None:
            self.env.reset(seed=seed, options={"prompt_id": 0})  # seeds the generators and draws no prompt
            seed, given["prompt_id"] = None, self._prompts(np.ones(self.num_envs, dtype=np.bool_))
        return self.env.reset(seed=seed, options=given)

    def _prompts(self, rows: npt.NDArray[np.bool_]) -> list[int | None]:
        """A prompt for each group of these rows."""
        drawn: list[int | None] = []
        for first in range(0, self.num_envs, self.group_size):
            generator = self._base.generators[first]
            prompt_id = self._base.mdp.draw(generator) if rows[first] and generator is not None else None
            drawn += [prompt_id] * self.group_size
        return drawn

    def step(self, actions: Any) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        over = self._over.copy()
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        terminated, truncated = np.zeros((2, self.num_envs), dtype=np.bool_)
        observations: Any = None
        infos: dict[str, Any] = {}
        if not over.all():
            observations, of_turns, _, cut, infos = self.env.step(actions)  # a partner's; 0 without one
            self._cut |= cut
            rewards, terminated, truncated = self._ends(over, infos)
            rewards = rewards + of_turns
        if over.any():
            options = {"reset_mask": over, "prompt_id": self._prompts(over)}
            observations, started = self.env.reset(options=options)
            self._cut[over] = False
            for name, value in started.items():  # of other rows than those that have just ended
                known = infos.get(name)
                if known is None or not isinstance(value, np.ndarray):
                    infos[name] = value
                else:
                    infos[name] = np.where(over, value, known)
        self._over = terminated | truncated
        return observations, rewards, terminated, truncated, infos

    def _ends(
        self, over: npt.NDArray[np.bool_], infos: dict[str, Any]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Rewards and ends of the groups whose last row has ended; what their infos are goes into ``infos``."""
        base, rewards = self._base, np.zeros(self.num_envs, dtype=np.float64)
        complete = (base.ended & ~over).reshape(-1, self.group_size).all(1).repeat(self.group_size)
        rows = np.flatnonzero(complete).tolist()
        if rows:
            samples = [sample for row in rows if (sample := base.last_samples[row]) is not None]
            numbered = [
                replace(sample, group=row // self.group_size) for row, sample in zip(rows, samples, strict=True)
            ]
            values, finals = base.mdp.finish_groups(numbered)
            for row, sample, value in zip(rows, numbered, values, strict=True):
                base.last_abstained[row] = value is None
                rewards[row] = 0.0 if value is None else late_reward(self.env, sample, value, row)
            if base.mdp.rules.infos == "numbers":
                infos["reward_abstained"][rows] = [value is None for value in values]
            elif base.mdp.rules.infos == "all":
                for name in ("reward_pending", "reward_abstained"):
                    if name in infos:
                        infos[name] &= ~complete
                        infos[f"_{name}"] &= ~complete
                add_infos(infos, base.num_envs, rows, finals)
        return rewards, complete & ~self._cut, complete & self._cut

    def get_state(self) -> dict[str, Any]:
        """Which rows the next step resets, and which were truncated; the environment has its own state."""
        return {"over": self._over.copy(), "cut": self._cut.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self._over, self._cut = np.array(state["over"], dtype=np.bool_), np.array(state["cut"], dtype=np.bool_)
