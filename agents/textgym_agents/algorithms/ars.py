"""ARS: random search in the weights of LoRA adapters, with sb3-contrib's update. No gradient is computed."""

from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from textgym.errors import ConfigError
from textgym.mdp import text_env
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms import sb3_contrib as contrib
from textgym_agents.algorithms.options import SB3Options, check_policy
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.envs.prompt_queue import PromptQueue, prompt_env
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.policies.ars import ARSPolicy
from textgym_agents.policies.limits import check_values


class ARSOptions(SB3Options, total=False):
    """What sb3-contrib's ARS takes and ``ARS`` leaves at its defaults."""

    alive_bonus_offset: float


class ARS(contrib.ARS):  # type: ignore[misc]
    """Augmented random search: weights go to where the better ones of random changes to them point.

    Mania et al., "Simple random search provides a competitive approach to reinforcement learning" (2018),
    https://arxiv.org/abs/1803.07055. The update is sb3-contrib's.

    Differences from the paper:

    1. The policy is a language model, and what is searched are the outer halves of its adapters, see ``ARSPolicy``.
    2. All candidates of an update write to the same prompts with the same random numbers, so that they differ by their
       weights alone. Completions are sampled, as those of other algorithms are, unless ``deterministic``.
    3. Observations are tokens, which can't be normalized.

    It is here as the baseline that random search is. The 512 completions of an update are sixteen numbers to it, which
    say next to nothing of the best direction among hundreds of weights. Steps are small, since larger ones carry it far
    below the initial model (``textgym train Copy-v0 --algo ars --learning-rate 0.5``), and it needs millions of tokens.

    Differences from sb3-contrib:

    1. Number 2. above; there every candidate gets prompts of its own and is played without sampling.
    2. Timesteps are the tokens of the candidates' completions.
    3. A loaded algorithm goes on from the weights that it had, not from the initial ones.
    4. ``async_eval`` isn't taken. As there, a callback can't end the training.

    Args:
        policy: ``ARSPolicy``.
        env: as for ``EpisodicAlgorithm``.
        n_delta: random directions of an update; each is tried forwards and backwards.
        n_top: the best of them, which the update uses. None: all.
        delta_std: how far candidates lie from the weights, as a share of the layers' outputs, see ``ARSPolicy``; a
            number or a schedule.
        learning_rate: of a step whose directions are weighed by returns in units of their standard deviation.
        n_eval_episodes: episodes that a candidate plays.
        deterministic: candidates write their greedy completions.
        options: ``seed``, ``policy_kwargs``, ``alive_bonus_offset``, ...: as for sb3-contrib's class.

    Raises:
        MissingExtraError: without sb3-contrib.
        ConfigError: another policy, another kind of environment, or less than one direction or episode.
    """

    policy: ARSPolicy
    env: TextVecEnv

    def __init__(
        self,
        policy: type[ARSPolicy],
        env: Any,
        *,
        n_delta: int = 8,
        n_top: int | None = None,
        learning_rate: Any = 0.02,
        delta_std: Any = 0.5,
        n_eval_episodes: int = 32,
        deterministic: bool = False,
        **options: Unpack[ARSOptions],
    ) -> None:
        check_policy("ARS", policy, ARSPolicy)
        check_values({"n_delta": n_delta, "n_top": n_top, "n_eval_episodes": n_eval_episodes, "delta_std": delta_std})
        self.deterministic = deterministic
        super().__init__(
            policy,
            env,
            n_delta,
            n_top,
            learning_rate,
            delta_std,
            zero_policy=False,
            n_eval_episodes=n_eval_episodes,
            **options,
        )

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        return prompt_env(env)

    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        """As SB3's. What is searched from now on begins at these weights."""
        super().set_parameters(*args, **kwargs)
        self.weights = torch.nn.utils.parameters_to_vector(self.policy.parameters()).detach()

    def _do_one_update(self, callback: BaseCallback, async_eval: Any = None) -> None:
        callback.on_rollout_start()  # before the directions are drawn: a checkpoint is made here
        super()._do_one_update(callback, async_eval)

    def evaluate_candidates(self, candidate_weights: Tensor, callback: BaseCallback, async_eval: Any = None) -> Tensor:
        """(candidates,) mean returns of the episodes of each of the weights (candidates, parameters)."""
        if async_eval is not None:
            raise ConfigError("ARS on language models evaluates in one process: leave async_eval out.")
        inner = text_env(self.env)
        self.ep_info_buffer: Any = []
        prompt_ids = np.array([inner.mdp.draw(inner.np_random) for _ in range(self.n_eval_episodes)])
        stream = int(inner.np_random.integers(2**32))
        returns = torch.full((len(candidate_weights),), torch.nan, device=self.device)
        for index, weights in enumerate(candidate_weights):
            self.policy.load_from_vector(weights)
            with self.policy.sampling_from(stream):
                each = self._returns(prompt_ids, callback)
            if np.isfinite(each).any():
                returns[index] = float(np.nanmean(each))
        # A candidate of which nothing is known is neither better nor worse than the others.
        returns = returns.where(returns.isfinite(), returns.nanmean().nan_to_num(0.0))
        self.policy.load_from_vector(self.weights)
        callback.on_rollout_end()
        return returns

    def _returns(self, prompt_ids: NDArray[np.integer], callback: BaseCallback) -> NDArray[np.float64]:
        """(episodes,) returns of one episode for each prompt, under the present weights; NaN: the reward abstained."""
        returns = np.zeros(len(prompt_ids))
        late = self.env.late
        tickets: dict[int, int] = {}  # by an episode whose reward is still to come
        with self.env.rows_wait(), late.opened():
            queue = PromptQueue(self.env, prompt_ids)
            while queue.advance():
                actions, _ = self.policy.predict(queue.observations, deterministic=self.deterministic)
                rewards, dones, infos = queue.step(actions)
                playing = queue.episode_of >= 0
                returns[queue.episode_of[playing]] += rewards[playing]
                returns[queue.episode_of[self.env.abstained]] = np.nan
                waits = np.flatnonzero(late.tickets >= 0)
                tickets.update(zip(queue.episode_of[waits].tolist(), late.tickets[waits].tolist(), strict=True))
                self.num_timesteps += int(playing.sum())
                self._update_info_buffer(infos)
                callback.update_locals(locals())
                callback.on_step()
        if tickets:
            late.arrive()
            came, infos = late.take_rewards(), late.take_infos()
            for episode, ticket in tickets.items():
                reward = came[ticket]
                returns[episode] += np.nan if reward is None else np.float32(reward)
            dones = np.ones(len(infos), dtype=np.bool_)
            self._update_info_buffer(infos)
            callback.update_locals(locals())
            callback.on_step()
        return returns


ROW = Algorithm(
    ARS,
    "Mania et al., Simple random search provides a competitive approach to reinforcement learning, 2018, "
    "https://arxiv.org/abs/1803.07055",
    family="random search",
    kl_coef=None,
    policy=ARSPolicy,
    buffer=None,
    small={"n_delta": 1, "n_eval_episodes": 4, "delta_std": 5.0},  # so far that rewards of a few tokens differ
    tests=("algorithms/test_ars.py",),
    # Random search gains next to nothing from so few tokens: how little it may lose.
    learning=Learning(24_000, -0.03, (0.001, -0.004, 0.003)),
    search={
        "learning_rate": search.Range(3e-3, 0.3),
        "delta_std": search.Range(0.03, 1.0),
        "n_delta": search.Choice((4, 8, 16)),
    },
    origins={
        "n_delta": origins.CHOSEN,
        "n_top": origins.PAPER,
        "learning_rate": origins.CHOSEN,
        "delta_std": origins.CHOSEN,
        "n_eval_episodes": origins.CHOSEN,
        "deterministic": origins.CHOSEN,
    },
)
