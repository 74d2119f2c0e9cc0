"""GLEU (Wu et al., 2016, arxiv.org/abs/1609.08144): n-grams in common, made for scoring single sentences."""

from collections.abc import Sequence

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import MetricSample, SummedMetric, references_of
from textgym.metrics.bleu import bleu_reference_words, bleu_words, check_bleu_settings
from textgym.metrics.ngrams import common_ngrams, ngram_counts, word_symbols
from textgym.metrics.words import bleu_tokenizer


def check_gleu_settings(min_order: int, max_order: int, tokenize: str) -> None:
    """Raise ConfigError for settings that don't exist."""
    check_bleu_settings(max_order, tokenize, "exp")
    if not isinstance(min_order, int) or not 1 <= min_order <= max_order:
        raise ConfigError(f"min_order={min_order!r}: expected the shortest n-gram's length, from 1 to {max_order}.")


def gleu_counts(
    completion: str,
    references: Sequence[str],
    *,
    min_order: int = 1,
    max_order: int = 4,
    tokenize: str = "auto",
    lowercase: bool = False,
) -> tuple[int, int]:
    """Common n-grams, and all of the longer of completion and reference, for the reference with the highest ratio.

    >>> gleu_counts("the cat sat", ["the cat slept on", "a cat"])  # the, cat, the cat; of 4 + 3 + 2 + 1 n-grams
    (3, 10)
    """
    chosen = bleu_tokenizer(tuple(references)) if tokenize == "auto" else tokenize
    texts = [bleu_words(completion, chosen, lowercase)]
    texts += [bleu_reference_words(reference, chosen, lowercase) for reference in references]
    sizes = [len(words) for words in texts]
    totals = [sum(max(0, size - order + 1) for order in range(min_order, max_order + 1)) for size in sizes]
    if not max(sizes):
        return 0, 0
    common = common_ngrams(*ngram_counts(word_symbols(texts), sizes, max_order))[:, min_order - 1 :].sum(axis=1)
    pairs = [(int(hits), max(totals[0], total)) for hits, total in zip(common, totals[1:], strict=True)]
    return max((pair for pair in pairs if pair[1]), key=lambda pair: pair[0] / pair[1], default=(0, 0))


def sentence_gleu(
    completion: str,
    references: Sequence[str],
    *,
    min_order: int = 1,
    max_order: int = 4,
    tokenize: str = "auto",
    lowercase: bool = False,
) -> float:
    """The smaller of n-gram precision and recall, in [0, 1], against the reference that gives the most; nltk's.

    Words are those of BLEU: with ``tokenize="auto"`` the script of the references decides. 0 for an empty completion.

    >>> round(sentence_gleu("the cat sat on a mat", ["the cat sat on the mat"]), 4)
    0.6111
    """
    hits, total = gleu_counts(
        completion, references, min_order=min_order, max_order=max_order, tokenize=tokenize, lowercase=lowercase
    )
    return hits / total if total else 0.0


class CorpusGLEU(SummedMetric):
    """Corpus GLEU in [0, 1]: common n-grams of all texts over all n-grams, as nltk and evaluate's google_bleu have it.

    >>> from textgym.core import Sample
    >>> samples = [Sample("", "the cat sat on a mat", ("the cat sat on the mat",)), Sample("", "a dog", ("the dog",))]
    >>> {name: round(value, 4) for name, value in CorpusGLEU().compute(samples).items()}
    {'gleu': 0.5714}
    """

    name = "gleu"
    compares_with = "references"

    def __init__(self, min_order: int = 1, max_order: int = 4, tokenize: str = "auto", lowercase: bool = False) -> None:
        check_gleu_settings(min_order, max_order, tokenize)
        self.min_order, self.max_order, self.tokenize, self.lowercase = min_order, max_order, tokenize, lowercase

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        tokenize = self._tokenizer(samples)
        return {
            "order": f"{self.min_order}-{self.max_order}",
            "case": "lc" if self.lowercase else "mixed",
            "tok": tokenize,
        }

    def counts(self, samples: Sequence[MetricSample], /) -> list[tuple[int, int]]:
        """(common n-grams, all n-grams) of each sample."""
        tokenize = self._tokenizer(samples)
        everything = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        return [
            gleu_counts(
                sample.completion,
                references,
                min_order=self.min_order,
                max_order=self.max_order,
                tokenize=tokenize,
                lowercase=self.lowercase,
            )
            for sample, references in zip(samples, everything, strict=True)
        ]

    def of_sums(self, sums: Sequence[float], /) -> float:
        return sums[0] / sums[1] if sums[1] else 0.0

    def _tokenizer(self, samples: Sequence[MetricSample]) -> str:
        if self.tokenize != "auto" or not samples:
            return self.tokenize
        return bleu_tokenizer(tuple(text for sample in samples for text in sample.references))
