"""Stochastic: a sure reward against a gamble that sometimes pays more and is worth less.

Words:

" hat"                                                  0.75 (the reference)
" old"                                                  10 with a probability of 0.05, otherwise 0
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from textgym.core import Prompt, Score
from textgym.tasks.probes.base import CUE, Probe
from textgym.tasks.probes.limits import number
from textgym.world import Draw

SURE, GAMBLE = 0.75, 0.5  # mean rewards


class Stochastic(Probe):
    """Choose one of four words: one always pays 0.75, one pays a jackpot now and then, 0.5 in the mean, two nothing.

    The best mean is not the best maximum: what goes by the largest reward that it has seen takes the gamble.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (random), "validation" or "test" (the means) |
    | jackpot | 5.0 | what the gamble pays when it does |
    | seed | 0 | which word is which. The gamble follows the environment's seed |

    ## Version History
    - v0: first version.
    """

    name = "Stochastic"
    tags = ("noise", "risk")
    scale, levels = "jackpot", (1.0, 5.0, 20.0)

    def __init__(self, split: str = "train", *, jackpot: float = 5.0, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=1)
        self.jackpot = number("jackpot", jackpot, least=GAMBLE)
        self.stochastic = self.split == "train"

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        sure, gamble = self.vocabulary[:2]
        facts = {"sure": sure, "gamble": gamble, **({"jackpot": self.jackpot} if train else {})}
        return Prompt(CUE, (sure,), facts)

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        return {facts["sure"]: SURE, facts["gamble"]: GAMBLE}.get(words[0] if words else "", 0.0)

    @classmethod
    def drawn(cls, words: Sequence[str], facts: Mapping[str, Any], noise: float) -> Score:
        mean = cls.value(words, facts)
        if mean != GAMBLE or "jackpot" not in facts:
            return Score(mean)
        paid = NormalDist().cdf(noise) < GAMBLE / facts["jackpot"]
        return Score(facts["jackpot"] if paid else 0.0)
