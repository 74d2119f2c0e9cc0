"""The plainest use of an environment: an agent that takes random tokens, then one that writes a reference.

Needs no language model. A policy's reward lies between theirs.

python examples/random_agent.py --env textgym/Translation-v0 --episodes 5
"""

import argparse

import gymnasium as gym

import textgym  # noqa: F401  (registers the ids)


def play(env: gym.Env, prompt_id: int, tokens: list[int] | None = None) -> tuple[float, dict]:
    """One episode with the given tokens, or with random ones. Returns the reward and the last info."""
    _, info = env.reset(options={"prompt_id": prompt_id})
    reward, ended = 0.0, False
    while not ended:
        action = env.action_space.sample() if tokens is None else tokens.pop(0)
        _, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
    return float(reward), info


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", default="textgym/DataToText-v0")
    parser.add_argument("--episodes", type=int, default=20)
    arguments = parser.parse_args()

    env = gym.make(arguments.env, split="validation")
    env.action_space.seed(0)
    totals = {"random tokens": 0.0, "a reference": 0.0}
    for prompt_id in range(arguments.episodes):
        prompt = env.unwrapped.task[prompt_id]
        writers = {"random tokens": None, "a reference": env.unwrapped.encode_completion(f" {prompt.references[0]}")}
        for name, tokens in writers.items():
            reward, info = play(env, prompt_id, tokens)
            totals[name] += reward
            if prompt_id == 0:
                print(
                    f"{prompt.text}{info['completion']!r}\n  {name}: reward {reward:.3f}, {info['num_tokens']} tokens\n"
                )
    for name, total in totals.items():
        print(f"mean reward of {name}: {total / arguments.episodes:.3f}")


if __name__ == "__main__":
    main()
