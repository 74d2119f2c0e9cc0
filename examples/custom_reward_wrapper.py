"""Two ways to a reward of your own: a function given to the environment, and a wrapper around any environment.

The wrapper is one class for a single environment, a vector environment and a VecEnv of Stable-Baselines3.
"""

import argparse
from typing import Any

import gymnasium as gym
import numpy as np

import textgym
from textgym.rewards import BLEU
from textgym_agents import make_vec_env

TASK = "textgym/DataToText-v0"


@textgym.reward
def one_sentence(sample: textgym.Sample) -> float:
    """1 for a single sentence, else 0."""
    return float(sample.completion.count(".") == 1)


class Brief(textgym.wrappers.RewardWrapper):
    """Takes ``cost`` off the reward for every token."""

    def __init__(self, env: Any, cost: float = 0.01) -> None:
        super().__init__(env)
        self.cost = cost

    def reward(self, sample: textgym.Sample, reward: float) -> float:
        return reward - self.cost * len(sample.token_ids)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cost", type=float, default=0.01, help="what each token takes off the reward")
    cost = parser.parse_args().cost
    reward = 0.8 * BLEU() + 0.2 * one_sentence

    env = Brief(gym.make(TASK, reward=reward), cost)
    _, info = env.reset(seed=0)
    text = f" {env.unwrapped.task[info['prompt_id']].references[0]}"
    tokens = env.unwrapped.encode_completion(text)
    for token in tokens:
        _, value, _, _, info = env.step(token)
    print(f"{text}\n  {reward} = {info['untransformed_reward']:.3f}, parts {info['reward_components']}")
    print(f"an Env: {info['num_tokens']} tokens, reward with their cost {value:.3f}")

    envs = Brief(gym.make_vec(TASK, num_envs=3, reward=reward), cost)
    envs.reset(seed=0, options={"prompt_id": info["prompt_id"]})
    for token in tokens:
        _, values, _, _, infos = envs.step(np.full(3, token))
    print(f"a VectorEnv: rewards {values.round(3)}")

    # For an algorithm: textgym_agents.make("ppo", TASK, wrappers=[Brief]), or Brief around a VecEnv that there is.
    vec_env = make_vec_env(TASK, n_envs=3, reward=reward, wrappers=[lambda env: Brief(env, cost)])
    vec_env.set_options({"prompt_id": info["prompt_id"]})
    vec_env.reset()
    for token in tokens:
        _, values, _, infos = vec_env.step(np.full(3, token))
    print(f"a VecEnv: rewards {values.round(3)}, metadata {infos[0]['metadata']}")


if __name__ == "__main__":
    main()
