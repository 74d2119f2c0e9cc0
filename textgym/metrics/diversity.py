"""Diversity of a set of texts: distinct-n (Li et al., 2016, aclanthology.org/N16-1014); and repetition within each."""

from collections.abc import Sequence

from textgym.errors import ConfigError
from textgym.metrics.base import MeanMetric, Metric, MetricSample
from textgym.metrics.words import unicode_words


def check_order(order: int) -> None:
    """Raise ConfigError for an order of n-grams that is no integer from 1 up."""
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ConfigError(f"order={order!r}: expected an integer from 1 up, the length of n-grams in words.")


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
        check_order(order)
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


def new_words(text: str, window: int = 3) -> float:
    """The share of a text's words that repeat nothing, in [0, 1]; see :class:`textgym.rewards.NoRepeats`.

    >>> new_words(" good good good good"), new_words(" I love it. I love it.")
    (0.25, 0.5)
    """
    words = unicode_words(text)
    pairs: set[tuple[str, str]] = set()
    repeated = 0
    for i, word in enumerate(words):
        pair = (words[i - 1], word) if i else ("", word)
        repeated += word in words[max(0, i - window) : i] or pair in pairs
        pairs.add(pair)
    return 1 - repeated / len(words) if words else 0.0


def check_window(window: int) -> None:
    """Raise ConfigError for a window that is no integer from 1 up."""
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise ConfigError(f"window={window!r}, expected an integer from 1 up.")


class MeanNoRepeats(MeanMetric):
    """The mean share of a completion's words that repeat nothing, in [0, 1].

    >>> from textgym.core import Sample
    >>> MeanNoRepeats().compute([Sample("", " good good good good"), Sample("", " the cat sat on the mat.")])
    {'no_repeats': 0.625}
    """

    name = "no_repeats"

    def __init__(self, window: int = 3) -> None:
        check_window(window)
        self.window = window

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"window": self.window, "tok": "unicode"}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        return [new_words(sample.completion, self.window) for sample in samples]


class MeanRepetition(MeanMetric):
    """The mean share of a completion's n-grams that it has had before, in [0, 1]: lower is better.

    seq-rep-n of Welleck et al. (2020, arxiv.org/abs/1908.04319). A text without an n-gram repeats nothing.

    >>> from textgym.core import Sample
    >>> MeanRepetition(2).compute([Sample("", "the red fox and the red hen"), Sample("", "fox")])
    {'repetition': 0.08333333333333331}
    """

    name = "repetition"
    higher_is_better = False

    def __init__(self, order: int = 4) -> None:
        check_order(order)
        self.order = order

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"order": self.order, "tok": "unicode"}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        texts = [sample.completion for sample in samples]
        return [1 - distinct([text], self.order) if self._has_any(text) else 0.0 for text in texts]

    def _has_any(self, text: str) -> bool:
        return len(unicode_words(text)) >= self.order
