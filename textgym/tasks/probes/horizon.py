"""Horizon: copy a row of words, until the first mistake.

A prompt, and the rewards of completions:

    Words: hat old bag old
    Copy:

    " hat old bag old"                                      1.00 (the reference)
    " hat old new old"                                      0.50: two words, then a mistake
    " old old bag old"                                      0.00
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.arguments import count
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, Probe
from textgym.world import Draw


class Horizon(Probe):
    """Repeat the words of the prompt; what comes before the first mistake is the reward.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | length | 8 | words to repeat, of four different ones |
    | seed | 0 | of the prompts |

    ## Version History
    - v0: first version.
    """

    name = "Horizon"
    tags = ("horizon",)
    scale, levels = "length", (4, 8, 16, 64)

    def __init__(self, split: str = "train", *, length: int = 8, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=count("length", length, least=1, most=1000))
        self.max_prompt_tokens = length + 8

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        words = " ".join(draw.pick(self.vocabulary) for _ in range(self.length))
        return Prompt(f"{CUE} {words}\nCopy:", (words,), {"words": words})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        right = facts["words"].split()
        same = [one == other for one, other in zip(words, right, strict=False)]
        return (same.index(False) if False in same else len(same)) / len(right)

    def random_reward(self) -> float:
        return sum(0.25**place for place in range(1, self.length + 1)) / self.length
