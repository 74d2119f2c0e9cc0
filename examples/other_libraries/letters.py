"""The task of these examples: repeat three letters. It is learnt from scratch in seconds, by networks of any library.

    prompt " d a c:", reference " d a c"; the reward is the share of the three letters that are right

Under ``CompactVocabulary`` it has nine actions, eight letters and the end token; random actions score 0.10. The id
"letters:letters/Repeat-v0" works in other processes too: what is before the colon is imported first.
"""

import itertools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

import textgym
from textgym.wrappers import CompactVocabulary

ENV_ID = "letters:letters/Repeat-v0"
LETTERS = "abcdefgh"


class Repeat(list):
    """The 512 rows of three letters: 448 to train on, and 64 in the split "test"."""

    name = "Repeat"
    max_prompt_tokens, max_new_tokens = 4, 3
    truncation_side = "left"
    stop = ()
    metrics = ("exact_match",)

    def __init__(self, split: str = "train") -> None:
        texts = ["".join(f" {letter}" for letter in row) for row in itertools.product(LETTERS, repeat=3)]
        order = np.random.default_rng(0).permutation(len(texts))
        chosen = order[:64] if split == "test" else order[64:]
        super().__init__(textgym.Prompt(f"{texts[i]}:", (texts[i],)) for i in chosen)


@textgym.reward
def in_place(sample: textgym.Sample) -> float:
    """The share of the reference's letters that the completion has in the same place."""
    written, wanted = sample.completion.split(), sample.references[0].split()
    return sum(one == other for one, other in zip(written, wanted, strict=False)) / len(wanted)


tokenizer = textgym.load_tokenizer()
tokens = [*tokenizer.encode("".join(f" {letter}" for letter in LETTERS)), tokenizer.eos_token_id]
textgym.register("letters/Repeat-v0", Repeat, in_place, allowed_tokens=tokens)


def evaluate(
    act: Callable[[dict[str, np.ndarray]], Any], env_id: str = ENV_ID, wrap: Any = CompactVocabulary, **options: Any
) -> float:
    """Mean reward of 64 episodes on prompts of the split "test". ``act`` takes 64 observations and gives 64 actions."""
    envs = wrap(gym.make_vec(env_id, num_envs=64, split="test", autoreset_mode="Disabled", **options))
    observations, _ = envs.reset(options={"prompt_id": range(64)})
    total, ended = np.zeros(64), np.zeros(64, dtype=bool)
    while not ended.all():
        observations, rewards, terminated, truncated, _ = envs.step(np.asarray(act(observations)))
        total, ended = total + rewards, ended | terminated | truncated
    return float(total.mean())
