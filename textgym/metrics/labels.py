"""How well completions that are labels are right, and how well their confidence says so."""

import re
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

from textgym.errors import ConfigError, MetricError, TextGymError
from textgym.metrics.base import Metric, MetricSample, references_of
from textgym.metrics.exact_match import check_normalization, chosen_normalization, exact_match, normalized

# "joy (80%)", "joy, 80 %", "joy. Confidence: 80%": what a completion says of itself, at its end
_SAID = re.compile(r"[\s,;:.(\[]*(?:\bconfidence\b\s*:?\s*)?(?<![\d.])(\d{1,3}(?:\.\d{1,6})?) ?%[)\]\s.]*\Z", re.I)


class Answer(NamedTuple):
    """A label, and how sure of it the policy is, in [0, 1]; None where nothing says so."""

    label: str
    confidence: float | None


def answer_of(sample: MetricSample, key: str, user: str, error: type[TextGymError]) -> Answer:
    """A completion's label and confidence: ``metadata[key]``, or a percentage at the completion's end.

    Raises:
        error: ``metadata[key]`` is no number in [0, 1]. ``user`` opens the message.

    >>> from textgym.core import Sample
    >>> answer_of(Sample("", " joy (80%)"), "confidence", "Metric", MetricError)
    Answer(label=' joy', confidence=0.8)
    >>> answer_of(Sample("", " joy", metadata={"confidence": 0.3}), "confidence", "Metric", MetricError)
    Answer(label=' joy', confidence=0.3)
    """
    said = _SAID.search(sample.completion[-80:])
    percent = float(said[1]) / 100 if said else None
    found = said if percent is not None and percent <= 1 else None
    label = sample.completion[: len(sample.completion) - len(found[0])] if found else sample.completion
    given = sample.metadata.get(key)
    if given is None:
        return Answer(label, percent if found else None)
    if isinstance(given, bool) or not isinstance(given, Real) or not 0 <= float(given) <= 1:
        raise error(
            f"{user} expects a probability in metadata[{key!r}], but prompt {sample.prompt_id} has {given!r}: expected "
            "a number from 0 to 1."
        )
    return Answer(label, float(given))


def macro_f1(
    completions: Sequence[str], references: Sequence[Sequence[str]], *, normalize: str | None = "auto"
) -> float:
    """The mean over labels of each label's F1, in [0, 1].

    The labels are those that the references have. A completion that equals one of its references has that label, any
    other has its own text as label, which counts as missed for its first reference, and as a false alarm where it is a
    label of others. Labels without a single completion or reference don't exist.

    >>> macro_f1(["joy", "joy", "fear", "?"], [["joy"], ["fear"], ["fear"], ["joy"]])
    0.5833333333333333
    """
    given, right = [], []
    for completion, accepted in zip(completions, references, strict=True):
        chosen = chosen_normalization(tuple(accepted), normalize)
        label, known = normalized(completion, chosen), [normalized(text, chosen) for text in accepted]
        given.append(label)
        right.append(label if label in known else known[0])
    scores = []
    for label in dict.fromkeys(right):
        hits = sum(one == other == label for one, other in zip(given, right, strict=True))
        scores.append(2 * hits / (given.count(label) + right.count(label)))
    return sum(scores) / len(scores)


def calibration_error(confidences: Sequence[float], correct: Sequence[float], bins: int = 10) -> float:
    """The expected calibration error in [0, 1] (Guo et al., 2017, arxiv.org/abs/1706.04599): lower is better.

    Answers are put into ``bins`` of equal width by their confidence. In each the share of right answers is compared
    with the mean confidence; the error is the mean difference, weighted by the answers in a bin.

    >>> round(calibration_error([0.95, 0.95, 0.55, 0.55], [1, 1, 1, 0]), 4)
    0.05
    """
    sums = [[0.0, 0.0] for _ in range(bins)]
    for confidence, right in zip(confidences, correct, strict=True):
        where = sums[min(int(confidence * bins), bins - 1)]
        where[0] += confidence
        where[1] += right
    return sum(abs(said - right) for said, right in sums) / len(confidences)


class MacroF1(Metric):
    """The mean over labels of each label's F1, in [0, 1]: rare labels count as much as frequent ones.

    >>> from textgym.core import Sample
    >>> samples = [Sample("", text, (label,)) for text, label in ((" joy", "joy"), (" joy", "fear"), (" ?", "fear"))]
    >>> MacroF1().compute(samples)
    {'macro_f1': 0.3333333333333333}
    """

    name = "macro_f1"
    compares_with = "references"

    def __init__(self, normalize: str | None = "auto") -> None:
        check_normalization(normalize)
        self.normalize = normalize

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"norm": self.normalize or "none"}

    def score(self, samples: Sequence[MetricSample], /) -> float:
        references = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        return macro_f1([sample.completion for sample in samples], references, normalize=self.normalize)


class CalibrationError(Metric):
    """How far the confidence in answers is from the share of them that are right, in [0, 1]; see ``calibration_error``.

    The confidence is ``metadata[key]``, or else a percentage at the completion's end, "joy (80%)", which is not part of
    the answer. Samples without a confidence are left out; without any there is no result.

    >>> from textgym.core import Sample
    >>> samples = [Sample("", " joy (90%)", ("joy",)), Sample("", " joy (90%)", ("fear",)), Sample("", " ?", ("fear",))]
    >>> CalibrationError().compute(samples)
    {'calibration_error': 0.4}
    """

    name = "calibration_error"
    compares_with = "references"
    higher_is_better = False

    def __init__(self, bins: int = 10, key: str = "confidence", normalize: str | None = "auto") -> None:
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
            raise ConfigError(f"bins={bins!r}: expected an integer from 1 up, usually 10.")
        check_normalization(normalize)
        self.bins, self.key, self.normalize = bins, key, normalize

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"bins": self.bins, "norm": self.normalize or "none"}

    def score(self, samples: Sequence[MetricSample], /) -> float | None:
        said, correct = [], []
        for sample in samples:
            references = references_of(sample, f"Metric {self.name!r}", MetricError)
            answer = answer_of(sample, self.key, f"Metric {self.name!r}", MetricError)
            if answer.confidence is not None:
                said.append(answer.confidence)
                correct.append(exact_match(answer.label, references, normalize=self.normalize))
        return calibration_error(said, correct, self.bins) if said else None
