"""The same lines train with any algorithm: only its name changes.

python examples/swap_algorithm.py --algo rloo --timesteps 8000
python examples/swap_algorithm.py --algo dqn --env textgym/Copy-v1
"""

import argparse

import textgym_agents
from textgym_agents.evaluation import evaluate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--algo", default="rloo", choices=textgym_agents.ALGORITHMS)
    parser.add_argument("--env", default="textgym/SentimentContinuation-v1")
    parser.add_argument("--timesteps", type=int, default=4000, help="tokens to train on")
    parser.add_argument("--num-prompts", type=int, default=50, help="held-out prompts")
    arguments = parser.parse_args()

    algorithm = textgym_agents.make(arguments.algo, arguments.env, seed=0)
    before = evaluate(algorithm, arguments.env, arguments.num_prompts, split="validation")
    algorithm.learn(arguments.timesteps)
    after = evaluate(algorithm, arguments.env, arguments.num_prompts, split="validation")

    print(textgym_agents.ALGORITHMS[arguments.algo].paper)
    print(f"{after.samples[0].prompt}{after.samples[0].completion}")
    print(f"{algorithm.num_timesteps:,} tokens of {arguments.algo}: {before.reward:.3f} -> {after.reward:.3f}")


if __name__ == "__main__":
    main()
