"""Whether a text has the form of a regular expression, in a limited time."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from textgym.errors import ConfigError, MetricError, TextGymError
from textgym.metrics.base import MeanMetric, MetricSample

HOW = ("fullmatch", "search", "match")
SECONDS = 0.1


def check_pattern_settings(pattern: str | None, how: str, seconds: float) -> None:
    """Raise ConfigError for what is no regular expression, and settings that make no sense."""
    if how not in HOW:
        raise ConfigError(f"how={how!r}: expected 'fullmatch', 'search' or 'match'.")
    if not seconds > 0:
        raise ConfigError(f"seconds={seconds!r}: expected a time above 0.")
    if pattern is not None:
        _compiled(pattern)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    import regex  # type: ignore[import-untyped]  # the standard library's can't be stopped

    try:
        return regex.compile(pattern)
    except (regex.error, TypeError, RecursionError) as error:
        raise ConfigError(f"pattern={pattern!r} is no regular expression: {error}.") from error


def matches(text: str, pattern: str, *, how: str = "fullmatch", seconds: float = SECONDS) -> bool:
    """Whether a text has the form of a regular expression of the package ``regex``. False if that takes too long.

    Args:
        text: without whitespace at its ends.
        pattern: the regular expression.
        how: "fullmatch": the whole text; "search": anywhere; "match": from its beginning.
        seconds: after which the search is given up.

    Raises:
        ConfigError: the pattern is no regular expression.

    >>> matches(" 2024-05-01", r"\\d{4}-\\d\\d-\\d\\d"), matches("on 2024-05-01", r"\\d{4}-\\d\\d-\\d\\d")
    (True, False)
    >>> matches("a" * 40 + "b", "(a|aa)+c", seconds=0.01)  # would take years
    False
    """
    try:
        return getattr(_compiled(pattern), how)(text.strip(), timeout=seconds) is not None
    except TimeoutError:
        return False


def pattern_of(sample: MetricSample, pattern: str | None, user: str, error: type[TextGymError]) -> str | None:
    """The pattern for a sample: the one given, or that in ``metadata["pattern"]``; None without either.

    Raises:
        error: ``metadata["pattern"]`` is no regular expression. ``user`` opens the message.
    """
    if pattern is not None:
        return pattern
    given = sample.metadata.get("pattern")
    if given is None:
        return None
    try:
        _compiled(given)
    except (ConfigError, TypeError) as cause:
        raise error(
            f"{user} expects a regular expression in metadata['pattern'], but prompt {sample.prompt_id} has {given!r}: "
            f"{cause}"
        ) from cause
    return str(given)


class MeanPattern(MeanMetric):
    """The share of completions that have the form of a regular expression, in [0, 1].

    Without one given it is the sample's ``metadata["pattern"]``. No sample with one: no result.

    >>> from textgym.core import Sample
    >>> samples = [Sample("", text, metadata={"pattern": "[0-9]+"}) for text in (" 12", " twelve")]
    >>> MeanPattern().compute(samples)
    {'pattern': 0.5}
    """

    name = "pattern"
    library = "regex"

    def __init__(self, pattern: str | None = None, how: str = "fullmatch", seconds: float = SECONDS) -> None:
        check_pattern_settings(pattern, how, seconds)
        self.pattern, self.how, self.seconds = pattern, how, seconds

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"pattern": "metadata" if self.pattern is None else repr(self.pattern), "how": self.how}

    def values(self, samples: Sequence[MetricSample], /) -> list[float | None]:
        found: list[float | None] = []
        for sample in samples:
            pattern = pattern_of(sample, self.pattern, f"Metric {self.name!r}", MetricError)
            fits = pattern is not None and matches(sample.completion, pattern, how=self.how, seconds=self.seconds)
            found.append(None if pattern is None else float(fits))
        return found
