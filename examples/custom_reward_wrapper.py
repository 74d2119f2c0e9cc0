"""Two ways to a reward of your own: a function given to the environment, and a wrapper around any environment.

The wrapper is one class for a single environment and for a vector environment.
"""

import argparse

import gymnasium as gym

import textgym
from textgym.rewards import BLEU


@textgym.reward
def one_sentence(sample: textgym.Sample) -> float:
    """1 for a single sentence, else 0."""
    return float(sample.completion.count(".") == 1)


class Brief(textgym.wrappers.RewardWrapper):
    """Takes ``cost`` off the reward for every token."""

    def __init__(self, env: gym.Env | gym.vector.VectorEnv, cost: float = 0.01) -> None:
        super().__init__(env)
        self.cost = cost

    def reward(self, sample: textgym.Sample, reward: float) -> float:
        return reward - self.cost * len(sample.token_ids)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cost", type=float, default=0.01, help="what each token takes off the reward")
    cost = parser.parse_args().cost
    reward = 0.8 * BLEU() + 0.2 * one_sentence

    env = Brief(gym.make("textgym/DataToText-v0", reward=reward), cost)
    _, info = env.reset(seed=0)
    text = f" {env.unwrapped.task[info['prompt_id']].references[0]}"
    for token in env.unwrapped.encode_completion(text):
        _, value, _, _, info = env.step(token)
    print(f"{text}\n  {reward} = {env.unwrapped.reward([env.unwrapped.last_sample])[0].value:.3f}")
    print(f"  parts {info['reward_components']}, {info['num_tokens']} tokens, reward with their cost {value:.3f}")

    envs = Brief(gym.make_vec("textgym/DataToText-v0", num_envs=3, reward=reward), cost)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    ended = 0
    while ended < 3:
        _, values, terminated, _, infos = envs.step(envs.action_space.sample())
        for row in terminated.nonzero()[0]:
            ended += 1
            print(f"row {row} wrote {infos['num_tokens'][row]} random tokens: reward {values[row]:.3f}")


if __name__ == "__main__":
    main()
