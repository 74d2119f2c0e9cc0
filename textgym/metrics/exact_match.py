"""Exact match, with the normalization of SQuAD (Rajpurkar et al., 2016, aclanthology.org/D16-1264) or another."""

import re
import string
from collections.abc import Sequence

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import MeanMetric, MetricSample, references_of
from textgym.metrics.words import bleu_tokenizer, unicode_words

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")
NORMALIZATIONS = ("auto", "squad", "unicode", "whitespace")


def check_normalization(normalize: str | None) -> None:
    """Raise ConfigError for a normalization that doesn't exist."""
    if normalize is not None and normalize not in NORMALIZATIONS:
        raise ConfigError(f"normalize={normalize!r}: expected {', '.join(map(repr, NORMALIZATIONS))} or None.")


def chosen_normalization(references: tuple[str, ...], normalize: str | None) -> str | None:
    """What "auto" means for these references: "unicode" in a script without spaces, such as Chinese, else "squad".

    >>> chosen_normalization(("Paris",), "auto"), chosen_normalization(("巴黎市",), "auto")
    ('squad', 'unicode')
    """
    if normalize != "auto":
        return normalize
    return "squad" if bleu_tokenizer(references) == "13a" else "unicode"


def used_normalizations(samples: Sequence[MetricSample], normalize: str | None) -> str:
    """The normalizations that samples are compared with, for a signature."""
    used = {chosen_normalization(tuple(sample.references), normalize) or "none" for sample in samples}
    return "+".join(sorted(used)) or normalize or "none"


def normalized(text: str, normalize: str | None) -> str:
    """The text as it is compared.

    "squad": lower case, no ASCII punctuation, no a, an, the, single spaces. "unicode": the words of any script in lower
    case, without any punctuation, each character of a script without spaces a word. "whitespace": single spaces. None:
    as is.

    >>> normalized(" The  Eiffel Tower!", "squad"), normalized(" The  Eiffel Tower!", "whitespace")
    ('eiffel tower', 'The Eiffel Tower!')
    >>> normalized("《红楼梦》。", "unicode")
    '红 楼 梦'
    """
    if normalize is None:
        return text
    if normalize == "unicode":
        return " ".join(unicode_words(text))
    if normalize == "squad":
        text = _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION))
    return " ".join(text.split())


def exact_match(completion: str, references: Sequence[str], *, normalize: str | None = "auto") -> float:
    """1.0 if the completion equals one of the references after normalization, otherwise 0.0. Two empty texts are equal.

    >>> exact_match("the Eiffel tower.", ["Big Ben", "Eiffel Tower"]), exact_match("", [""])
    (1.0, 1.0)
    >>> exact_match("北京。", ["北京"]), exact_match("北京。", ["北京"], normalize="squad")
    (1.0, 0.0)
    """
    normalize = chosen_normalization(tuple(references), normalize)
    given = normalized(completion, normalize)
    return float(any(given == normalized(reference, normalize) for reference in references))


class MeanExactMatch(MeanMetric):
    """The fraction of completions that equal one of their references, in [0, 1].

    >>> from textgym.core import Sample
    >>> MeanExactMatch().compute([Sample("2+2=", " 4.", ("4", "four")), Sample("2+3=", " 6", ("5",))])
    {'exact_match': 0.5}
    """

    name = "exact_match"
    compares_with = "references"

    def __init__(self, normalize: str | None = "auto") -> None:
        check_normalization(normalize)
        self.normalize = normalize

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"norm": used_normalizations(samples, self.normalize)}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        everything = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        return [
            exact_match(sample.completion, references, normalize=self.normalize)
            for sample, references in zip(samples, everything, strict=True)
        ]
