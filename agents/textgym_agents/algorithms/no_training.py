"""What training has to beat: the initial model as it is, with three ways to get a text out of it.

A baseline learns nothing, so ``learn`` plays nothing either: it calls the callbacks' start and end, where evaluations
are made, and ends with ``num_timesteps`` 0, whatever the budget.
"""

from typing import Any, Self

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import MaybeCallback

from textgym.errors import ConfigError
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.policies.base import LanguageModelPolicy


class Baseline(BaseAlgorithm):
    """The initial model. What it is a baseline of is the policy's matter: sampling, or ``GreedyPolicy``.

    Args:
        policy: ``LanguageModelPolicy``, or ``GreedyPolicy``.
        env: a VecEnv, or an id.
        stats_window_size, tensorboard_log, policy_kwargs, verbose, seed, device: as for every SB3 algorithm.

    >>> from textgym_agents.policies.base import LanguageModelPolicy
    >>> Baseline(LanguageModelPolicy, "textgym/Copy-v0").learn(10_000).num_timesteps
    0
    """

    policy: LanguageModelPolicy

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            make_vec_env(env, 1) if isinstance(env, str) else env,
            learning_rate=0.0,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            supported_action_spaces=(spaces.Discrete,),
        )
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        policy: Any = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        )
        self.policy = policy.to(self.device)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "baseline",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Nothing but the callbacks' start and end."""
        _, callback = self._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)
        callback.on_training_start(locals(), globals())
        callback.on_training_end()
        return self


class BestOfN(Baseline):
    """The best of n samples for each prompt, as the environment's own reward sees them.

    Nakano et al., "WebGPT" (2021), section 3.2, https://arxiv.org/abs/2112.09332, where a learned reward model chooses.
    Here the reward that is reported chooses, on the evaluation's own prompts: the result is a bound on what picking
    among samples can reach, not a contestant on equal terms. ``evaluate`` does the picking; ``predict`` gives samples.

    Args:
        n: samples of each prompt; 1 is sampling.
        policy, env, ...: as for ``Baseline``.

    Raises:
        ConfigError: ``n`` is no integer of at least 1.
    """

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        n: int = 4,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError(f"n is {n!r}, expected an integer of at least 1: how many samples the best is taken of.")
        self.n = n
        super().__init__(
            policy, env, stats_window_size, tensorboard_log, policy_kwargs, verbose, seed, device, _init_setup_model
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        self.policy.best_of = self.n  # type: ignore[assignment]  # what evaluate() looks at
