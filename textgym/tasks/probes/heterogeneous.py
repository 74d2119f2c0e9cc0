"""Heterogeneous: prompts whose rewards have different means.

A prompt, and the rewards of completions:

    Words: hat                                              Words: new

    " old"      -0.50 (the reference)                       " old"      1.50
    " bag"      -1.50                                       " bag"      2.50 (the reference)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, WORDS, Probe
from textgym.tasks.probes.limits import number
from textgym.world import Draw


class Heterogeneous(Probe):
    """Four prompts, each with a right word of its own, worth 1, and a mean of its own, which no word changes.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | spread | 3.0 | how much the mean reward differs between the best and the worst prompt |
    | seed | 0 | which word is right for which prompt |

    ## Version History
    - v0: first version.
    """

    name = "Heterogeneous"
    tags = ("heterogeneity", "context")
    scale, levels = "spread", (0.0, 3.0, 10.0)
    kinds = 4

    def __init__(self, split: str = "train", *, spread: float = 3.0, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=1)
        self.spread = number("spread", spread, least=0.0)

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        given = [word for word in WORDS if word not in self.vocabulary][kind]
        right = self.vocabulary[kind]
        return Prompt(f"{CUE} {given}", (right,), {"right": right, "offset": self.spread * (kind / 3 - 0.5)})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        return float(facts["offset"]) + float(list(words) == [facts["right"]])
