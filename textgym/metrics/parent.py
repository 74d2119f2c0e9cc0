"""PARENT (Dhingra et al., 2019, aclanthology.org/P19-1483): likeness to a reference and to the table it describes.

The n-grams of a text are right if the reference has them or their words are in the table; what the reference says that
isn't in the table need not be said. Equal to the authors' script with word overlap, but for the words: runs of letters
and digits of any script, lower-cased, where the script splits at spaces.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import LCSseq

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import MeanMetric, MetricSample, references_of
from textgym.metrics.table import Entry, table_of
from textgym.metrics.words import unicode_words

SMOOTHING = 1e-5  # in the place of a precision or recall of 0, of pairs of words and longer n-grams
Gram = tuple[str, ...]


class Parent(NamedTuple):
    """F-score, precision and recall, each in [0, 1]."""

    f: float
    precision: float
    recall: float


def check_parent_settings(table_weight: float, max_order: int) -> None:
    """Raise ConfigError for settings that make no sense."""
    if not 0 <= table_weight <= 1:
        raise ConfigError(f"table_weight={table_weight!r}: expected the weight of the table's recall, from 0 to 1.")
    if isinstance(max_order, bool) or not isinstance(max_order, int) or max_order < 1:
        raise ConfigError(f"max_order={max_order!r}: expected the longest n-gram's length, from 1 up, usually 4.")


def parent(
    completion: str, references: Sequence[str], table: Sequence[Entry], *, table_weight: float = 0.5, max_order: int = 4
) -> Parent:
    """PARENT against the reference that gives the highest F-score.

    Args:
        completion: the generated text.
        references: at least one text.
        table: its entries, at least one, see :func:`textgym.metrics.table.table_of`.
        table_weight: of the recall of the table, lambda in the paper; the rest is of the reference's.
        max_order: the longest n-grams.

    >>> table = [("The Fox",), ("fish",), ("cheap",)]
    >>> references = ["The Fox is a cheap pub with fish, by the old river."]
    >>> round(parent("The Fox is a cheap pub with fish.", references, table).f, 3)  # the river isn't in the table
    0.892
    >>> round(parent("The Fox is a cheap pub with meat.", references, table).f, 3)
    0.696
    """
    entries = [words for words in (_words(" ".join(entry)) for entry in table) if words]
    values = {word for words in entries for word in words}
    ours = _words(completion)
    mentioned = sum(LCSseq.similarity(words, ours) / len(words) for words in entries) / max(1, len(entries))
    grams = [_grams(ours, order) for order in range(1, max_order + 1)]
    scores = []
    for reference in references:
        theirs = [_grams(_words(reference), order) for order in range(1, max_order + 1)]
        precision = _mean([_precision(*pair, values) for pair in zip(grams, theirs, strict=True)], 0.0)
        recall = _mean([_recall(*pair, values) for pair in zip(grams, theirs, strict=True)], SMOOTHING)
        recall = recall ** (1 - table_weight) * (mentioned or SMOOTHING) ** table_weight
        scores.append(Parent(2 * precision * recall / (precision + recall + 1e-8), precision, recall))
    return max(scores, key=lambda score: score.f)


@lru_cache(maxsize=8192)
def _words(text: str) -> list[str]:
    return unicode_words(text)


def _grams(words: list[str], order: int) -> Counter[Gram]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _entailed(gram: Gram, values: set[str]) -> float:
    """The share of an n-gram's words that are in the table."""
    return sum(word in values for word in gram) / len(gram)


def _precision(ours: Counter[Gram], theirs: Counter[Gram], values: set[str]) -> float:
    """The share of n-grams that the reference has; the others count as far as the table entails them."""
    right = 0.0
    for gram, count in ours.items():
        shared = min(count, theirs[gram])
        right += shared + (count - shared) * _entailed(gram, values)
    return right / ours.total() if ours else 0.0


def _recall(ours: Counter[Gram], theirs: Counter[Gram], values: set[str]) -> float:
    """The share of the reference's n-grams that the text has, each counting as far as the table entails it."""
    right = total = 0.0
    for gram, count in theirs.items():
        weight = _entailed(gram, values)
        total += count * weight
        right += min(count, ours[gram]) * weight
    return right / total if total else 1.0


def _mean(values: list[float], nothing: float) -> float:
    """The geometric mean; ``nothing`` where no single word is right."""
    if not values[0]:
        return nothing
    return math.exp(sum(math.log(value or SMOOTHING) for value in values) / len(values))


class MeanPARENT(MeanMetric):
    """Mean PARENT F-score, in [0, 1], of samples with a table in ``metadata[key]`` or ``metadata["keywords"]``.

    No sample with a table: no result.

    >>> from textgym.core import Sample
    >>> sample = Sample("", "The Fox has fish.", ("The Fox serves fish.",), metadata={"table": {"food": "fish"}})
    >>> {name: round(value, 3) for name, value in MeanPARENT().compute([sample]).items()}
    {'parent': 0.026}
    """

    name = "parent"
    compares_with = "references"

    def __init__(self, key: str = "table", table_weight: float = 0.5, max_order: int = 4) -> None:
        check_parent_settings(table_weight, max_order)
        self.key, self.table_weight, self.max_order = key, table_weight, max_order

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"key": self.key, "lambda": self.table_weight, "order": self.max_order, "tok": "unicode"}

    def values(self, samples: Sequence[MetricSample], /) -> list[float | None]:
        found: list[float | None] = []
        for sample in samples:
            references = references_of(sample, f"Metric {self.name!r}", MetricError)
            table = table_of(sample, self.key, f"Metric {self.name!r}", MetricError)
            settings = {"table_weight": self.table_weight, "max_order": self.max_order}
            found.append(parent(sample.completion, references, table, **settings).f if table else None)  # type: ignore[arg-type]
        return found
