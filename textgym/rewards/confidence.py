"""Whether an answer is right, and says so with the confidence that it deserves.

prompt      "The soup was cold and late. Mood, and how sure you are:"
completion  " anger (80%)"
reference   "anger"
reward      0.96: 1 - (0.8 - 1)^2; with another reference 0.36, and " anger (20%)" would get 0.96
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.exact_match import check_normalization, exact_match
from textgym.metrics.labels import answer_of
from textgym.rewards.base import BatchReward


class Brier(BatchReward):
    """1 minus the squared error of the confidence that an answer states, in [0, 1] (Brier, 1950).

    On average it is highest when the stated confidence is the probability of being right. It doesn't ask for right
    answers: add :class:`textgym.rewards.ExactMatch` (Damani et al., 2025, https://arxiv.org/abs/2507.16806). The
    confidence is a percentage at the completion's end, which is not part of the answer, or ``metadata[key]``. An answer
    without one scores 0.

    Args:
        key: where a confidence in [0, 1] may be in the metadata.
        normalize: what is ignored, as in ``ExactMatch``.

    Raises:
        ConfigError: another normalization.
        RewardError: when called with a sample without references, or with metadata that is no probability.

    >>> texts = [" anger (80%)", " joy (80%)", " joy, 10%", " anger"]
    >>> [round(value, 3) for value in Brier()([Sample("", text, ("anger",)) for text in texts])]
    [0.96, 0.36, 0.99, 0.0]
    """

    name = "brier"
    compares_with = "references"

    def __init__(self, key: str = "confidence", normalize: str | None = "auto") -> None:
        check_normalization(normalize)
        self.key, self.normalize = key, normalize

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        answer = answer_of(sample, self.key, f"Reward {self.name!r}", RewardError)
        if answer.confidence is None:
            return 0.0
        right = exact_match(answer.label, references, normalize=self.normalize)
        return 1 - (answer.confidence - right) ** 2
