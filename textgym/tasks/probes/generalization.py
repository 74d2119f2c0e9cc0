"""Generalization: few prompts to train on, others to be tested on.

A prompt, and the rewards of completions:

    Words: hat old bag                                      (in training)
    Words: bag hat new                                      (held out)

    " hat"      1.00 (the reference: the first word)        " bag"      1.00
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.arguments import count
from textgym.core import Prompt
from textgym.tasks.probes.base import CUE, WORDS, Probe
from textgym.world import Draw, split_of

SHOWN = 3  # words of a prompt


class Generalization(Probe):
    """Name the first of three words, after training on a limited number of such prompts; the splits share none.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | prompts | 32 | how many different ones there are in training, at most. 336 exist in all splits |
    | seed | 0 | which prompts these are |

    ## Version History
    - v0: first version.
    """

    name = "Generalization"
    tags = ("generalization", "context")
    scale, levels = "prompts", (256, 32, 8)

    def __init__(self, split: str = "train", *, prompts: int = 32, seed: int = 0) -> None:
        super().__init__(split, seed, words=len(WORDS), length=1)
        self.prompts = count("prompts", prompts, least=1)

    def _prompt(self, split: str, index: int) -> Prompt:
        draw = Draw.at(self.seed, split, index % self.prompts if split == "train" else index)
        while split_of(" ".join(shown := draw.sample(WORDS, SHOWN))) != split:
            pass
        return Prompt(f"{CUE} {' '.join(shown)}", (shown[0],), {"first": shown[0]})

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        return self._prompt("train" if train else "test", kind)

    @staticmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        return float(list(words) == [facts["first"]])
