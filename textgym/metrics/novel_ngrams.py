"""Novelty: n-grams that neither the references nor the prompt have (See et al., 2017, aclanthology.org/P17-1099)."""

from collections.abc import Sequence

from textgym.errors import MetricError
from textgym.metrics.base import MeanMetric, MetricSample, references_of
from textgym.metrics.diversity import check_order
from textgym.metrics.words import unicode_words


def word_ngrams(text: str, order: int) -> list[tuple[str, ...]]:
    """The n-grams of words of a text; a text of fewer words is one of all its words.

    >>> word_ngrams("a red fox", 2), word_ngrams("Fox!", 2), word_ngrams("", 2)
    ([('a', 'red'), ('red', 'fox')], [('fox',)], [])
    """
    words = unicode_words(text)
    if len(words) < order:
        return [tuple(words)] if words else []
    return list(zip(*(words[start:] for start in range(order)), strict=False))


class MeanNovelNgrams(MeanMetric):
    """The mean share of a completion's n-grams that neither its references nor its prompt have, in [0, 1].

    See et al. (2017) compare summaries with their source alone. Neither end is good: a copied text has 0, gibberish 1.
    A text without words has 0. The reward of the name "novelty" compares a prompt's completions with each other.

    Args:
        order: the words of an n-gram; a character of a script without spaces is a word.

    Raises:
        ConfigError: the order is no integer from 1 up.

    >>> from textgym.core import Sample
    >>> MeanNovelNgrams().compute([Sample("Cat:", "a red cat sleeps", ("a black cat sleeps",))])
    {'novel_ngrams': 0.6666666666666666}
    """

    name = "novel_ngrams"
    compares_with = "references"
    higher_is_better = None

    def __init__(self, order: int = 2) -> None:
        check_order(order)
        self.order = order

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"order": self.order, "tok": "unicode"}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        return [self._value(sample) for sample in samples]

    def _value(self, sample: MetricSample) -> float:
        texts = (sample.prompt, *references_of(sample, f"Metric {self.name!r}", MetricError))
        known = {ngram for text in texts for ngram in word_ngrams(text, self.order)}
        own = word_ngrams(sample.completion, self.order)
        return sum(ngram not in known for ngram in own) / len(own) if own else 0.0
