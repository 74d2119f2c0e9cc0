"""Noise: a bandit whose rewards in training are noisy. Held-out rewards are the means."""

from textgym.core import Prompt
from textgym.tasks.probes.bandit import Bandit
from textgym.tasks.probes.limits import number
from textgym.world import Draw


class Noise(Bandit):
    """Choose one of four words, whose rewards in training have Gaussian noise.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (with noise), "validation" or "test" (without) |
    | sigma | 1.0 | standard deviation of the noise; the means are 0, 1/3, 2/3 and 1 |
    | seed | 0 | which word is worth how much. The noise follows the environment's seed |

    ## Version History
    - v0: first version.
    """

    name = "Noise"
    tags = ("noise",)
    scale, levels = "sigma", (0.3, 1.0, 3.0)

    def __init__(self, split: str = "train", *, sigma: float = 1.0, seed: int = 0) -> None:
        super().__init__(split, seed=seed)
        self.sigma = number("sigma", sigma, least=0.0)
        self.stochastic = self.split == "train" and self.sigma > 0

    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        plain = super().prompt(kind, draw, train)
        return Prompt(plain.text, plain.references, {**plain.metadata, "sigma": self.sigma if train else 0.0})
