"""Bandit: one word, and each is worth something else. What can't learn this learns nothing.

A prompt, and the rewards of completions:

    Words:

    " hat"                                                  1.00 (the reference)
    " old"                                                  0.33
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textgym.arguments import count
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, WORDS, Probe
from textgym.world import Draw


class Bandit(Probe):
    """Choose one of a few words, whose rewards are evenly spaced from 0 to 1.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | arms | 4 | words to choose from, 2 to 8: the more, the nearer the second best is to the best |
    | seed | 0 | which word is worth how much |

    ## Version History
    - v0: first version.

    >>> Bandit("test").random_reward(), Bandit("test").best_reward()
    (0.5, 1.0)
    """

    name = "Bandit"
    tags = ("basic",)
    scale: ClassVar[str] = "arms"
    levels: ClassVar[tuple[float, ...]] = (2, 4, 8)

    def __init__(self, split: str = "train", *, arms: int = 4, seed: int = 0) -> None:
        super().__init__(split, seed, words=count("arms", arms, least=2, most=len(WORDS)), length=1)

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        values = {word: 1 - place / (len(self.vocabulary) - 1) for place, word in enumerate(self.vocabulary)}
        return Prompt(CUE, (self.vocabulary[0],), {"values": values})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        return float(facts["values"].get(words[0], 0.0)) if words else 0.0
