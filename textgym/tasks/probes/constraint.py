"""Constraint: words are worth something, if the last one fulfills a condition.

A prompt, and the rewards of completions:

    Words:

    " hat hat hat old"                                      1.00 (the reference)
    " hat bag hat old"                                      0.67
    " hat hat hat hat"                                      0.00: the last word must be "old"
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.arguments import count
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, Probe
from textgym.world import Draw


class Constraint(Probe):
    """Write one word as often as possible, and another one at the end, without which all is worth nothing.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | length | 4 | of a completion, in words |
    | seed | 0 | which words these are |

    ## Version History
    - v0: first version.
    """

    name = "Constraint"
    tags = ("constraint", "credit")
    scale, levels = "length", (2, 4, 8)

    def __init__(self, split: str = "train", *, length: int = 4, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=count("length", length, least=2, most=1000))

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        good, last = self.vocabulary[:2]
        return Prompt(CUE, (" ".join([good] * (self.length - 1) + [last]),), {"good": good, "last": last})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        if len(words) < 2 or words[-1] != facts["last"]:
            return 0.0
        good: int = words[:-1].count(facts["good"])
        return good / (len(words) - 1)

    def random_reward(self) -> float:
        return 1 / len(self.vocabulary) ** 2
