"""What REINFORCE, SCST, RLOO and GRPO share: rollouts of whole texts in groups, and one step down a loss.

A rollout plays ``prompts_per_rollout`` prompts, ``group_size`` times each. A row whose text has ended begins the next
one at once, so all rows are busy until no text is left to begin; then rows wait for the longest one. No text is cut,
and each is worth what it scored, also one that ran out of tokens where the environment calls that a truncation.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from torch import Tensor

from textgym.core import TextGenerationEnv, text_env
from textgym.errors import ConfigError
from textgym_agents.buffers.episodes import Episode, EpisodeSamples, EpisodeStore, Recorder
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.envs.vec_env import TextVecEnv, make_vec_env
from textgym_agents.objectives.advantages import Floats, whiten, without_signal
from textgym_agents.policies.base import LanguageModelPolicy


class EpisodicPolicyGradient(OnPolicyAlgorithm):
    """Base of the algorithms that learn from whole texts. A subclass says in ``train`` what it learns from them.

    Args:
        policy: ``LanguageModelPolicy``.
        env: a ``TextVecEnv`` (see ``make_vec_env``), or an id.
        learning_rate: of the policy's optimiser, a number or a schedule.
        prompts_per_rollout: prompts drawn for a rollout.
        group_size: texts for each of them, k.
        batch_size: about how many tokens, of whole texts, make one optimiser step. None: all of the rollout.
        ent_coef: coefficient of the entropy, added up and averaged like the policy's loss.
        max_grad_norm: the gradient is scaled down to this norm.
        normalize_advantage: whiten the advantages of a rollout.
        skip_without_signal: leave groups whose texts all scored the same out of the update.
        rollout_buffer_class: an ``EpisodeStore``.
        rollout_buffer_kwargs: its arguments, such as ``kl_coef``.
        stats_window_size, tensorboard_log, policy_kwargs, verbose, seed, device: as for every SB3 algorithm.

    Raises:
        ConfigError: an environment that can't begin a given prompt in one row, or fewer texts in a rollout than rows.
    """

    buffer_class: type[EpisodeStore] = EpisodeStore
    least_group_size = 1
    policy: LanguageModelPolicy
    rollout_buffer: EpisodeStore

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        learning_rate: float | Schedule = 1e-3,
        prompts_per_rollout: int = 16,
        group_size: int = 4,
        batch_size: int | None = None,
        ent_coef: float = 0.0,
        max_grad_norm: float = 1.0,
        normalize_advantage: bool = False,
        skip_without_signal: bool = False,
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
        least = {"prompts_per_rollout": (prompts_per_rollout, 1), "group_size": (group_size, self.least_group_size)}
        for name, (value, bound) in least.items():
            if value < bound:
                raise ConfigError(f"{name} is {value}, {type(self).__name__} needs at least {bound}.")
        super().__init__(
            policy,
            make_vec_env(env, min(32, prompts_per_rollout * group_size)) if isinstance(env, str) else env,
            learning_rate=learning_rate,
            n_steps=1,  # not used: a rollout is as long as its texts
            gamma=1.0,
            gae_lambda=1.0,
            ent_coef=ent_coef,
            vf_coef=0.0,
            max_grad_norm=max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            rollout_buffer_class=rollout_buffer_class or self.buffer_class,
            rollout_buffer_kwargs=rollout_buffer_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.prompts_per_rollout, self.group_size, self.batch_size = prompts_per_rollout, group_size, batch_size
        self.normalize_advantage, self.skip_without_signal = normalize_advantage, skip_without_signal
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        texts = self.prompts_per_rollout * self.group_size
        if self.n_envs > texts:
            raise ConfigError(
                f"A rollout has {texts} texts ({self.prompts_per_rollout} prompts x {self.group_size} completions), "
                f"fewer than the {self.n_envs} rows of the environment. Raise prompts_per_rollout or lower n_envs."
            )
        if self.rollout_buffer_class is None or not issubclass(self.rollout_buffer_class, EpisodeStore):
            raise ConfigError(f"rollout_buffer_class is {self.rollout_buffer_class}, expected an EpisodeStore.")
        super()._setup_model()
        if self.policy.reference is not None:
            self.rollout_buffer.bind(self.policy)

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """SB3 passes every environment through here. SB3's own vector of single environments is taken apart."""
        if isinstance(env, DummyVecEnv) and all(isinstance(one.unwrapped, TextGenerationEnv) for one in env.envs):
            env = TextVecEnv(SingleEnvs(env.envs))
        elif isinstance(env, gym.Env | VectorEnv):
            env = make_vec_env(env)
        if not isinstance(env, TextVecEnv) or not hasattr(env.env.unwrapped, "set_autoreset_mode"):
            raise ConfigError(
                f"env is a {type(env).__name__}. This algorithm plays several texts of one prompt, and needs an "
                'environment that can begin a given prompt in one row: an id, or make_vec_env("textgym/Copy-v0", '
                "n_envs=16). PPO and A2C take any vector environment of texts."
            )
        return env

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        # The last rollout ends a little after the last timestep; a schedule must not go below its end.
        super()._update_current_progress_remaining(min(num_timesteps, total_timesteps), total_timesteps)

    # ------------------------------------------------------------------ rollouts

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the store with whole texts. ``n_rollout_steps`` is SB3's and not used."""
        assert isinstance(env, TextVecEnv)
        assert isinstance(rollout_buffer, EpisodeStore)
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        vector = text_env(env)
        prompt_ids = np.array([vector.mdp.draw(vector.np_random) for _ in range(self.prompts_per_rollout)])
        episodes = self._play_rollout(env, callback, prompt_ids)
        if episodes is None:
            return False
        rollout_buffer.fill(episodes, self.group_size)
        if self.group_size > 1:
            scores = rollout_buffer.scores
            self.logger.record("group/zero_variance", float(without_signal(scores).mean()))
            self.logger.record("group/reward_std", float(scores.std(1, ddof=1).mean()))
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _play_rollout(
        self, env: TextVecEnv, callback: BaseCallback, prompt_ids: NDArray[np.integer]
    ) -> list[Episode] | None:
        """The rollout's texts, groups one after another. None: a callback ended the training."""
        return self._play(env, callback, np.repeat(prompt_ids, self.group_size))

    def _play(
        self, env: TextVecEnv, callback: BaseCallback, prompt_ids: NDArray[np.integer], deterministic: bool = False
    ) -> list[Episode] | None:
        """One text for each prompt. With ``deterministic``, texts are kept out of the statistics of training texts."""
        record = Recorder(self.rollout_buffer, len(prompt_ids))
        text_of = np.full(env.num_envs, -1)  # the text that a row plays, or -1: it waits
        begun = 0
        with env.rows_wait():
            while True:
                free = np.flatnonzero(text_of < 0)[: len(prompt_ids) - begun]
                if len(free):
                    text_of[free] = np.arange(begun, begun + len(free))
                    begun += len(free)
                    self._last_obs = env.start(free, prompt_ids[text_of[free]])
                    for row in free:
                        record.begin(self._last_obs, row, text_of[row])
                elif (text_of < 0).all():
                    return record.episodes()
                with torch.no_grad():
                    obs_tensor = obs_as_tensor(self._last_obs, self.device)  # type: ignore[arg-type]
                    actions, values, log_probs = self.policy(obs_tensor, deterministic)
                actions = actions.cpu().numpy()
                new_obs, rewards, dones, infos = env.step(actions)
                if deterministic:
                    for info in infos:
                        info.pop("episode", None)
                self.num_timesteps += int((text_of >= 0).sum())
                callback.update_locals(locals())
                if not callback.on_step():
                    return None
                self._update_info_buffer(infos, dones)
                record.add(actions, rewards, values, log_probs)
                for row in np.flatnonzero(dones):
                    record.end(text_of[row])
                text_of[dones] = -1
                self._last_obs = new_obs  # type: ignore[assignment]

    # ------------------------------------------------------------------ updates

    def _minibatches(self, advantages: Floats, n_epochs: int = 1) -> Iterator[EpisodeSamples]:
        """The rollout's texts with these advantages, (groups, k) or (tokens,), ``n_epochs`` times in random order."""
        store = self.rollout_buffer
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store.set_advantages(whiten(advantages) if self.normalize_advantage else advantages)
        skipped = without_signal(store.scores) & self.skip_without_signal & (self.group_size > 1)
        self._terms: dict[str, list[float]] = defaultdict(list)
        for _ in range(n_epochs):
            yield from store.get(self.batch_size, ~np.repeat(skipped, self.group_size))
            self._n_updates += 1
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, values in self._terms.items():
            self.logger.record(f"train/{name}", float(np.mean(values)))

    def _descend(
        self, batch: EpisodeSamples, policy_loss: Tensor, entropy: Tensor, further: Tensor | float = 0.0
    ) -> None:
        """One optimiser step down ``policy_loss``, the entropy's loss and a further one."""
        loss = policy_loss - self.ent_coef * (batch.weights * entropy).sum() + further
        self.policy.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self._log(policy_loss=policy_loss, entropy_loss=-entropy.mean(), loss=loss, grad_norm=norm)

    def _log(self, **terms: Tensor) -> None:
        """Remember numbers of a minibatch; their means are logged after the update."""
        for name, value in terms.items():
            self._terms[name].append(value.item())
