"""How long a text is, in tokens, words or characters."""

from collections.abc import Sequence
from typing import Any

from textgym.errors import ConfigError, MetricError, TextGymError
from textgym.metrics.base import Metric, MetricSample
from textgym.metrics.words import unicode_words

UNITS = ("tokens", "words", "characters")


def check_unit(unit: str) -> None:
    """Raise ConfigError for a unit that doesn't exist."""
    if unit not in UNITS:
        raise ConfigError(f"unit={unit!r}: expected 'tokens', 'words' or 'characters'.")


def text_length(text: str, unit: str) -> int:
    """The length of a text in "words" (of any script) or "characters" (without whitespace at the ends).

    >>> text_length(" a small world ", "words"), text_length(" a small world ", "characters")
    (3, 13)
    """
    return len(unicode_words(text)) if unit == "words" else len(text.strip())


def completion_length(sample: MetricSample, unit: str, user: str, error: type[TextGymError]) -> int:
    """The length of a completion. Tokens are the generated ones, the end token included: the episode's steps.

    Raises:
        error: the unit is tokens, and the sample has text but no token ids. ``user`` opens the message.
    """
    if unit != "tokens":
        return text_length(sample.completion, unit)
    if sample.completion and len(sample.token_ids) == 0:
        raise error(
            f"{user} counts tokens, but the sample of prompt {sample.prompt_id} has no token_ids. Give the sample its "
            "token_ids, or count in words: unit='words'."
        )
    return len(sample.token_ids)


class MeanLength(Metric):
    """The mean length of the completions, in tokens (the end token included), words or characters.

    The result is called "length" in tokens, otherwise "length_words" or "length_characters". An evaluate module sees
    text and no tokens: made from a metric that counts tokens, it counts words, which its key shows.

    >>> from textgym.core import Sample
    >>> MeanLength().compute([Sample("", "a b", token_ids=(7, 8, 0)), Sample("", "", token_ids=(0,))])
    {'length': 2.0}
    """

    bounds = (0.0, float("inf"))
    higher_is_better = None

    def __init__(self, unit: str = "tokens") -> None:
        check_unit(unit)
        self.unit = unit
        self.name = "length" if unit == "tokens" else f"length_{unit}"

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"unit": self.unit}

    def score(self, samples: Sequence[MetricSample], /) -> float:
        lengths = [completion_length(sample, self.unit, f"Metric {self.name!r}", MetricError) for sample in samples]
        return sum(lengths) / len(lengths)

    def as_evaluate(self, *, keep_in_memory: bool = True, **module_kwargs: Any) -> Any:
        """As :meth:`Metric.as_evaluate`, in words when this metric counts tokens."""
        if self.unit == "tokens":
            return MeanLength("words").as_evaluate(keep_in_memory=keep_in_memory, **module_kwargs)
        return super().as_evaluate(keep_in_memory=keep_in_memory, **module_kwargs)
