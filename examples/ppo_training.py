"""Stable-Baselines3's own PPO makes the built-in model's reviews happier: held-out rewards before and after.

The default takes seconds. Another task, for longer:

python examples/ppo_training.py --env textgym/DataToText-v0 --timesteps 60000
"""

import argparse

from stable_baselines3 import PPO

from textgym_agents import EpisodeRolloutBuffer, LanguageModelPolicy, make_vec_env
from textgym_agents.callbacks import TextLogger
from textgym_agents.evaluation import evaluate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", default="textgym/SentimentContinuation-v1")
    parser.add_argument("--timesteps", type=int, default=4096, help="tokens to train on")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--num-prompts", type=int, default=50, help="held-out prompts")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    # All of this is what textgym_agents.make("ppo", env_id) does, which also adds a KL to the initial model.
    ppo = PPO(
        LanguageModelPolicy,
        make_vec_env(arguments.env, n_envs=16),
        n_steps=64,
        batch_size=256,
        n_epochs=4,
        gamma=1.0,
        learning_rate=arguments.learning_rate,
        rollout_buffer_class=EpisodeRolloutBuffer,
        seed=arguments.seed,
    )
    before = evaluate(ppo, arguments.env, arguments.num_prompts, split="validation")
    log = TextLogger()
    ppo.learn(arguments.timesteps, callback=log)
    after = evaluate(ppo, arguments.env, arguments.num_prompts, split="validation")

    for row in log.history[:: max(1, len(log.history) // 8)]:
        print(
            f"{row['timesteps']:>8,.0f} tokens: reward {row['reward']:.3f}, "
            f"{row['text/num_tokens']:.1f} tokens per episode"
        )
    print(f"{after.samples[0].prompt}")
    for when, result in (("before", before), ("after", after)):
        print(f"  {when}: {result.samples[0].completion!r}")
    print(f"held-out reward on {arguments.num_prompts} prompts: {before.reward:.3f} before, {after.reward:.3f} after")


if __name__ == "__main__":
    main()
