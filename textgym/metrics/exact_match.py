"""Exact match, with the normalization of SQuAD (Rajpurkar et al., 2016, aclanthology.org/D16-1264) or another."""

import re
import string
from collections.abc import Sequence

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import Metric, MetricSample, references_of

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")
NORMALIZATIONS = ("squad", "whitespace")


def check_normalization(normalize: str | None) -> None:
    """Raise ConfigError for a normalization that doesn't exist."""
    if normalize is not None and normalize not in NORMALIZATIONS:
        raise ConfigError(f"normalize={normalize!r}: expected 'squad', 'whitespace' or None.")


def normalized(text: str, normalize: str | None) -> str:
    """The text as it is compared.

    "squad": lower case, no ASCII punctuation, no a, an, the, single spaces. "whitespace": single spaces. None: as is.

    >>> normalized(" The  Eiffel Tower!", "squad"), normalized(" The  Eiffel Tower!", "whitespace")
    ('eiffel tower', 'The Eiffel Tower!')
    """
    if normalize is None:
        return text
    if normalize == "squad":
        text = _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION))
    return " ".join(text.split())


def exact_match(completion: str, references: Sequence[str], *, normalize: str | None = "squad") -> float:
    """1.0 if the completion equals one of the references after normalization, otherwise 0.0. Two empty texts are equal.

    >>> exact_match("the Eiffel tower.", ["Big Ben", "Eiffel Tower"]), exact_match("", [""])
    (1.0, 1.0)
    """
    given = normalized(completion, normalize)
    return float(any(given == normalized(reference, normalize) for reference in references))


class MeanExactMatch(Metric):
    """The fraction of completions that equal one of their references, in [0, 1].

    >>> from textgym.core import Sample
    >>> MeanExactMatch().compute([Sample("2+2=", " 4.", ("4", "four")), Sample("2+3=", " 6", ("5",))])
    {'exact_match': 0.5}
    """

    name = "exact_match"
    compares_with = "references"

    def __init__(self, normalize: str | None = "squad") -> None:
        check_normalization(normalize)
        self.normalize = normalize

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"norm": self.normalize or "none"}

    def score(self, samples: Sequence[MetricSample], /) -> float:
        total = 0.0
        for sample in samples:
            references = references_of(sample, f"Metric {self.name!r}", MetricError)
            total += exact_match(sample.completion, references, normalize=self.normalize)
        return total / len(samples)
