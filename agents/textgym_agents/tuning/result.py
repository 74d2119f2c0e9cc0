"""What a search has found: its trials, and what they are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trial:
    """Some settings, and what they reached.

    Attributes:
        number: 0 for the defaults.
        settings: arguments of the algorithm that differ from the defaults, or may.
        runs: one for each seed: reward, greedy, kl, tokens, seconds; "error" where it failed.
        seeds: how many runs a whole trial has.
    """

    number: int
    settings: Mapping[str, Any]
    runs: list[dict[str, Any]]
    seeds: int

    @property
    def failed(self) -> bool:
        """Whether a run ended in an error."""
        return any(run["reward"] is None for run in self.runs)

    @property
    def complete(self) -> bool:
        """Whether it ran with every seed."""
        return len(self.runs) == self.seeds and not self.failed

    @property
    def score(self) -> float:
        """Mean reward over its seeds."""
        return float(np.mean([run["reward"] for run in self.runs]))


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes:
        initial: the initial model's reward on the validation prompts, "sampled" and "greedy".
        trials: in their order; the first are the defaults.
        test: rewards on the test split, by "initial", "initial, greedy", "defaults" and "best", once it was asked for.
    """

    initial: Mapping[str, float]
    trials: list[Trial]
    test: Mapping[str, Any] | None = None

    @property
    def best(self) -> Trial:
        """The trial with the highest mean reward, of those that ran with every seed; the first of equals."""
        return max((trial for trial in self.trials if trial.complete), key=lambda trial: trial.score)
