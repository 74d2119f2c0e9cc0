"""Whether a completion equals a reference.

prompt      "Question: Which tower stands in Paris? Answer:"
completion  " the Eiffel tower."
reference   "Eiffel Tower"
reward      1.0: case, punctuation and articles don't count
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.exact_match import check_normalization, exact_match
from textgym.rewards.base import BatchReward


class ExactMatch(BatchReward):
    """1 if the completion equals one of the references, otherwise 0.

    Two empty texts are equal.

    Args:
        normalize: what is ignored. "squad": case, ASCII punctuation, the words a, an, the, and extra whitespace
            (Rajpurkar et al., 2016). "unicode": case, all punctuation and whitespace. "auto": "unicode" for references
            in a script without spaces, such as Chinese, else "squad". "whitespace": extra whitespace. None: nothing.

    Raises:
        ConfigError: another normalization.
        RewardError: when called with a sample without references.

    >>> sample = Sample("", " the Eiffel tower.", ("Big Ben", "Eiffel Tower"))
    >>> ExactMatch()([sample]), ExactMatch(normalize=None)([sample])
    ([1.0], [0.0])
    """

    name = "exact_match"
    compares_with = "references"

    def __init__(self, normalize: str | None = "auto") -> None:
        check_normalization(normalize)
        self.normalize = normalize

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        return exact_match(sample.completion, references, normalize=self.normalize)
