"""How the parts of an algorithm that need its policy get it: buffers with a KL, environments of candidates."""

import warnings
import weakref
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import VecEnvWrapper

from textgym.scoring import background_of, reward_name
from textgym_agents.buffers.episodes import EpisodeStore
from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.envs.abstained import abstained_rows
from textgym_agents.envs.groups import check_scope
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.objectives.arrays import Ints
from textgym_agents.policies.limits import check_values


@runtime_checkable
class NeedsPolicy(Protocol):
    """A buffer or an environment that asks the policy for something: its reference model, its masks, its candidates."""

    def bind(self, policy: Any) -> None:
        """Take what is needed from the policy; what came from another one is replaced."""


def bind_policy(algorithm: BaseAlgorithm) -> None:
    """Give the policy to the rollout buffer and to each layer of the environment that has a ``bind`` for it.

    ``make`` and ``load`` do so, and so do textgym's own algorithms when SB3 sets them up. With one of SB3's classes by
    hand, call this function: a rollout buffer also learns of rewards that abstain, which SB3 doesn't show it.
    """
    parts: list[Any] = [getattr(algorithm, name, None) for name in ("rollout_buffer", "replay_buffer")]
    env = algorithm.get_env()
    while env is not None:
        parts.append(env)
        env = env.venv if isinstance(env, VecEnvWrapper) else None
    if getattr(algorithm, "groups_compared", False) is False and algorithm.env is not None:
        check_scope(algorithm.env, type(algorithm).__name__, 1)
    policy: Any = algorithm.policy
    for part in parts:
        if isinstance(part, EpisodeStore):  # filled with whole episodes, whose rewards have come
            part.bind(policy)
        elif isinstance(part, EpisodeRolloutBuffer):
            part.bind(policy, _Abstained(algorithm), _Late(algorithm))
        elif isinstance(part, EpisodeReplayBuffer):
            part.bind(policy, _Late(algorithm))
        elif isinstance(part, NeedsPolicy):
            part.bind(policy)
        if isinstance(part, TextVecEnv):
            part.before_reset = _LengthCheck(algorithm)


class _Abstained:
    """In which rows of an algorithm's environment, which may be another one later, the last reward abstained."""

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        self._algorithm = weakref.ref(algorithm)

    def __call__(self) -> Any:
        algorithm = self._algorithm()
        return False if algorithm is None or algorithm.env is None else abstained_rows(algorithm.env)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # a pickled buffer has no algorithm


class _Late:
    """The rewards of an algorithm's environment, which may be another one later, that are still to come."""

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        self._algorithm, self._warned = weakref.ref(algorithm), False

    def _layers(self) -> list[Any]:
        """The environment from the outside in, if a TextVecEnv is innermost."""
        algorithm = self._algorithm()
        layers: list[Any] = [] if algorithm is None or algorithm.env is None else [algorithm.env]
        while layers and isinstance(layers[-1], VecEnvWrapper):
            layers.append(layers[-1].venv)
        return layers if layers and isinstance(layers[-1], TextVecEnv) else []

    def begin(self, steps: int | None = None, *, taken: int = 0) -> None:
        *around, env = self._layers() or [None]
        if env is None and not taken:
            self._say_that_it_waits()
        if env is None or (taken and env.late.is_open):
            return
        taken = 0 if env.late.over else taken
        if steps is None:
            frequency = getattr(self._algorithm(), "train_freq", None)
            known = isinstance(frequency, TrainFreq) and frequency.unit == TrainFrequencyUnit.STEP
            steps = frequency.frequency - taken if isinstance(frequency, TrainFreq) and known else None
        if steps is None or steps > 0:
            env.late.open(steps, around=around)

    def _say_that_it_waits(self) -> None:
        """Warn once of a reward that could be asked in the background in another environment."""
        algorithm = self._algorithm()
        env = None if algorithm is None else algorithm.env
        while isinstance(env, VecEnvWrapper):
            env = env.venv
        rewards = [getattr(getattr(one.unwrapped, "mdp", None), "reward", None) for one in getattr(env, "envs", ())]
        waits = next((reward for reward in rewards if background_of(reward)), None)
        if waits is not None and not self._warned:
            self._warned = True
            warnings.warn(
                f"{type(env).__name__} has rewards come with their steps, so {reward_name(waits)!r} is asked at the "
                "end of each episode, and the rollout waits for it. textgym_agents.make_vec_env makes an environment "
                "that doesn't.",
                stacklevel=5,
            )

    def tickets(self) -> Ints:
        layers = self._layers()
        return layers[-1].late.tickets.copy() if layers else np.full(1, -1)

    def arrive(self) -> Mapping[int, float | None]:
        layers = self._layers()
        if not layers:
            return {}
        layers[-1].late.arrive()
        rewards: dict[int, float | None] = layers[-1].late.take_rewards()
        return rewards

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # a pickled buffer has no algorithm


class _LengthCheck:
    """Refuses a ``learn`` of nan tokens and the like, which SB3 takes: it resets the environment when it begins."""

    def __init__(self, algorithm: BaseAlgorithm) -> None:
        self._algorithm = weakref.ref(algorithm)

    def __call__(self) -> None:
        algorithm = self._algorithm()
        if algorithm is None:
            return
        asked, algorithm._total_timesteps = algorithm._total_timesteps, 0  # later resets are not the learning's
        check_values({"total_timesteps": asked})
        algorithm._total_timesteps = asked

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # a pickled environment has no algorithm
