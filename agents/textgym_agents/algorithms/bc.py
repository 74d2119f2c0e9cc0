"""Behaviour cloning: supervised learning on the task's references, alone or as the start of another algorithm."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import MaybeCallback, Schedule
from stable_baselines3.common.vec_env import VecEnv

from textgym.core import text_env
from textgym.errors import ConfigError
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient
from textgym_agents.buffers.demonstrations import check_task, draw_reference
from textgym_agents.buffers.episodes import EpisodeStore
from textgym_agents.policies.base import LanguageModelPolicy

LEARNING_RATE = 1e-3


class BC(EpisodicPolicyGradient):
    """Cross-entropy on references: the model learns to say what they say, without a reward.

    Pomerleau, "Efficient Training of Artificial Neural Networks for Autonomous Navigation" (1991),
    https://doi.org/10.1162/neco.1991.3.1.88, with texts in place of steering. No text is played: a rollout is a draw of
    prompts, as other algorithms draw them, with one reference of each, at random if there are several. A reference is
    encoded as the environment would see it written: with the end token, cut where a stop string or the budget of new
    tokens would cut it. Timesteps are its tokens.

    Top-k, top-p and NLPO's mask are off while it learns: they would give tokens of references the probability 0.
    References that the environment's own masks don't let a policy write are left out.

    Args:
        policy: a ``LanguageModelPolicy``.
        env: as for ``EpisodicPolicyGradient``, of a task with references.
        learning_rate, max_grad_norm, ...: as for ``EpisodicPolicyGradient``.
        references_per_rollout: references that make one rollout.
        batch_size: about how many tokens of them make one optimiser step. None: all.
        separator: what stands between prompt and reference where the prompt doesn't end in a space and isn't wrapped in
            a chat template.

    Raises:
        ConfigError: the task has no references, or none that the environment lets a policy write.
    """

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        learning_rate: float | Schedule = LEARNING_RATE,
        references_per_rollout: int = 32,
        batch_size: int | None = None,
        max_grad_norm: float = 1.0,
        separator: str = " ",
        rollout_buffer_class: type[RolloutBuffer] | None = None,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if references_per_rollout < 1:
            raise ConfigError(f"references_per_rollout is {references_per_rollout}, expected at least 1 reference.")
        super().__init__(
            policy,
            env,
            learning_rate,
            prompts_per_rollout=references_per_rollout,
            group_size=1,
            batch_size=batch_size,
            max_grad_norm=max_grad_norm,
            rollout_buffer_class=rollout_buffer_class,
            rollout_buffer_kwargs={"reduction": "token", **(rollout_buffer_kwargs or {})},
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.separator = separator
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        OnPolicyAlgorithm._setup_model(self)  # not the base's, which wants a text for every row: no row plays here
        if self.env is not None:
            check_task(text_env(self.env).mdp)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the store with references. ``n_rollout_steps`` is SB3's and not used."""
        assert isinstance(rollout_buffer, EpisodeStore)
        callback.on_rollout_start()
        vector = text_env(env)
        episodes = [draw_reference(vector, self.separator) for _ in range(self.prompts_per_rollout)]
        rollout_buffer.fill(episodes)
        self.num_timesteps += rollout_buffer.buffer_size
        dones, infos = np.zeros(0, dtype=np.bool_), []  # type: ignore[var-annotated]  # callbacks look for ended texts
        callback.update_locals(locals())
        if not callback.on_step():
            return False
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Down the gradient of  - mean over tokens of log pi(a_t | s_t)."""
        with whole_vocabulary(self.policy):
            for batch in self._minibatches(np.zeros(self.rollout_buffer.buffer_size)):  # nothing to weigh texts by
                _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)
                self._descend(batch, -(batch.weights * log_prob).sum(), entropy)


def warm_start(
    algorithm: BaseAlgorithm,
    timesteps: int,
    *,
    callback: MaybeCallback = None,
    move_reference: bool = True,
    **options: Any,
) -> BC:
    """Train an algorithm's policy on the references of its own environment, in place, before its ``learn``.

    What comes after is reinforcement learning from a supervised start, as in Ziegler et al. (2019),
    https://arxiv.org/abs/1909.08593. The algorithm keeps its own optimiser, whose state is empty afterwards, and its
    count of timesteps. The value head is not trained.

    Args:
        algorithm: with a language model as its policy, such as :func:`textgym_agents.make` builds.
        timesteps: tokens of references.
        callback: as for ``learn``; its ``model`` is the ``BC`` that this function returns.
        move_reference: the KL penalty of what follows is measured to the warm-started weights. False: to the initial
            ones, as it always is with LoRA, whose reference is the model with its adapters off.
        options: arguments of ``BC``: ``learning_rate``, ``references_per_rollout``, ...

    Returns:
        The algorithm that did it, which shares the policy: ``num_timesteps`` is what it used.

    Raises:
        ConfigError: an algorithm like DQN or ARS, or a task without references.

    >>> from textgym_agents import make
    >>> ppo = make("ppo", "textgym/Copy-v0", n_envs=4, n_steps=8, batch_size=16, seed=0)
    >>> warm_start(ppo, 100, references_per_rollout=8).num_timesteps >= 100
    True
    """
    policy: Any = algorithm.policy
    if not (isinstance(algorithm, OnPolicyAlgorithm) and isinstance(policy, LanguageModelPolicy)):
        raise ConfigError(
            f"{type(algorithm).__name__} can't be warm-started in place: its policy is more than a model that samples. "
            'Train one with the algorithm "bc", write it with policy.save_pretrained(folder), and give model=folder.'
        )
    own = policy.optimizer
    teacher = BC(
        lambda *args, **kwargs: policy,  # type: ignore[arg-type]  # SB3 calls it for a new policy
        algorithm.get_env(),
        verbose=algorithm.verbose,
        device=algorithm.device,
        **options,
    )
    trained = [p for p in policy.parameters() if p.requires_grad]
    policy.optimizer = policy.optimizer_class(trained, lr=teacher.lr_schedule(1), **policy.optimizer_kwargs)  # type: ignore[call-arg]
    try:
        teacher.learn(timesteps, callback)
    finally:
        policy.optimizer = own
        own.state = defaultdict(dict)
        policy.set_training_mode(False)
        algorithm._last_obs = None  # the rows were reset, by the teacher
    if move_reference and policy.reference is not None and policy.reference.copy is not None:
        policy.reference.copy.load_state_dict(policy.lm.state_dict())
    refresh = getattr(policy, "refresh_mask", None)
    if refresh is not None:
        refresh()  # NLPO's mask begins where its policy does
    return teacher


@contextmanager
def whole_vocabulary(policy: LanguageModelPolicy) -> Iterator[None]:
    """Within the block, neither top-k, top-p nor NLPO's mask leaves a token out."""
    sampling, mask = policy.sampling, getattr(policy, "mask_policy", None)
    policy.sampling = replace(sampling, top_k=0, top_p=1.0)
    if mask is not None:
        object.__setattr__(policy, "mask_policy", None)  # plainly: to torch it would be a submodule
    try:
        yield
    finally:
        policy.sampling = sampling
        if mask is not None:
            object.__setattr__(policy, "mask_policy", mask)
