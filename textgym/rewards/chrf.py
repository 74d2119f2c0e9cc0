"""chrF of each text: likeness of characters. A misspelt word still counts for something.

prompt      "Repeat: a small world. Answer:"
completion  "a smal world."
reference   "a small world."
reward      0.694
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.chrf import check_chrf_settings, chrf_name, sentence_chrf
from textgym.rewards.base import BatchReward


class ChrF(BatchReward):
    """Sentence chrF against the best reference, in [0, 1] (Popović, 2015; sacrebleu's, divided by 100).

    Works for every script. Whitespace isn't compared. An empty completion scores 0.

    Args:
        char_order: the longest n-grams of characters.
        word_order: the longest n-grams of words; 2 makes it chrF++ (named "chrf++").
        beta: how many times more recall counts than precision.

    Raises:
        ConfigError: a setting that isn't a whole number, or is too small.
        RewardError: when called with a sample without references.

    >>> round(ChrF()([Sample("", "a smal world.", ("a small world.",))])[0], 3)
    0.694
    """

    compares_with = "references"

    def __init__(self, char_order: int = 6, word_order: int = 0, beta: int = 2) -> None:
        check_chrf_settings(char_order, word_order, beta)
        self.char_order, self.word_order, self.beta = char_order, word_order, beta
        self.name = chrf_name(word_order)

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        return sentence_chrf(
            sample.completion, references, char_order=self.char_order, word_order=self.word_order, beta=self.beta
        )
