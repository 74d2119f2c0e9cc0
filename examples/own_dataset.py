"""Data of your own: a file of prompts and references, read by one of the built-in tasks.

Writes a small JSON-lines file, says which columns are which, trains on one split and evaluates on another. A CSV or
Parquet file, a folder, and a name on the Hugging Face hub work the same way.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

import gymnasium as gym

import textgym_agents
from textgym_agents.evaluation import evaluate

NAMES = {"train": ("The Eagle", "The Mill", "Blue Door"), "test": ("The Crown", "Old Ship")}
KINDS, FOODS = ("pub", "café"), ("soup", "fish", "cake", "bread")


def write(path: Path, names: tuple[str, ...], rows: int) -> None:
    """Tables of places with a sentence about each, one JSON object per line."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            name, kind, food = draw.choice(names), draw.choice(KINDS), draw.choice(FOODS)
            row = {
                "facts": f"name[{name}], kind[{kind}], food[{food}]",
                "text": f"{name} is a {kind} with good {food}.",
            }
            file.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timesteps", type=int, default=1024, help="tokens to train on")
    timesteps = parser.parse_args().timesteps
    with tempfile.TemporaryDirectory() as folder:
        for split, names in NAMES.items():
            (Path(folder) / split).mkdir()
            write(Path(folder) / split / "places.jsonl", names, rows=200)
        columns = {"prompt": "facts", "references": "text"}
        source = {"dataset": folder, "columns": columns, "max_new_tokens": 24}
        task = gym.make("textgym/DataToText-v0", **source).unwrapped.task
        print(f"200 rows became {len(task)} prompts: rows with the same prompt are merged")
        print(f"{task[0].text} {task[0].references[0]}\n  keywords for the reward: {task[0].metadata['keywords']}")

        reward = "0.5*bleu + 0.5*coverage"
        env_kwargs = {**source, "reward": reward}
        ppo = textgym_agents.make("ppo", "textgym/DataToText-v0", n_envs=16, env_kwargs=env_kwargs, seed=0)
        ppo.learn(timesteps)
        result = evaluate(ppo, "textgym/DataToText-v0", 10, env_kwargs=env_kwargs)
        parts = ", ".join(f"{name} {value:.3f}" for name, value in result.components.items())
        print(f"{reward} on 10 prompts of the test split: {result.reward:.3f} ({parts})")


if __name__ == "__main__":
    main()
