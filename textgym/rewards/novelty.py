"""What a completion has that no other completion of its prompt has.

prompt       "Name a color:"
completions  " a dark red", " a dark green"
reward       0.5, 0.5: of two pairs of words, "dark red" and "dark green" are in one text only
"""

from collections import Counter
from collections.abc import Sequence

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.metrics.words import unicode_words
from textgym.rewards.base import GroupReward


class Novelty(GroupReward):
    """The share of n-grams that no other has.

    A completion of fewer words than ``order`` counts as one n-gram of all its words, one without words has 0. Multiply
    it with a measure of quality: rare words are new, and gibberish is newest.

    Args:
        order: the words of an n-gram.

    Raises:
        ConfigError: ``order`` is no whole number of 1 or more.

    >>> Novelty()([Sample("Name a color:", " a dark red"), Sample("Name a color:", " a dark green")])
    [0.5, 0.5]
    """

    name = "novelty"

    def __init__(self, order: int = 2) -> None:
        if isinstance(order, bool) or not isinstance(order, int) or order < 1:
            raise ConfigError(f"order={order!r}: an n-gram has at least 1 word.")
        self.order = order

    def score_group(self, samples: Sequence[Sample], /) -> list[float]:
        each = [self._ngrams(sample.completion) for sample in samples]
        texts = Counter(ngram for ngrams in each for ngram in set(ngrams))
        return [sum(texts[ngram] == 1 for ngram in ngrams) / len(ngrams) if ngrams else 0.0 for ngrams in each]

    def _ngrams(self, text: str) -> list[tuple[str, ...]]:
        words = unicode_words(text)
        if len(words) < self.order:
            return [tuple(words)] if words else []
        return list(zip(*(words[start:] for start in range(self.order)), strict=False))
