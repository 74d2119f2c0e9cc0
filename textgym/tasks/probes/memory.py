"""Memory: the word that decides comes far back in the prompt.

A prompt, and the rewards of completions:

    Words: hat new new new new

    " hat"                                                  1.00 (the reference: the first word)
    " old"                                                  0.00
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.arguments import count
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, WORDS, Probe
from textgym.world import Draw


class Memory(Probe):
    """Name the first word of the prompt, after ``distance`` others that don't count.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | distance | 4 | words between the first and the completion, all the same one, which is never right |
    | seed | 0 | which words are which |

    ## Version History
    - v0: first version.
    """

    name = "Memory"
    tags = ("memory", "context")
    scale, levels = "distance", (0, 1, 4, 16)
    kinds = 4

    def __init__(self, split: str = "train", *, distance: int = 4, seed: int = 0) -> None:
        super().__init__(split, seed, words=4, length=1)
        self.distance = count("distance", distance, least=0, most=10_000)
        self.max_prompt_tokens = self.distance + 8

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        filler = next(word for word in WORDS if word not in self.vocabulary)
        key = self.vocabulary[kind]
        return Prompt(f"{CUE} {key}" + f" {filler}" * self.distance, (key,), {"key": key})

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        return float(list(words) == [facts["key"]])
