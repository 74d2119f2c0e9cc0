"""Password: a row of words is worth 1, all others nothing, and a decoy a little.

A prompt, and the rewards of completions:

    Words:

    " hat old bag"                                          1.00 (the reference)
    " old ..."                                              0.10 (the decoy: a first word)
    " hat old new"                                          0.00
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.arguments import count
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, Probe
from textgym.world import Draw

DECOY = 0.1


class Password(Probe):
    """Find a row of words by chance, one of 4 to the power of its length.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | length | 3 | of the password, in words |
    | seed | 0 | which words it has |

    ## Version History
    - v0: first version.

    >>> Password("test", length=2).random_reward()  # 1 of 16, and the decoy in a quarter of them
    0.0875
    """

    name = "Password"
    tags = ("exploration",)
    scale, levels = "length", (2, 3, 4, 5)

    def __init__(self, split: str = "train", *, length: int = 3, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=count("length", length, least=1, most=64))

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        password = " ".join(self.vocabulary[place % 4] for place in range(self.length))
        return Prompt(CUE, (password,), {"password": password, "decoy": self.vocabulary[1]})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        if " ".join(words) == facts["password"]:
            return 1.0
        return DECOY if words and words[0] == facts["decoy"] else 0.0

    def random_reward(self) -> float:
        return 0.25**self.length + DECOY / 4
