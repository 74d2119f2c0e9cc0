"""What is not the model's: the steps of the environment alone, and the scores of a rollout."""

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from textgym.core import Reward, Sample, TextGenerationEnv
from textgym.registration import env_id
from textgym.rewards import parse_reward
from textgym.rules import TextOptions
from textgym.vector import TextGenerationVectorEnv
from textgym_agents import models
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.speed.contestants import begin, collect, touch
from textgym_agents.speed.measure import Contestant, Progress, Result, Series, nobody
from textgym_agents.speed.models import number_tokenizer, words
from textgym_agents.speed.texts import PPO_ARGUMENTS, PROMPT

TASK = "DataToText"


def steps(env: Any, name: str, count: int, first_token: int = 0) -> Contestant:
    """Steps of a Gymnasium vector environment, with random tokens. Texts end and rows are reset as they come.

    With ``first_token`` above the end token no text ends before it is full.
    """
    actions = np.random.default_rng(0).integers(first_token, env.single_action_space.n, size=(count, env.num_envs))

    def run() -> int:
        for row in actions:
            env.step(row)
        return count * int(env.num_envs)

    return Contestant(name, run, before=lambda: env.reset(seed=0))


def prompts_in_memory(
    num_envs: int, new_tokens: int = 128, **options: Any
) -> tuple[TextGenerationVectorEnv, SyncVectorEnv]:
    """The vector environment, and as many single ones, over prompts that need no making."""
    tokenizer, prompts = number_tokenizer(5000), words(5000, PROMPT)
    given: TextOptions = {"max_prompt_tokens": PROMPT, "max_new_tokens": new_tokens}

    def single() -> TextGenerationEnv:
        return TextGenerationEnv(prompts, None, tokenizer, **given)

    vector = TextGenerationVectorEnv(num_envs, prompts, None, tokenizer, **given, **options)
    return vector, SyncVectorEnv([single] * num_envs)


def built_in(num_envs: int) -> tuple[Any, Any]:
    """The same of a built-in task, whose prompts are drawn from the small world and rendered as they are played."""
    vector, sync = (
        gym.make_vec(env_id(TASK), num_envs, vectorization_mode=mode, reward=None)
        for mode in ("vector_entry_point", "sync")
    )
    return vector, sync


class TimedReward:
    """A reward that counts the seconds spent in it."""

    def __init__(self, reward: Reward) -> None:
        self.reward, self.seconds = reward, 0.0

    def __call__(self, samples: Sequence[Sample]) -> Any:
        started = time.perf_counter()
        try:
            return self.reward(samples)
        finally:
            self.seconds += time.perf_counter() - started


def scoring(
    formula: str,
    repeats: int,
    *,
    rows: int = 16,
    n_steps: int = 128,
    device: str = "cpu",
    progress: Progress = nobody,
    **about: Any,
) -> Result:
    """Which share of a rollout's time is spent in the reward, with the built-in model writing its own texts.

    Args:
        formula: of the reward.
        repeats: after one that isn't counted.
        rows: texts at once.
        n_steps: tokens of each row in a rollout.
        device: of the model.
        progress: is told of the turns.
        about: more attributes of the result.
    """
    model, tokenizer = models.load()
    reward = TimedReward(parse_reward(formula))
    ppo = PPO(
        LanguageModelPolicy,
        make_vec_env(env_id(TASK), rows, seed=0, tokenizer=tokenizer, reward=reward),
        n_steps=n_steps,
        batch_size=rows * n_steps,
        seed=0,
        device=device,
        rollout_buffer_class=EpisodeRolloutBuffer,
        policy_kwargs={"model": model},
        **PPO_ARGUMENTS,
    )
    ppo.set_logger(Logger(None, []))
    callback = begin(ppo)
    seconds, spent, tokens = [], [], 0
    for turn in range(repeats + 1):
        touch(ppo.policy)
        reward.seconds, started = 0.0, time.perf_counter()
        tokens = collect(ppo, callback)
        if turn:
            seconds.append(time.perf_counter() - started)
            spent.append(reward.seconds)
        progress(turn + 1, repeats + 1)
    work = (float(tokens),) * repeats
    return Result(
        value=float(np.median(spent) / np.median(seconds)),
        repeats=tuple(a / b for a, b in zip(spent, seconds, strict=True)),
        unit="ms",
        ours=1000 * float(np.median(spent)),
        usual=1000 * float(np.median(seconds)),
        usual_name="rollout",
        better="lower",
        shown="share",
        series=(Series(formula, work, tuple(spent)), Series("rollout", work, tuple(seconds))),
        **about,
    )
