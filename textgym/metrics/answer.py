"""The final answer of a worked solution, in the form of GSM8K (Cobbe et al., 2021, https://arxiv.org/abs/2110.14168)."""

import re
from collections.abc import Sequence
from decimal import Decimal

from textgym.errors import MetricError
from textgym.metrics.base import MeanMetric, MetricSample, references_of

MARKER = "####"  # before the final answer
_NUMBER = r"-?\$?[0-9][0-9,]{0,40}(?:\.[0-9]{1,20})?"
_ANY_NUMBER = re.compile(rf"(?<![0-9.]){_NUMBER}")
_END = re.compile(rf" *{_NUMBER}\s*")


def final_answer(text: str) -> str:
    """The answer that a text comes to: what follows the last ``####``, or else its last number, or else all of it.

    Numbers are written alike: without commas, dollar signs and zeros at their end. Other answers are without capitals.

    >>> final_answer("5 + 3 = 8. #### 8"), final_answer("So she pays $1,250.00."), final_answer(" Yes.")
    ('8', '1250', 'yes')
    """
    _, marker, answer = text.rpartition(MARKER)
    if not marker:
        numbers = _ANY_NUMBER.findall(text)
        answer = numbers[-1] if numbers else text
    answer = answer.strip().partition("\n")[0].strip().removesuffix(".")
    if not re.fullmatch(_NUMBER, answer):
        return " ".join(answer.lower().split())
    number = Decimal(answer.replace(",", "").replace("$", ""))
    return f"{number.normalize():f}" if number else "0"


def has_answer_format(completion: str) -> bool:
    """Whether a text ends with ``####`` and a number, and has no other ``####``.

    >>> has_answer_format("5 + 3 = 8. #### 8"), has_answer_format("#### 8 apples"), has_answer_format("#### 7 #### 8")
    (True, False, False)
    """
    before, marker, end = completion.rpartition(MARKER)
    return bool(marker) and MARKER not in before and not before.endswith("#") and _END.fullmatch(end) is not None


def answers_alike(completion: str, references: Sequence[str]) -> float:
    """1.0 if the final answer of the completion is that of one of the references, otherwise 0.0.

    >>> answers_alike(" 6 / 2 = 3, so 3.0", ["6 / 2 = 3. #### 3"]), answers_alike("", ["#### 3"])
    (1.0, 0.0)
    """
    given = final_answer(completion)
    return float(any(given == final_answer(reference) for reference in references))


class MeanAnswer(MeanMetric):
    """The fraction of completions whose final answer is that of a reference, in [0, 1].

    >>> from textgym.core import Sample
    >>> MeanAnswer().compute([Sample("", " #### 8", ("5 + 3 = 8. #### 8",)), Sample("", " #### 9", ("#### 8",))])
    {'answer': 0.5}
    """

    name = "answer"
    compares_with = "references"

    def values(self, samples: Sequence[MetricSample], /) -> list[float | None]:
        user = f"Metric {self.name!r}"
        return [answers_alike(one.completion, references_of(one, user, MetricError)) for one in samples]
