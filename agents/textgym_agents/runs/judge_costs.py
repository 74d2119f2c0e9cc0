"""What the judges of a run will take, from completions of its own policy, before the first of them is judged."""

import math
from collections.abc import Sequence

from stable_baselines3.common.base_class import BaseAlgorithm

from textgym.core import Sample
from textgym.mdp import text_env
from textgym.rewards.judge import Estimate, estimate
from textgym.rewards.judge.costs import judges_in
from textgym_agents.algorithms import ALGORITHMS
from textgym_agents.evaluation.held_out import evaluate
from textgym_agents.runs.config import TrainConfig

SAMPLE = 32  # completions that the estimate is made from
SHOWN = 5  # completions that samples.md shows each time
WITHOUT_EPISODES = ("supervised", "baseline")  # families that ask no reward in training


def judge_costs(algorithm: BaseAlgorithm, config: TrainConfig) -> Estimate | None:
    """The calls, tokens and money that the rest of a run will take; None: no judge is part of its reward.

    The policy completes a few held-out prompts, which nobody scores. What follows is that many completions as tokens
    remain at their mean length, and those of evaluations. A policy whose completions become longer or shorter, or more
    alike, will take another number.
    """
    assert algorithm.env is not None
    reward = text_env(algorithm.env).mdp.reward
    if next(judges_in(reward), None) is None:
        return None
    number = min(SAMPLE, config.eval_prompts)
    env_kwargs = {**config.env_kwargs, "reward": unscored}
    sampled = evaluate(algorithm, config.task, number, split=config.eval_split, env_kwargs=env_kwargs, metrics=[])
    length = max(sampled.metrics["num_tokens"], 1.0)
    left = max(0, config.timesteps - algorithm.num_timesteps)
    training = 0 if ALGORITHMS[config.algo].family in WITHOUT_EPISODES else math.ceil(left / length)
    evaluations = 1 + (algorithm.num_timesteps == 0) + left // (config.eval_every or left + 1)
    shown = SHOWN * (1 + round(math.log2(1 + left / 1000)))
    group_size = getattr(algorithm, "group_size", 1)
    completions = training + evaluations * config.eval_prompts + shown
    return estimate(reward, sampled.samples, completions, group_size=group_size)


def unscored(samples: Sequence[Sample]) -> list[float]:
    """In place of the reward, for completions of which only the texts are wanted."""
    return [0.0] * len(samples)
