"""Common words of short answers, as SQuAD's script counts them (Rajpurkar et al., 2018, aclanthology.org/P18-2124)."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from textgym.errors import ConfigError, MetricError, did_you_mean
from textgym.metrics.base import MeanMetric, MetricSample, references_of
from textgym.metrics.exact_match import check_normalization, chosen_normalization, normalized, used_normalizations

MEASURES = ("f1", "precision", "recall")


class TokenOverlap(NamedTuple):
    """How far the tokens of a completion and of one reference are the same, each in [0, 1]."""

    f1: float
    precision: float
    recall: float


def check_token_settings(measure: str, normalize: str | None) -> None:
    """Raise ConfigError for settings that don't exist."""
    if measure not in MEASURES:
        raise ConfigError(f"measure={measure!r} is none of an answer. {did_you_mean(str(measure), MEASURES)}")
    check_normalization(normalize)


def token_overlap(completion: str, references: Sequence[str], *, normalize: str | None = "auto") -> TokenOverlap:
    """F1, precision and recall of tokens against the reference that gives the highest F1.

    As in the script of SQuAD 2.0, a side without tokens is an answer "there is none": all three are 1 if the other side
    has none either, else 0. With ``normalize="auto"`` the references decide what a token is: a word without articles
    and punctuation, or in a script without spaces, such as Chinese, a character.

    >>> token_overlap("the red fox in the garden", ["a fox", "the red fox"])
    TokenOverlap(f1=0.6666666666666666, precision=0.5, recall=1.0)
    >>> token_overlap("北京市", ["北京"]).f1, token_overlap("", ["a"]).f1, token_overlap("", ["fox"]).f1
    (0.8, 1.0, 0.0)
    """
    chosen = chosen_normalization(tuple(references), normalize)
    ours = Counter(normalized(completion, chosen).split())
    return max(_overlap(ours, _reference_counts(reference, chosen)) for reference in references)


def _overlap(ours: Counter[str], theirs: Counter[str]) -> TokenOverlap:
    if not ours or not theirs:
        same = float(not ours and not theirs)
        return TokenOverlap(same, same, same)
    common = (ours & theirs).total()
    # 2PR / (P + R) with P = common / completion tokens and R = common / reference tokens
    f1 = 2 * common / (ours.total() + theirs.total())
    return TokenOverlap(f1, common / ours.total(), common / theirs.total())


@lru_cache(maxsize=8192)
def _reference_counts(text: str, normalize: str | None) -> Counter[str]:
    return Counter(normalized(text, normalize).split())


class MeanTokenF1(MeanMetric):
    """The mean F1 of an answer's tokens, in [0, 1], each against its best reference.

    >>> from textgym.core import Sample
    >>> answers = [Sample("", " the red fox", ("a fox",)), Sample("", " in 1999.", ("1999",))]
    >>> MeanTokenF1().compute(answers), MeanTokenRecall().compute(answers)
    ({'token_f1': 0.6666666666666666}, {'token_recall': 1.0})
    """

    compares_with = "references"
    measure = "f1"

    def __init__(self, normalize: str | None = "auto") -> None:
        check_normalization(normalize)
        self.normalize, self.name = normalize, f"token_{self.measure}"

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"norm": used_normalizations(samples, self.normalize)}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        everything = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        overlaps = [
            token_overlap(sample.completion, references, normalize=self.normalize)
            for sample, references in zip(samples, everything, strict=True)
        ]
        return [float(getattr(overlap, self.measure)) for overlap in overlaps]


class MeanTokenPrecision(MeanTokenF1):
    """The mean share of an answer's tokens that its best reference has, in [0, 1].

    >>> MeanTokenPrecision().name
    'token_precision'
    """

    measure = "precision"


class MeanTokenRecall(MeanTokenF1):
    """The mean share of the best reference's tokens that the answer has, in [0, 1].

    >>> MeanTokenRecall().name
    'token_recall'
    """

    measure = "recall"
