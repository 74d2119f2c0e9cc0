"""chrF (Popović, 2015, aclanthology.org/W15-3049) and chrF++, equal to those of sacrebleu (Post, 2018).

sacrebleu computes the corpus score. For single sentences the same is done here several times faster.
"""

import string
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import Metric, MetricSample, references_of
from textgym.metrics.bleu import reference_streams
from textgym.metrics.ngrams import Integers, character_symbols, common_ngrams, ngram_counts, word_symbols

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


@lru_cache(maxsize=64)
def _sacrebleu_chrf(char_order: int, word_order: int, beta: int) -> "CHRF":
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(char_order=char_order, word_order=word_order, beta=beta)


def check_chrf_settings(char_order: int, word_order: int, beta: int) -> None:
    """Raise ConfigError for settings that chrF doesn't have."""
    for key, value, least in (("char_order", char_order, 1), ("word_order", word_order, 0), ("beta", beta, 1)):
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"{key}={value!r}: chrF expects a whole number of at least {least}.")


def chrf_name(word_order: int) -> str:
    """ "chrf" with a plus for each word order, as the field writes it: ``chrf++`` counts words and pairs of words."""
    return "chrf" + "+" * word_order


def sentence_chrf(
    completion: str, references: Sequence[str], *, char_order: int = 6, word_order: int = 0, beta: int = 2
) -> float:
    """Sentence chrF in [0, 1]: sacrebleu's, divided by 100. Works for every script, and for parts of words.

    The F-measure of the mean precision and the mean recall over the orders that both texts have, recall counting
    ``beta`` times as much, against the reference that gives the highest.

    >>> round(sentence_chrf("the cats sat", ["the cat sat"]), 4)
    0.7478
    """
    texts = (completion, *references)
    characters = ["".join(text.split()) for text in texts]
    orders = _orders(character_symbols(characters), characters, char_order)
    if word_order:
        words = [_words(text) for text in texts]
        orders += _orders(word_symbols(words), words, word_order)
    best, factor = 0.0, beta**2
    for i in range(1, len(texts)):
        precision = recall = 0.0
        compared = 0
        for common, (mine, *theirs) in orders:
            if mine > 0 and theirs[i - 1] > 0:
                precision, recall = precision + common[i - 1] / mine, recall + common[i - 1] / theirs[i - 1]
                compared += 1
        if precision:
            best = max(best, (1 + factor) * precision * recall / (factor * precision + recall) / compared)
    return min(best, 1.0)  # rounding may give equal texts a little more than 1


def _orders(symbols: Integers, texts: Sequence[Sequence[str]], longest: int) -> list[tuple[list[int], list[int]]]:
    """For each order the n-grams that each reference shares with the completion, and those of every text."""
    sizes = [len(text) for text in texts]
    common = common_ngrams(*ngram_counts(symbols, sizes, longest)).T.tolist()
    return [(shared, [size - shorter for size in sizes]) for shorter, shared in enumerate(common)]


def _words(text: str) -> list[str]:
    """Words as chrF++ has them: one punctuation mark is split off, behind the word or else before it.

    >>> _words("(hi) (you there")
    ['(hi', ')', '(', 'you', 'there']
    """
    words: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in string.punctuation:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in string.punctuation:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


class CorpusChrF(Metric):
    """Corpus chrF in [0, 1]: sacrebleu's, divided by 100. ``word_order=2`` makes it chrF++.

    >>> from textgym.core import Sample
    >>> metric = CorpusChrF()
    >>> {name: round(value, 4) for name, value in metric.compute([Sample("", "the cats", ("the cat",))]).items()}
    {'chrf': 0.9326}
    """

    library = "sacrebleu"
    compares_with = "references"

    def __init__(self, char_order: int = 6, word_order: int = 0, beta: int = 2) -> None:
        check_chrf_settings(char_order, word_order, beta)
        self.char_order, self.word_order, self.beta = char_order, word_order, beta
        self.name = chrf_name(word_order)

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"case": "mixed", "eff": "yes", "nc": self.char_order, "nw": self.word_order, "beta": self.beta}

    def score(self, samples: Sequence[MetricSample], /) -> float:
        references = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        scorer = _sacrebleu_chrf(self.char_order, self.word_order, self.beta)
        score = scorer.corpus_score([sample.completion for sample in samples], reference_streams(references)).score
        return float(min(max(score / 100, 0.0), 1.0))
