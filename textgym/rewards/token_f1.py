"""How far a short answer has the words of a reference.

prompt      "Question: Where does the red fox sleep? Answer:"
completion  " in the old garden shed"
reference   "the garden shed"
reward      0.667: of four words two are right, and those are all of the reference
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.token_f1 import check_token_settings, token_overlap
from textgym.rewards.base import BatchReward


class TokenF1(BatchReward):
    """F1, precision or recall of an answer's tokens against the best reference, in [0, 1] (Rajpurkar et al., 2018).

    As in SQuAD's script, case, punctuation and articles don't count, and where one side has no tokens the value is 1 if
    the other has none either. Recall alone is highest for a long text that has everything: mind its length.

    Args:
        measure: "f1", "precision" or "recall", of the reference that gives the highest F1.
        normalize: what tokens are, as in :class:`textgym.rewards.ExactMatch`: with "auto" words, or the characters of
            references in a script without spaces.

    Raises:
        ConfigError: a setting that doesn't exist.
        RewardError: when called with a sample without references.

    >>> sample = Sample("", " in the old garden shed", ("the garden shed",))
    >>> [round(TokenF1(measure)([sample])[0], 3) for measure in ("f1", "precision", "recall")]
    [0.667, 0.5, 1.0]
    """

    shown = ("measure",)
    compares_with = "references"

    def __init__(self, measure: str = "f1", normalize: str | None = "auto") -> None:
        check_token_settings(measure, normalize)
        self.measure, self.normalize = measure, normalize
        self.name = f"token_{measure}"

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        overlap = token_overlap(sample.completion, references, normalize=self.normalize)
        return float(getattr(overlap, self.measure))
