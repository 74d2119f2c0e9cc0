"""Rewards that come after their episodes have ended.

Two kinds do: those that are asked in the background while the rollout goes on, and those that compare the completions
of a prompt, which are asked when the last of them has ended. A step gives such an episode the reward 0, a ticket, and
``info["reward_pending"]``; its reward and its last info come when the rollout is full.
"""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.vec_env import VecEnvWrapper

from textgym.background import Background
from textgym.core import Sample
from textgym.mdp import TextMDP
from textgym.scoring import PendingReward, background_of, reward_name
from textgym.wrappers.late import late_reward, reward_wrappers
from textgym.wrappers.reward import UNTRANSFORMED
from textgym_agents.objectives.arrays import Ints

# Of Gymnasium's own wrappers those that pass rewards on unread.
HARMLESS = {
    *(gym.Wrapper, gym.ObservationWrapper, gym.ActionWrapper, gym.vector.VectorWrapper),
    *(gym.vector.VectorObservationWrapper, gym.vector.VectorActionWrapper),
    *(gym.wrappers.OrderEnforcing, gym.wrappers.PassiveEnvChecker, gym.wrappers.TimeLimit),
}


@dataclass
class Ended:
    """An episode that waits for its reward.

    Attributes:
        row: that played it.
        info: its last info, without what the reward says.
        returned: the sum of the rewards of its other steps.
        partner: what its last step has without it, such as the reward of a conversation's last turn.
        length: in tokens.
        pending: what the background works on; None where the reward compares completions.
        sample: the completion.
        scored: its reward, None where it abstained, and the rest of its last info, once they are known.
    """

    row: int
    info: dict[str, Any]
    returned: float
    partner: float
    length: int
    pending: PendingReward | None
    sample: Sample
    scored: tuple[float | None, dict[str, Any]] | None = None


class LateRewards:
    """The rewards of a :class:`~textgym_agents.envs.vec_env.TextVecEnv` that are still to come.

    Args:
        env: the vector environment in it.

    Attributes:
        tickets: (rows,) of the last step: the number of an episode that ended with it and waits; -1: there is none.
        pending: by its ticket what waits, in the order in which the episodes ended.
        over: whether the steps that :meth:`open` was given are over, and no others have begun.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        self.tickets: Ints = np.full(env.num_envs, -1)
        self.pending: dict[int, Ended] = {}
        self._started = time.time()
        self._background = Background()
        self._open, self._groups, self._left = False, False, -1
        self.over = False
        self._next = 0
        self._rewards: dict[int, float | None] = {}
        self._infos: list[dict[str, Any]] = []
        self._warned = False

    # ------------------------------------------------------------------ who waits

    @property
    def is_open(self) -> bool:
        """Whether somebody awaits what comes late."""
        return self._open

    def open(self, steps: int | None = None, *, groups: bool = False, around: Sequence[Any] = ()) -> None:
        """From now on rewards may come late. Whoever calls this awaits them.

        Args:
            steps: so many from now on; the last one waits for all. None: until :meth:`close`.
            groups: whether also a reward may that compares the completions of a prompt.
            around: layers around the TextVecEnv.
        """
        self._open, self._groups, self._left = True, groups, -1 if steps is None else steps
        self.over = False
        asks = [mdp for mdp in self._mdps() if background_of(mdp.reward)]
        if not asks:
            return
        blocking = next((layer for layer in [*around, *_layers(self.env)] if not _takes_late(layer)), None)
        for mdp in asks:
            mdp.background = self._background if blocking is None else None
        if blocking is not None and not self._warned:
            self._warned = True
            warnings.warn(
                f"{type(blocking).__name__} sees each reward as it comes, so {reward_name(asks[0].reward)!r} is asked "
                "at the end of each episode, and the rollout waits for it. If it doesn't read rewards, give its class "
                "the attribute takes_late_rewards = True.",
                stacklevel=4,
            )

    def close(self) -> None:
        """From now on every reward comes with its step. What is still to come can be awaited."""
        self._open = self.over = False
        for mdp in self._mdps():
            mdp.background = None

    def forget(self) -> None:
        """Nobody waits any more for what is still to come."""
        self.pending, self._rewards, self._infos = {}, {}, []
        self.tickets[:] = -1

    @contextmanager
    def opened(self, *, groups: bool = False) -> Iterator[None]:
        """Open within the block. What was still to come before it is forgotten."""
        self.forget()
        self.open(groups=groups)
        try:
            yield
        finally:
            self.close()

    def _mdps(self) -> list[TextMDP]:
        vector: Any = self.env.unwrapped
        rows = [env.unwrapped for env in getattr(vector, "envs", ())]
        return [mdp for one in rows or [vector] if isinstance(mdp := getattr(one, "mdp", None), TextMDP)]

    # ------------------------------------------------------------------ what comes

    def take(self, row: int, info: dict[str, Any], sample: Any, returned: float, partner: float, length: int) -> bool:
        """Whether the episode that a row has ended waits for its reward from now on; its info says that it may.

        What its last step has without it, such as the reward of a conversation's last turn, waits too.
        """
        pending = info.pop("reward_pending", None)
        if isinstance(pending, PendingReward):
            sample = pending.sample
        elif not pending or not self._groups or not self._open:
            return False
        info.pop("reward_abstained", None)
        kept = {name: value for name, value in info.items() if name != "terminal_observation"}
        asked = pending if isinstance(pending, PendingReward) else None
        self.pending[self._next] = Ended(row, kept, returned, partner, length, asked, sample)
        self.tickets[row] = self._next
        self._next += 1
        info["reward_pending"] = True
        return True

    def step_over(self) -> list[dict[str, Any]]:
        """A step is over; the last one of a rollout waits for all rewards. Returns the infos of those that came."""
        if self._open and self._left > 0:
            self._left -= 1
            if not self._left:
                self.close()
                self.over = True
                self.arrive()
        return self.take_infos()

    def compare(self, groups: Mapping[int, int]) -> None:
        """Ask a reward that compares completions. ``groups``: by the ticket of an episode, in order, its group."""
        tickets = [ticket for ticket in groups if self.pending[ticket].pending is None]
        if not tickets:
            return
        samples = [replace(self.pending[ticket].sample, group=groups[ticket]) for ticket in tickets]
        values, finals = self._mdps()[0].finish_groups(samples)
        for ticket, value, final in zip(tickets, values, finals, strict=True):
            self.pending[ticket].scored = value, final

    def arrive(self) -> None:
        """Wait for all that the background works on. Reward wrappers change it as they would have at an episode's end.

        Where a reward raises, so does this. What has come before stays, and the rest may be awaited again.
        """
        while self.pending:
            ticket = next(iter(self.pending))
            ended = self.pending[ticket]
            if ended.scored is None and ended.pending is not None:
                ended.scored = ended.pending.result()
            value, final = (None, {"reward_abstained": True}) if ended.scored is None else ended.scored
            info = {**ended.info, **final}
            if value is None:
                self._rewards[ticket] = None
            else:
                value += ended.partner
                reward = late_reward(self.env, ended.sample, value, ended.row)
                self._rewards[ticket] = reward
                spent = round(time.time() - self._started, 6)
                info["episode"] = {"r": round(ended.returned + reward, 6), "l": ended.length, "t": spent}
                if reward_wrappers(self.env, ended.row):
                    info[UNTRANSFORMED] = value
            self._infos.append(info)
            del self.pending[ticket]

    def take_rewards(self) -> dict[int, float | None]:
        """By its ticket, each reward that has come since the last call; None: it abstained."""
        rewards, self._rewards = self._rewards, {}
        return rewards

    def take_infos(self) -> list[dict[str, Any]]:
        """The last infos of these episodes, in the order in which they ended."""
        infos, self._infos = self._infos, []
        return infos


def _layers(env: Any) -> Iterator[Any]:
    """The wrappers of a vector environment and of the single ones in it."""
    while env is not None:
        inner = getattr(env, "__dict__", {})
        if isinstance(env, gym.Wrapper | gym.vector.VectorWrapper):
            yield env
        for row in inner.get("envs", ()):
            yield from _layers(row)
        env = inner.get("env")


def _takes_late(layer: Any) -> bool:
    """Whether a layer leaves the rewards of steps alone: whose step it is, or what is derived from it, says so."""
    name = "step_wait" if isinstance(layer, VecEnvWrapper) else "step"
    for kind in type(layer).__mro__:
        if "takes_late_rewards" in vars(kind):
            return bool(vars(kind)["takes_late_rewards"])
        if name in vars(kind):
            return kind in HARMLESS
    return False
