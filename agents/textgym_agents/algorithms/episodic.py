"""Bases of the algorithms that learn from whole episodes: how they are collected, and what policy gradients share.

A rollout plays ``prompts_per_rollout`` prompts, ``group_size`` times each, see :class:`PromptQueue`. Each episode is
worth what it scored, also one that reached the length limit where the environment calls that a truncation. One whose
reward abstained is worth nothing known: it is in no group's mean, no whitening and no minibatch. When all episodes have
ended, a reward that is asked in the background is awaited, and one that compares the completions of a prompt is asked.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from textgym.conversations import SEEDS
from textgym.errors import ConfigError, did_you_mean
from textgym.mdp import text_env
from textgym_agents.algorithms.binding import bind_policy
from textgym_agents.algorithms.options import EpisodicOptions, SB3Options, check_arguments
from textgym_agents.buffers.episodes import Episode, EpisodeSamples, EpisodeStore, Recorder
from textgym_agents.envs.groups import check_scope
from textgym_agents.envs.prompt_queue import PromptQueue, prompt_env
from textgym_agents.envs.vec_env import TextVecEnv, make_vec_env
from textgym_agents.objectives.advantages import comparable, whiten, without_past_rewards, without_signal
from textgym_agents.objectives.arrays import Floats
from textgym_agents.objectives.returns import returns_to_go
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.limits import check_values

CREDITS = ("episode", "to_go")


class EpisodicAlgorithm(OnPolicyAlgorithm):
    """Base of the algorithms that learn from whole episodes: collects them, and leaves ``train`` to its subclasses.

    Args:
        policy: ``LanguageModelPolicy``.
        env: a ``TextVecEnv`` (see ``make_vec_env``), or an id.
        learning_rate: of the policy's optimizer, a number or a schedule.
        prompts_per_rollout: prompts drawn for a rollout.
        group_size: completions of each of them, k.
        batch_size: about how many tokens, of whole episodes, make one gradient step. None: all of the rollout.
        ent_coef: coefficient of the entropy, reduced like the policy's loss.
        max_grad_norm: the gradient is scaled down to this norm.
        same_partner: in conversations, the completions of a prompt meet the same partner, whose seed they share: what
            it has in mind is no part of their differences. False: each meets one of its own.
        rollout_buffer_class: an ``EpisodeStore``.
        rollout_buffer_kwargs: its arguments, such as ``kl_coef``.
        sb3: ``stats_window_size``, ``tensorboard_log``, ``policy_kwargs``, ``verbose``, ``seed``, ``device``: as for
            every SB3 algorithm.

    Attributes:
        prompt_ids: (episodes,) the prompts of the last rollout.
        partner_seeds: (episodes,) the seeds of its partners; None: there are none.

    Raises:
        ConfigError: an unknown argument, an environment that can't begin a given prompt in one row, or fewer episodes
            in a rollout than rows.
    """

    buffer_class: type[EpisodeStore] = EpisodeStore
    least_group_size = 1
    groups_compared: bool | None = False  # whether rewards may compare a group's completions; None: no reward counts
    policy: LanguageModelPolicy
    rollout_buffer: EpisodeStore
    prompt_ids: NDArray[np.integer]
    partner_seeds: NDArray[np.integer] | None = None

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        learning_rate: float | Schedule = 1e-4,
        prompts_per_rollout: int = 16,
        group_size: int = 4,
        batch_size: int | None = None,
        ent_coef: float = 0.0,
        max_grad_norm: float = 1.0,
        same_partner: bool = True,
        rollout_buffer_class: type[RolloutBuffer] | None = None,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        **sb3: Unpack[SB3Options],
    ) -> None:
        check_arguments(type(self), sb3)
        check_values(
            {
                "learning_rate": learning_rate,
                "prompts_per_rollout": prompts_per_rollout,
                "group_size": group_size,
                "batch_size": batch_size,
                "ent_coef": ent_coef,
                "max_grad_norm": max_grad_norm,
                "same_partner": same_partner,
                "rollout_buffer_kwargs": rollout_buffer_kwargs,
                **sb3,
            }
        )
        if group_size < self.least_group_size:
            raise ConfigError(
                f"group_size is {group_size}, {type(self).__name__} needs at least {self.least_group_size}."
            )
        self.prompts_per_rollout, self.group_size, self.batch_size = prompts_per_rollout, group_size, batch_size
        self.same_partner = same_partner
        super().__init__(
            policy,
            make_vec_env(env, min(32, prompts_per_rollout * group_size)) if isinstance(env, str) else env,
            learning_rate=learning_rate,
            n_steps=1,  # not used: a rollout is as long as its episodes
            gamma=1.0,
            gae_lambda=1.0,
            ent_coef=ent_coef,
            vf_coef=0.0,
            max_grad_norm=max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            rollout_buffer_class=rollout_buffer_class or self.buffer_class,
            rollout_buffer_kwargs=rollout_buffer_kwargs,
            **sb3,
        )

    def _setup_model(self) -> None:
        if self.rollout_buffer_class is None or not issubclass(self.rollout_buffer_class, EpisodeStore):
            raise ConfigError(f"rollout_buffer_class is {self.rollout_buffer_class}, expected an EpisodeStore.")
        if self.env is not None:  # None: it was loaded to predict
            self._check_env(self.env)
        super()._setup_model()
        bind_policy(self)

    def _check_env(self, env: VecEnv) -> None:
        """Raise ConfigError unless rollouts can be collected in the environment."""
        if self.groups_compared:
            check_scope(env, type(self).__name__, self.group_size)
        episodes = self.prompts_per_rollout * self.group_size
        if env.num_envs > episodes:
            raise ConfigError(
                f"A rollout has {episodes} episodes ({self.prompts_per_rollout} prompts x {self.group_size} "
                f"completions), fewer than the {env.num_envs} rows of the environment. Raise prompts_per_rollout or "
                "lower n_envs."
            )

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        return prompt_env(env)  # SB3 passes every environment through here

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        # The last rollout ends a little after the last timestep; a schedule must not go below its end.
        super()._update_current_progress_remaining(min(num_timesteps, total_timesteps), total_timesteps)

    # ------------------------------------------------------------------ rollouts

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the store with whole episodes. ``n_rollout_steps`` is SB3's and not used."""
        assert isinstance(env, TextVecEnv)
        assert isinstance(rollout_buffer, EpisodeStore)
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        episodes = self._collect(env, callback)
        if episodes is None:
            return False
        rollout_buffer.fill(episodes, self.group_size)
        returns = returns_to_go(rollout_buffer.rewards[:, 0].astype(np.float64), rollout_buffer.lengths)
        scored = rollout_buffer.scored
        known = returns[scored.reshape(-1).repeat(rollout_buffer.lengths)]
        rollout_buffer.values = self.policy.value_net.follow(known, rollout_buffer.values)
        groups = comparable(scored).any(1)
        if self.group_size > 1 and groups.any():
            scores = rollout_buffer.scores
            deviations = [scores[group, scored[group]].std(ddof=1) for group in np.flatnonzero(groups)]
            self.logger.record("group/zero_variance", float(without_signal(scores, scored)[groups].mean()))
            self.logger.record("group/reward_std", float(np.mean(deviations)))
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _collect(self, env: TextVecEnv, callback: BaseCallback) -> list[Episode] | None:
        """The rollout's episodes, groups one after another. None: a callback ended the training."""
        self.prompt_ids = np.repeat(self._draw_prompts(env), self.group_size)
        self.partner_seeds = self._draw_partners(env)
        return self._play(env, callback, self.prompt_ids, partner_seeds=self.partner_seeds)

    def _draw_prompts(self, env: TextVecEnv) -> NDArray[np.integer]:
        """(prompts_per_rollout,) prompts as the environment itself draws them."""
        inner = text_env(env)
        return np.array([inner.mdp.draw(inner.np_random) for _ in range(self.prompts_per_rollout)])

    def _draw_partners(self, env: TextVecEnv) -> NDArray[np.integer] | None:
        """(episodes,) seeds of the partners that they meet; None: the environment has no partner."""
        if env.partner is None:
            return None
        each = 1 if self.same_partner else self.group_size
        seeds = text_env(env).np_random.integers(SEEDS, size=self.prompts_per_rollout * each)
        return np.repeat(seeds, self.group_size // each)

    def _play(
        self,
        env: TextVecEnv,
        callback: BaseCallback,
        prompt_ids: NDArray[np.integer],
        deterministic: bool = False,
        beginnings: Sequence[NDArray[np.integer]] | None = None,
        partner_seeds: NDArray[np.integer] | None = None,
    ) -> list[Episode] | None:
        """One episode for each prompt, or what follows the beginning of one.

        Deterministic ones and those with a given beginning stay out of SB3's statistics of training episodes.
        """
        record = Recorder(self.rollout_buffer, len(prompt_ids))
        counts = not deterministic and beginnings is None
        tickets: dict[int, int] = {}  # by an episode whose reward is still to come
        with env.rows_wait(), env.late.opened(groups=counts):
            queue = PromptQueue(env, prompt_ids, beginnings, partner_seeds)
            while queue.advance():
                for row in queue.new_rows:
                    record.begin(queue.observations, int(row), int(queue.episode_of[row]))
                with torch.no_grad():
                    obs_tensor = obs_as_tensor(queue.observations, self.device)
                    actions, values, log_probs = self.policy(obs_tensor, deterministic)
                    masks = self.policy.sampled_masks
                actions = actions.cpu().numpy()
                rewards, dones, infos = queue.step(actions)
                abstained = env.abstained
                waits = np.flatnonzero(env.late.tickets >= 0)
                tickets.update(zip(queue.episode_of[waits].tolist(), env.late.tickets[waits].tolist(), strict=True))
                if not counts:
                    for info, name in itertools.product(infos, ("episode", "reward_abstained", "reward_pending")):
                        info.pop(name, None)
                self.num_timesteps += int((queue.episode_of >= 0).sum())
                callback.update_locals(locals())
                if not callback.on_step():
                    return None
                self._update_info_buffer(infos, dones)
                record.add(actions, rewards, values, log_probs, masks)
                record.follow(queue.observations, (queue.episode_of >= 0) & ~dones)
                for row in np.flatnonzero(dones):
                    record.end(int(queue.episode_of[row]), bool(abstained[row]))
                self._last_obs = queue.observations
        if tickets:
            env.late.compare({tickets[episode]: episode // self.group_size for episode in sorted(tickets)})
            env.late.arrive()
            late, infos = env.late.take_rewards(), env.late.take_infos()
            for episode, ticket in tickets.items():
                record.set_reward(episode, late[ticket])
            dones = np.ones(len(infos), dtype=np.bool_)
            if counts:
                self._update_info_buffer(infos, dones)
                callback.update_locals(locals())  # one step for callbacks: these are the ends of the episodes
                if not callback.on_step():
                    return None
        return record.episodes()

    def _count(self, tokens: int, callback: BaseCallback) -> bool:
        """Timesteps of episodes that weren't played: one step for callbacks. False: one ended the training."""
        self.num_timesteps += tokens
        dones, infos = np.zeros(0, dtype=np.bool_), []  # type: ignore[var-annotated]  # callbacks look for ended ones
        callback.update_locals(locals())
        return callback.on_step()

    # ------------------------------------------------------------------ the log

    def _log_update(self, means: "Means", n_epochs: int = 1) -> None:
        """Count and log what an update did."""
        self._n_updates += n_epochs
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        means.record(self.logger)


class EpisodicPolicyGradient(EpisodicAlgorithm):
    """Base of the policy gradients: REINFORCE, SCST, RLOO and GRPO say in ``train`` what advantages and losses are.

    A minibatch's loss is the mean over its tokens, as in SB3's classes, unless ``rollout_buffer_kwargs`` have another
    ``loss_reduction``: "sum" is the gradient of the expected return.

    Args:
        policy, env, prompts_per_rollout, group_size, batch_size: as for ``EpisodicAlgorithm``.
        normalize_advantage: whiten the advantages of a rollout.
        skip_without_signal: leave groups whose completions all scored the same out of the update.
        credit: "episode": a token's advantage is that of its whole completion. "to_go": without the rewards that came
            before the token, such as those of a conversation's earlier turns; the baseline stays that of whole returns.
        options: further ones of ``EpisodicAlgorithm``: ``learning_rate``, ``ent_coef``, ``max_grad_norm``, ...
    """

    groups_compared = True

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        prompts_per_rollout: int = 16,
        group_size: int = 4,
        batch_size: int | None = None,
        normalize_advantage: bool = False,
        skip_without_signal: bool = False,
        credit: Literal["episode", "to_go"] = "episode",
        **options: Unpack[EpisodicOptions],
    ) -> None:
        if credit not in CREDITS:
            raise ConfigError(f"credit is {credit!r}. {did_you_mean(str(credit), CREDITS)}")
        self.normalize_advantage, self.skip_without_signal = normalize_advantage, skip_without_signal
        self.credit = credit
        options["rollout_buffer_kwargs"] = {"loss_reduction": "token", **(options.get("rollout_buffer_kwargs") or {})}
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            **options,
        )

    def _credited(self, advantages: Floats, scale: Floats | float = 1.0) -> Floats:
        """Advantages (groups, k) of whole completions, which were divided by ``scale``, as ``credit`` has them."""
        if self.credit == "episode":
            return advantages
        store = self.rollout_buffer
        return without_past_rewards(advantages, store.rewards[:, 0], store.lengths, scale)

    def _minibatches(self, advantages: Floats) -> Iterator[EpisodeSamples]:
        """The rollout's episodes in random order, with these advantages: (groups, k) or (tokens,)."""
        store = self.rollout_buffer
        if self.normalize_advantage:
            scored = store.scored.reshape(-1).repeat(1 if advantages.shape == store.scores.shape else store.lengths)
            known = scored.reshape(advantages.shape)
            if known.all() or known.sum() > 1:
                advantages = advantages.copy()
                advantages[known] = whiten(advantages[known])
        store.set_advantages(advantages)
        skipped = without_signal(store.scores, store.scored) & self.skip_without_signal & (self.group_size > 1)
        return store.get(self.batch_size, ~np.repeat(skipped, store.group_size))


class Means:
    """Scalars of the minibatches of an update, whose means are logged as ``train/<name>``."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = defaultdict(list)

    def add(self, **scalars: Tensor) -> None:
        """Those of one minibatch."""
        for name, value in scalars.items():
            self.values[name].append(value.item())

    def record(self, logger: Logger) -> None:
        """Log the means."""
        for name, values in self.values.items():
            logger.record(f"train/{name}", float(np.mean(values)))
