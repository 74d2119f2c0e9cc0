"""RewardScale: a bandit whose rewards are in another unit. What learns should not depend on it."""

from textgym.core import Prompt
from textgym.tasks.probes.bandit import Bandit
from textgym.tasks.probes.limits import number
from textgym.world import Draw


class RewardScale(Bandit):
    """Choose one of four words, whose rewards are multiplied by a factor.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | factor | 100.0 | of all rewards; those of factor 1 are 0, 1/3, 2/3 and 1 |
    | seed | 0 | which word is worth how much |

    ## Version History
    - v0: first version.
    """

    name = "RewardScale"
    tags = ("scale",)
    scale, levels = "factor", (1.0, 100.0, 0.01)

    def __init__(self, split: str = "train", *, factor: float = 100.0, seed: int = 0) -> None:
        super().__init__(split, seed=seed)
        self.factor = number("factor", factor, least=1e-6)

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        plain = super().prompt(kind, draw, train)
        values = {word: self.factor * value for word, value in plain.metadata["values"].items()}
        return Prompt(plain.text, plain.references, {"values": values})
