"""What a judge judges by: one criterion or several, each with a weight and, if you like, words for the levels."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from textgym.errors import ConfigError

LOWEST, HIGHEST = 1, 5
RESERVED = ("score", "gated", "failed", "label_mass")  # a judge's own components, beside those of the criteria


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that a judge scores.

    Attributes:
        text: what a good completion is, in your own words.
        name: the name in the reply and among the components. Empty for the only criterion of a rubric.
        weight: its weight in the reward, above 0.
        levels: what single scores mean, such as ``{1: "unreadable", 5: "as a native speaker writes"}``.
    """

    text: str
    name: str = ""
    weight: float = 1.0
    levels: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rubric:
    """Criteria and their scale. The score of a rubric is the mean of its criteria's scores, by weight.

    Attributes:
        criteria: one criterion, or several with names.
        lowest, highest: the scale, in whole numbers.

    Raises:
        ConfigError: no criterion, an empty text, a weight that isn't above 0, a level outside the scale, or names that
            are missing, equal, no words of lower-case letters, digits and underscores, or a judge's own components.

    >>> rubric = Rubric((Criterion("Is it fluent?", "fluency", weight=3), Criterion("Is it short?", "brevity")))
    >>> rubric.score({"fluency": 5, "brevity": 1})
    4.0
    >>> rubric.value(4.0)
    0.75
    """

    criteria: tuple[Criterion, ...]
    lowest: int = LOWEST
    highest: int = HIGHEST

    def __post_init__(self) -> None:
        if not self.criteria or not 0 <= self.lowest < self.highest:
            raise ConfigError(
                f"A rubric has {len(self.criteria)} criteria and the scale {self.lowest} to {self.highest}. Expected "
                "one criterion or more, and a scale that rises from 0 or more."
            )
        names = self.names
        if len(set(names)) < len(names) or (len(names) > 1 and "" in names):
            raise ConfigError(
                f"A rubric's criteria are called {list(names)}. Several criteria need names of their own."
            )
        for criterion in self.criteria:
            where = f"The criterion {criterion.name!r}" if criterion.name else "A criterion"
            if not isinstance(criterion.text, str) or not criterion.text.strip():
                raise ConfigError(f"{where} is {criterion.text!r}. Expected words, such as 'Is the text fluent?'.")
            if criterion.name and not re.fullmatch(r"[a-z][a-z0-9_]*", criterion.name):
                raise ConfigError(f"{where}: expected a name of lower-case letters, digits and underscores.")
            if criterion.name in RESERVED:
                raise ConfigError(f"{where}: {', '.join(RESERVED)} are components of a judge. Choose another name.")
            if not (math.isfinite(criterion.weight) and criterion.weight > 0):
                raise ConfigError(f"{where} has weight {criterion.weight}, expected a number above 0.")
            outside = [level for level in criterion.levels if not self.lowest <= level <= self.highest]
            if outside:
                raise ConfigError(f"{where} has level {outside[0]}, the scale is {self.lowest} to {self.highest}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the criteria, ``("",)`` for one without a name."""
        return tuple(criterion.name for criterion in self.criteria)

    def score(self, scores: Mapping[str, float]) -> float:
        """The mean of the scores by weight, on the rubric's scale."""
        weight = math.fsum(criterion.weight for criterion in self.criteria)
        return math.fsum(criterion.weight * scores[criterion.name] for criterion in self.criteria) / weight

    def value(self, score: float) -> float:
        """A score as a reward from 0 to 1."""
        return (score - self.lowest) / (self.highest - self.lowest)

    def describe(self) -> str:
        """The criteria as a judge reads them."""
        return "\n".join(map(_described, self.criteria))


def as_rubric(criteria: "str | Rubric") -> Rubric:
    """A rubric as it is, or the rubric of one criterion in words."""
    return criteria if isinstance(criteria, Rubric) else Rubric((Criterion(criteria),))


def _described(criterion: Criterion) -> str:
    lines = [f"{criterion.name}: {criterion.text.strip()}" if criterion.name else criterion.text.strip()]
    lines += [f"  {level} means: {words}" for level, words in sorted(criterion.levels.items())]
    return "\n".join(lines)
