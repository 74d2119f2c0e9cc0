"""Text generation with few actions: choose one of the k most probable tokens under the initial model.

A vocabulary has thousands of tokens, of which hardly any makes sense at a given place. Q-learning has to look for the
best action of each state; among k sensible ones it can.
"""

import copy
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import get_device, obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from textgym.errors import ConfigError
from textgym_agents.buffers.replay_episodes import CANDIDATES
from textgym_agents.envs.sync_vector import Obs
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.candidates import Proposals
from textgym_agents.policies.dqn import DQNPolicy


class CandidateVecEnv(VecEnvWrapper):
    """Observations get a key ``candidates``, (k,) token ids, the most probable first; the action is an index into them.

    Masked tokens are no candidates. Where fewer than k tokens are legal, the first one fills the rest. In
    ``terminal_observation`` candidates are zeros, unless the episode was truncated.

    Args:
        venv: of textgym environments.
        model: whose tokens they are; as for a policy. It is loaded with the first reset, unless :meth:`bind` has shown
            a policy that has it.
        num_candidates: k.

    Raises:
        ConfigError: the environment's actions are not tokens.
        ModelError: the model doesn't fit the environment.
    """

    takes_late_rewards = True

    def __init__(self, venv: VecEnv, model: Any, num_candidates: int = 8) -> None:
        space, actions = venv.observation_space, venv.action_space
        if not isinstance(space, spaces.Dict) or "input_ids" not in space.spaces:
            raise ConfigError(f"CandidateVecEnv needs observations with input_ids, got {space}.")
        if not isinstance(actions, spaces.Discrete):
            raise ConfigError(f"CandidateVecEnv needs tokens as actions, got {actions}.")
        if not 1 < num_candidates <= actions.n:
            raise ConfigError(f"num_candidates is {num_candidates}, expected 2 to {actions.n}, the vocabulary's size.")
        longer = copy.copy(space)  # with the attributes of a TextSpace
        longer.spaces = {**space.spaces, CANDIDATES: spaces.Box(0, int(actions.n) - 1, (num_candidates,), np.int64)}
        super().__init__(venv, longer, spaces.Discrete(num_candidates))
        self.model, self.num_candidates = model, num_candidates
        self._proposals: Proposals | None = None

    def bind(self, policy: BasePolicy) -> None:
        """Take the candidates from a policy that keeps the initial model, instead of loading it once more."""
        if isinstance(policy, DQNPolicy):
            self._proposals = policy.proposals

    @property
    def proposals(self) -> Proposals:
        """What names the candidates."""
        if self._proposals is None:
            with torch.random.fork_rng(devices=[]):  # a policy's new value head draws from torch's generator
                policy = LanguageModelPolicy(
                    self.venv.observation_space, self.venv.action_space, lambda _: 0.0, model=self.model
                ).requires_grad_(False)
            self._proposals = Proposals(policy.to(get_device()), self.num_candidates)
        return self._proposals

    def reset(self) -> Obs:
        observations: Any = self.venv.reset()
        return self._with_candidates(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        chosen = np.asarray(actions).reshape(-1).astype(np.int64)
        self.venv.step_async(self.candidates[np.arange(self.num_envs), chosen])

    def step_wait(self) -> VecEnvStepReturn:
        step: Any = self.venv.step_wait()
        observations, rewards, dones, infos = step
        ended = [info for info in infos if "terminal_observation" in info]
        for info in ended:
            last = info["terminal_observation"]
            following = np.zeros(self.num_candidates, np.int64)
            if info.get("TimeLimit.truncated", False):
                following = self._name({key: value[None] for key, value in last.items()}, cached=False)[0]
            info["terminal_observation"] = {**last, CANDIDATES: following}
        return self._with_candidates(observations), rewards, dones, infos

    def _with_candidates(self, observations: Obs) -> Obs:
        self.candidates = self._name(observations)
        return {**observations, CANDIDATES: self.candidates.copy()}

    def _name(self, observations: Obs, *, cached: bool = True) -> NDArray[np.int64]:
        device = self.proposals.policy.device
        tensors: Any = obs_as_tensor(observations, device)
        return self.proposals(tensors, cached=cached).cpu().numpy()


def candidates(vec_env: VecEnv, model: Any, num_candidates: int = 8) -> VecEnv:
    """``CandidateVecEnv(vec_env, model, num_candidates)``; one that is such an environment stays as it is.

    >>> from textgym_agents import make_vec_env
    >>> env = candidates(make_vec_env("textgym/Copy-v1", n_envs=2, seed=1), "textgym/small", 4)
    >>> env.action_space, env.reset()["candidates"].shape
    (Discrete(4), (2, 4))
    """
    return vec_env if isinstance(vec_env, CandidateVecEnv) else CandidateVecEnv(vec_env, model, num_candidates)
