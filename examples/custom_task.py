"""A task of your own: prompts, a reward, an id, and the checks that the built-in tasks pass too.

A task is a sequence of prompts with six attributes. Prompts are made when they are asked for: there can be a million.
"""

import argparse

import gymnasium as gym

import textgym
from textgym.rewards import ExactMatch


class Counting:
    """Count on from a number: "Count: 3 to 6 =" is followed by " 3 4 5 6"."""

    name = "Counting"
    max_prompt_tokens = 20
    max_new_tokens = 24
    truncation_side = "left"
    stop = ("\n",)
    metrics = ("exact_match", "length")

    def __init__(self, split: str = "train", longest: int = 6) -> None:
        self.first = {"train": 0, "validation": 1000, "test": 2000}[split]  # the splits share no prompt
        self.longest = longest

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> textgym.Prompt:
        if not 0 <= index < len(self):
            raise IndexError(index)
        start, steps = self.first + index, 2 + index % (self.longest - 1)
        numbers = range(start, start + steps)
        return textgym.Prompt(f"Count: {start} to {numbers[-1]} =", (" ".join(map(str, numbers)),))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--longest", type=int, default=6, help="numbers in a row")
    longest = parser.parse_args().longest

    textgym.checker.check_text_env(textgym.TextGenerationEnv(Counting(longest=longest), ExactMatch()))
    print("Counting passes every check")

    textgym.register("mine/Counting-v0", Counting, reward=ExactMatch())
    env = gym.make("mine/Counting-v0", split="test", longest=longest)

    for completion in (" 2007 2008 2009 2010", " 2007 2008"):
        _, info = env.reset(options={"prompt_id": 7})
        prompt = info["prompt"]
        for token in env.unwrapped.encode_completion(completion):
            _, reward, _, _, info = env.step(token)
        print(f"{prompt}{completion}   reward {reward:.0f}, a reference is {info['references'][0]!r}")


if __name__ == "__main__":
    main()
