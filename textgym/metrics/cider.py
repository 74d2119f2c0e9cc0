"""CIDEr-D (Vedantam et al., 2015, arxiv.org/abs/1411.5726): n-grams weighted by how much they say about a prompt.

Equal to that of pycocoevalcap, but for the words: runs of letters and digits of any script, lower-cased, in the place
of Java's PTBTokenizer.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import MeanMetric, MetricSample, references_of
from textgym.metrics.words import unicode_words

ORDERS = 4
SIGMA = 6.0  # of the penalty for another length, in pairs of words
Gram = tuple[str, ...]


class Corpus:
    """In how many prompts' references each n-gram occurs: what CIDEr weighs n-grams by.

    Args:
        references: of each prompt, its references: tuples of strings, or prompts, which have them.
        limit: how many prompts are read; None: all of them.

    Raises:
        ConfigError: there are none, or one is a string, or has no references.

    >>> corpus = Corpus([("a cat sat", "the cat"), ("a dog sat",), ("a bird flew",)])
    >>> corpus, round(corpus.weight(("cat",)), 3), round(corpus.weight(("a",)), 3)
    (<corpus of 3 prompts>, 1.099, 0.0)
    """

    def __init__(self, references: Iterable[Any], limit: int | None = None) -> None:
        counts: Counter[Gram] = Counter()
        self.size = 0
        for one in islice(references, limit):
            texts = getattr(one, "references", one)
            if isinstance(texts, str) or not isinstance(texts, Sequence) or not texts:
                raise ConfigError(
                    f"A corpus for CIDEr has the references of each prompt, but prompt {self.size} has {texts!r}. "
                    "Expected a tuple of strings, or prompts with references."
                )
            counts.update({gram for text in texts for gram in _reference_grams(text)})
            self.size += 1
        if not self.size:
            raise ConfigError("A corpus for CIDEr has no prompts. Give the references of the training prompts.")
        self.frequencies = {gram: count for gram, count in counts.items() if count > 1}  # unseen ones count as 1 too

    def weight(self, gram: Gram) -> float:
        """The logarithm of the inverse document frequency."""
        return math.log(self.size / self.frequencies.get(gram, 1))

    def __repr__(self) -> str:
        return f"<corpus of {self.size:,} prompts>"


def cider(completion: str, references: Sequence[str], corpus: Corpus) -> float:
    """CIDEr-D in [0, 10]: the mean over references and orders of the cosine of weighted n-grams, times 10.

    >>> corpus = Corpus([("a cat sat on the mat",), ("a dog ran",), ("the bird flew",)])
    >>> [round(cider(text, ["a cat sat on the mat"], corpus), 3) for text in ("a cat sat on the mat", "a cat ran", "a")]
    [10.0, 1.527, 0.315]
    """
    ours, similar = _weighted(_grams(completion), corpus), [0.0] * ORDERS
    for reference in references:
        theirs = _weighted(_reference_grams(reference), corpus)
        penalty = math.exp(-((ours[2] - theirs[2]) ** 2) / (2 * SIGMA**2))
        for order in range(ORDERS):
            mine, known = ours[0][order], theirs[0][order]
            product = sum(min(weight, known[gram]) * known[gram] for gram, weight in mine.items() if gram in known)
            if product:
                similar[order] += product / (ours[1][order] * theirs[1][order]) * penalty
    return min(10.0, 10 * sum(similar) / ORDERS / len(references))  # rounding may give a little more


def _grams(text: str) -> Counter[Gram]:
    words = unicode_words(text)
    return Counter(gram for n in range(1, ORDERS + 1) for gram in zip(*(words[i:] for i in range(n)), strict=False))


@lru_cache(maxsize=8192)
def _reference_grams(text: str) -> Counter[Gram]:
    return _grams(text)


def _weighted(grams: Counter[Gram], corpus: Corpus) -> tuple[list[dict[Gram, float]], list[float], int]:
    """For each order the weighted n-grams and the length of their vector, and the number of pairs of words."""
    vectors: list[dict[Gram, float]] = [{} for _ in range(ORDERS)]
    for gram, count in grams.items():
        vectors[len(gram) - 1][gram] = count * corpus.weight(gram)
    lengths = [math.sqrt(sum(value * value for value in vector.values())) for vector in vectors]
    return vectors, lengths, sum(count for gram, count in grams.items() if len(gram) == 2)


class CorpusCIDEr(MeanMetric):
    """CIDEr-D, from 0 to 10: common n-grams, those that few prompts' references have counting most.

    The weights come from the references of the samples themselves: with a single prompt all are 0, and so is the value.

    >>> from textgym.core import Sample
    >>> texts = [("a cat sat", "the cat sat"), ("a dog ran", "a dog ran away"), ("it rained", "it snowed")]
    >>> metric = CorpusCIDEr()
    >>> {name: round(value, 3) for name, value in metric.compute([Sample("", a, (b,)) for a, b in texts]).items()}
    {'cider': 3.353}
    """

    name = "cider"
    compares_with = "references"
    bounds = (0.0, 10.0)

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"order": ORDERS, "sigma": SIGMA, "df": "samples", "tok": "unicode"}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        references = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        corpus = Corpus(references)
        return [cider(sample.completion, texts, corpus) for sample, texts in zip(samples, references, strict=True)]
