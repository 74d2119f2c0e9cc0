"""Diversity of a set of texts: distinct-n (Li et al., 2016, aclanthology.org/N16-1014)."""

from collections.abc import Sequence

from textgym.errors import ConfigError
from textgym.metrics.base import Metric, MetricSample
from textgym.metrics.words import unicode_words


def distinct(texts: Sequence[str], order: int) -> float:
    """Different n-grams of words over all n-grams in ``texts``, in [0, 1]; 0 when the texts have none.

    It falls as the texts get more or longer: compare sets of the same size.

    >>> distinct(["a cat", "a dog"], 1), distinct(["a cat", "a dog"], 2), distinct([""], 1)
    (0.75, 1.0, 0.0)
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        words = unicode_words(text)
        ngrams = list(zip(*(words[start:] for start in range(order)), strict=False))
        seen.update(ngrams)
        total += len(ngrams)
    return len(seen) / total if total else 0.0


class Distinct(Metric):
    """Distinct-n of the completions, in [0, 1].

    >>> from textgym.core import Sample
    >>> Distinct(1).compute([Sample("", "a cat"), Sample("", "a dog")])
    {'distinct1': 0.75}
    """

    def __init__(self, order: int = 1) -> None:
        if not isinstance(order, int) or order < 1:
            raise ConfigError(f"order={order!r}: distinct-n counts n-grams of at least 1 word.")
        self.order = order
        self.name = f"distinct{order}"

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"tok": "unicode"}

    def score(self, samples: Sequence[MetricSample], /) -> float:
        return distinct([sample.completion for sample in samples], self.order)


class Distinct1(Distinct):
    """Different words over all words.

    >>> Distinct1().name
    'distinct1'
    """

    def __init__(self) -> None:
        super().__init__(1)


class Distinct2(Distinct):
    """Different pairs of neighboring words over all pairs.

    >>> Distinct2().name
    'distinct2'
    """

    def __init__(self) -> None:
        super().__init__(2)
