"""Deceptive: every step towards the best completion costs something, until it is there.

A prompt, and the rewards of completions:

    Words:

    " hat old bag"                                          1.00 (the reference)
    " old bag hat"                                          0.60 (the trap)
    " hat bag hat"                                          0.40
    " hat old hat"                                          0.20
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, Probe
from textgym.tasks.probes.limits import number
from textgym.world import Draw

LENGTH = 3


class Deceptive(Probe):
    """Write a row of three words for a reward of 1, while each word of another row is worth something by itself.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | trap | 0.6 | what the other row is worth, less than 1. One in 27 completions of a random policy is the best |
    | seed | 0 | which words these are |

    ## Version History
    - v0: first version.
    """

    name = "Deceptive"
    tags = ("exploration", "deception")
    scale, levels = "trap", (0.3, 0.6, 0.9)

    def __init__(self, split: str = "train", *, trap: float = 0.6, seed: int = 0) -> None:
        super().__init__(split, seed, words=3, length=LENGTH)
        self.trap = number("trap", trap, least=0.0, most=0.99)

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        best, *others = self.vocabulary
        row = " ".join(self.vocabulary)
        return Prompt(CUE, (row,), {"best": row, "other": " ".join([*others, best]), "trap": self.trap})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        if " ".join(words) == facts["best"]:
            return 1.0
        other = facts["other"].split()
        return float(facts["trap"]) * sum(map(str.__eq__, words, other)) / LENGTH
