"""Credit: one word decides, and the reward comes after many others.

A prompt, and the rewards of completions:

    Words:

    " hat old bag old new"                                  1.00 (it begins with the right word)
    " old hat bag old new"                                  0.00
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.arguments import count, flag
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, Probe
from textgym.world import Draw


class Credit(Probe):
    """The first word decides, among four; the reward is seen after ``delay`` further words, which change nothing.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | delay | 7 | words after the one that decides |
    | at_end | False | the control: the last word of a completion of that length decides, right before the reward |
    | seed | 0 | which word is right |

    ## Version History
    - v0: first version.
    """

    name = "Credit"
    tags = ("credit",)
    scale, levels = "delay", (1, 7, 31)

    def __init__(self, split: str = "train", *, delay: int = 7, at_end: bool = False, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=1 + count("delay", delay, least=0, most=1000))
        self.place = -1 if flag("at_end", at_end) else 0

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        right, *others = self.vocabulary
        filler = [others[place % len(others)] for place in range(self.length - 1)]
        best = [*filler, right] if self.place else [right, *filler]
        return Prompt(CUE, (" ".join(best),), {"right": right, "place": self.place})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        return float(bool(words) and words[facts["place"]] == facts["right"])

    def random_reward(self) -> float:
        return 1 / len(self.vocabulary)
