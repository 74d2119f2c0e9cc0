"""Whether a text does what its prompt asks for, by a rule of phrases that goes with the prompt."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from textgym.errors import MetricError, TextGymError
from textgym.metrics.base import MeanMetric, MetricSample
from textgym.metrics.words import contains_phrase

WANTED, UNWANTED = "wanted", "unwanted"  # in a prompt's metadata


class Rule(NamedTuple):
    """Groups of phrases, of each of which one is wanted, and phrases that are unwanted."""

    wanted: tuple[tuple[str, ...], ...]
    unwanted: tuple[str, ...]


def rule_of(sample: MetricSample, user: str, error: type[TextGymError]) -> Rule | None:
    """The rule in ``metadata["wanted"]`` and ``metadata["unwanted"]``; None without the first.

    Raises:
        error: one of them is no sequence, or a group is no phrase and no sequence of phrases. ``user`` opens the
            message.

    >>> from textgym.core import Sample
    >>> rule_of(Sample("", "", metadata={"wanted": ["12 coins", ("sorry", "afraid")]}), "Metric", MetricError)
    Rule(wanted=(('12 coins',), ('sorry', 'afraid')), unwanted=())
    """
    given = sample.metadata.get(WANTED)
    if given is None:
        return None
    try:
        wanted = tuple((group,) if isinstance(group, str) else _phrases(group) for group in _several(given))
        return Rule(wanted, _phrases(sample.metadata.get(UNWANTED, ())))
    except TypeError:
        raise error(
            f"{user} expects groups of phrases in metadata[{WANTED!r}], such as [('12 coins', '12'), 'soup'], and "
            f"phrases in metadata[{UNWANTED!r}], but prompt {sample.prompt_id} has {str(given)[:80]} and "
            f"{str(sample.metadata.get(UNWANTED))[:80]}."
        ) from None


def _several(value: object) -> Iterable[object]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise TypeError
    return value


def _phrases(value: object) -> tuple[str, ...]:
    phrases = tuple(_several(value))
    if not all(isinstance(phrase, str) and phrase.strip() for phrase in phrases):
        raise TypeError
    return phrases  # type: ignore[return-value]


def requirements(completion: str, wanted: Sequence[Sequence[str]], unwanted: Sequence[str] = ()) -> float:
    """The share of groups of which the completion has a phrase, in [0, 1]; 0 if it has an unwanted one.

    Phrases count as whole words, in any case, as for :func:`textgym.metrics.coverage.coverage`. Without a group it is 1
    for a completion without unwanted phrases.

    >>> wanted, unwanted = [("sorry", "afraid"), ("soup",)], ["12 coins"]
    >>> [requirements(text, wanted, unwanted) for text in ("Sorry, no soup.", "No soup.", "Sorry, soup: 12 coins.")]
    [1.0, 0.5, 0.0]
    """
    if any(contains_phrase(completion, phrase) for phrase in unwanted):
        return 0.0
    met = sum(any(contains_phrase(completion, phrase) for phrase in group) for group in wanted)
    return met / len(wanted) if wanted else 1.0


class MeanRequirements(MeanMetric):
    """The share of completions that meet the rule in ``metadata["wanted"]`` and ``metadata["unwanted"]``, in [0, 1].

    All wanted groups must be there, of each of which one phrase is enough, and no unwanted phrase. No sample with a
    rule: no result.

    >>> from textgym.core import Sample
    >>> rule = {"wanted": [("sorry", "afraid"), ("soup",)], "unwanted": ["12 coins"]}
    >>> samples = [Sample("", text, metadata=rule) for text in (" Sorry, no soup.", " No soup.")]
    >>> MeanRequirements().compute(samples)
    {'requirements': 0.5}
    """

    name = "requirements"

    def values(self, samples: Sequence[MetricSample], /) -> list[float | None]:
        rules = [rule_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        return [
            None if rule is None else float(requirements(sample.completion, *rule) == 1)
            for sample, rule in zip(samples, rules, strict=True)
        ]
