"""Whether a completion has the length asked for.

completion  "a b c d e f"  (6 words)
reward      Length(maximum=4, unit="words"): 0.5, as 2 words too many are half of the 4 over which the value falls to 0
"""

from textgym.core import Sample
from textgym.errors import ConfigError, RewardError
from textgym.metrics.base import references_of
from textgym.metrics.length import check_unit, completion_length, text_length
from textgym.rewards.base import BatchReward


class Length(BatchReward):
    """1 for a length within the bounds, falling in a straight line to 0 outside.

    With n the length: below the minimum the value is 1 - (minimum - n) / falloff, above the maximum
    1 - (n - maximum) / falloff, and never below 0. ``falloff`` is the bound itself unless given: n / minimum below
    (an empty text scores 0), 2 - n / maximum above (twice the maximum scores 0).

    Without a bound the target is the length, in words or characters, of the reference that gives the highest value.

    Args:
        target: the one length that scores 1. The same as ``minimum=target, maximum=target``.
        minimum: the shortest length that scores 1.
        maximum: the longest length that scores 1.
        unit: "tokens" (generated tokens, the end token included), "words" (a character of a script without spaces is a
            word) or "characters" (without whitespace at the ends). By default tokens, or words without a bound.
        falloff: how many units outside the bounds the value reaches 0.

    Raises:
        ConfigError: bounds that contradict each other or aren't positive.
        RewardError: when called with a sample that lacks what is counted (token ids) or compared with (references).

    >>> samples = [Sample("", "a b c d e f"), Sample("", "a b c"), Sample("", "")]
    >>> Length(maximum=4, unit="words")(samples), Length(minimum=2, maximum=4, unit="words")(samples)
    ([0.5, 1.0, 1.0], [0.5, 1.0, 0.0])
    >>> Length()([Sample("", "one two three", ("one two three four", "one"))])
    [0.75]
    """

    name = "length"

    def __init__(
        self,
        target: int | None = None,
        minimum: int | None = None,
        maximum: int | None = None,
        unit: str | None = None,
        falloff: float | None = None,
    ) -> None:
        bounds = {"target": target, "minimum": minimum, "maximum": maximum, "falloff": falloff}
        for key, value in bounds.items():
            if value is not None and not value > 0:
                raise ConfigError(f"{key}={value!r}: expected a length above 0, or None.")
        if target is not None and (minimum is not None or maximum is not None):
            raise ConfigError(f"target={target} is a minimum and a maximum already. Give either it or those.")
        if minimum is not None and maximum is not None and minimum > maximum:
            raise ConfigError(f"minimum={minimum} is above maximum={maximum}: no length could be right.")
        self.from_references = target is None and minimum is None and maximum is None
        if unit is not None:
            check_unit(unit)
        if unit == "tokens" and self.from_references:
            raise ConfigError(
                "Length(unit='tokens') without a bound would compare with the references, which have no tokens. Give "
                "target, minimum or maximum, or count in 'words' or 'characters'."
            )
        self.target, self.minimum, self.maximum, self.unit, self.falloff = target, minimum, maximum, unit, falloff

    def score(self, sample: Sample, /) -> float:
        unit = self.unit or ("words" if self.from_references else "tokens")
        length = completion_length(sample, unit, f"Reward {self.name!r}", RewardError)
        if not self.from_references:
            lower = self.minimum if self.target is None else self.target
            upper = self.maximum if self.target is None else self.target
            return self._within(length, lower, upper)
        references = references_of(sample, f"Reward {self.name!r} without a bound", RewardError)
        targets = (text_length(reference, unit) for reference in references)
        return max(self._within(length, target, target) for target in targets)

    def _within(self, length: int, lower: int | None, upper: int | None) -> float:
        if lower is not None and length < lower:
            return max(0.0, 1 - (lower - length) / (self.falloff or lower))
        if upper is not None and length > upper:
            return max(0.0, 1 - (length - upper) / (self.falloff or upper or 1))
        return 1.0
