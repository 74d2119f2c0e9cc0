"""METEOR (Lavie and Agarwal, 2007, aclanthology.org/W07-0734) by exact words and stems: nltk's without WordNet."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import MeanMetric, MetricSample, references_of
from textgym.metrics.bleu import bleu_reference_words, bleu_words, check_bleu_settings
from textgym.metrics.stems import stem
from textgym.metrics.words import bleu_tokenizer


def check_meteor_settings(alpha: float, beta: float, gamma: float, tokenize: str) -> None:
    """Raise ConfigError for settings that make no sense."""
    check_bleu_settings(4, tokenize, "exp")
    for name, value in (("alpha", alpha), ("gamma", gamma)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name}={value!r}: expected a number from 0 to 1.")
    if beta < 0:
        raise ConfigError(f"beta={beta!r}: expected a number from 0 up, usually 3.")


def meteor(
    completion: str,
    references: Sequence[str],
    *,
    alpha: float = 0.9,
    beta: float = 3.0,
    gamma: float = 0.5,
    tokenize: str = "auto",
) -> float:
    """METEOR in [0, 1] against the reference that gives the most, as nltk computes it with a WordNet without a synonym.

    Words are lower-cased, those of BLEU's tokenizer, and matched if they are equal, or else if their stems are. The
    value is a mean of precision and recall, of which recall counts most, less a penalty for matches in many pieces.
    Two equal texts of n words get 1 - gamma / n^beta: a single word 0.5. The scores are not those of METEOR 1.5, which
    also has synonyms and paraphrases.

    Args:
        completion: the generated text.
        references: at least one text.
        alpha: the weight of recall, from 0 to 1.
        beta: how fast the penalty falls with fewer pieces.
        gamma: the largest penalty.
        tokenize: a sacrebleu tokenizer; with "auto" the script of the references decides.

    Raises:
        MissingExtraError: nltk isn't installed.

    >>> round(meteor("the cats sat on a mat", ["the cat sat on the mat"]), 4)
    0.7433
    """
    chosen = bleu_tokenizer(tuple(references)) if tokenize == "auto" else tokenize
    stem("checking", "METEOR")  # also where no word needs it
    words = bleu_words(completion, chosen, True)
    best = 0.0
    for reference in references:
        matches = sorted(_matches(words, bleu_reference_words(reference, chosen, True)))
        if matches:
            size, length = len(words), len(bleu_reference_words(reference, chosen, True))
            precision, recall = len(matches) / size, len(matches) / length
            mean = precision * recall / (alpha * precision + (1 - alpha) * recall)
            pieces = 1 + sum(after != (ours + 1, theirs + 1) for (ours, theirs), after in pairwise(matches))
            best = max(best, (1 - gamma * (pieces / len(matches)) ** beta) * mean)
    return best


def _matches(words: list[str], reference: list[str]) -> list[tuple[int, int]]:
    """Pairs of positions of equal words, then of equal stems. From the end on, each takes the last that is free."""
    exact = _pairs(list(enumerate(words)), list(enumerate(reference)))
    taken, given = {i for i, _ in exact}, {j for _, j in exact}
    ours = [(i, stem(word)) for i, word in enumerate(words) if i not in taken]
    theirs = [(j, stem(word)) for j, word in enumerate(reference) if j not in given]
    return exact + _pairs(ours, theirs)


def _pairs(ours: list[tuple[int, str]], theirs: list[tuple[int, str]]) -> list[tuple[int, int]]:
    free: dict[str, list[int]] = defaultdict(list)
    for j, word in theirs:
        free[word].append(j)
    return [(i, free[word].pop()) for i, word in reversed(ours) if free.get(word)]


class MeanMETEOR(MeanMetric):
    """Mean METEOR by exact words and stems, in [0, 1], each against its best reference. Needs ``textgym[stemmer]``.

    >>> from textgym.core import Sample
    >>> metric = MeanMETEOR()
    >>> {name: round(value, 4) for name, value in metric.compute([Sample("", "two cats", ("two cat",))]).items()}
    {'meteor': 0.9375}
    """

    name = "meteor"
    compares_with = "references"
    library = "nltk"
    needs = ("nltk", "stemmer")

    def __init__(self, alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5, tokenize: str = "auto") -> None:
        check_meteor_settings(alpha, beta, gamma, tokenize)
        self.alpha, self.beta, self.gamma, self.tokenize = alpha, beta, gamma, tokenize

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        used = [self.tokenize]
        if self.tokenize == "auto" and samples:
            used = sorted({bleu_tokenizer(tuple(sample.references)) for sample in samples})
        numbers = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        return {"match": "exact+stem", **numbers, "tok": "+".join(used)}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        numbers = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        everything = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        return [
            meteor(sample.completion, references, tokenize=self.tokenize, **numbers)
            for sample, references in zip(samples, everything, strict=True)
        ]
