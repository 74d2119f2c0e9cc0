"""Sparse: a row of words, rewarded word by word in training or only as a whole.

A prompt, and the rewards of completions:

    Words:

    " hat old bag new"                                      1.00 (the reference)
    " hat old bag bag"                                      0.00, or 0.75 with dense=True in training
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.arguments import count, flag
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, Probe
from textgym.world import Draw


class Sparse(Probe):
    """Write a row of words; held-out completions count only as a whole.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | length | 4 | of the row, in words of four |
    | dense | False | the control: in training the reward is the share of right words |
    | seed | 0 | which words it has |

    ## Version History
    - v0: first version.
    """

    name = "Sparse"
    tags = ("sparsity",)
    scale, levels = "length", (2, 4, 6, 8)

    def __init__(self, split: str = "train", *, length: int = 4, dense: bool = False, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=count("length", length, least=1, most=64))
        self.dense = flag("dense", dense)

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        row = " ".join(self.vocabulary[-1 - place % 4] for place in range(self.length))
        return Prompt(CUE, (row,), {"row": row, "dense": self.dense and train})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        row = facts["row"].split()
        right = sum(one == other for one, other in zip(words, row, strict=False)) / len(row)
        return right if facts["dense"] else float(right == 1)

    def random_reward(self) -> float:
        return 0.25**self.length
