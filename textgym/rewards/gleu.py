"""GLEU of each text.

prompt      "Translate: Die Katze sass auf der Matte. English:"
completion  "the cat sat on a mat"
reference   "the cat sat on the mat"
reward      0.611: 11 of 18 n-grams of one to four words are the same
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.gleu import check_gleu_settings, sentence_gleu
from textgym.rewards.base import BatchReward


class GLEU(BatchReward):
    """The smaller of n-gram precision and recall, in [0, 1] (Wu et al., 2016; nltk's, google_bleu of ``evaluate``).

    Made to reward single sentences, where BLEU falls to 0 with its rarest n-gram. Of several references the best
    counts. An empty completion scores 0.

    Args:
        min_order: the shortest n-grams compared.
        max_order: the longest.
        tokenize: a sacrebleu tokenizer, or "auto", as in :class:`textgym.rewards.BLEU`.
        lowercase: ignore case.

    Raises:
        ConfigError: a setting that doesn't exist.
        RewardError: when called with a sample without references.

    >>> samples = [Sample("", "the cat sat on a mat", ("the cat sat on the mat",)), Sample("", "", ("a cat",))]
    >>> [round(value, 3) for value in GLEU()(samples)]
    [0.611, 0.0]
    """

    name = "gleu"
    compares_with = "references"

    def __init__(self, min_order: int = 1, max_order: int = 4, tokenize: str = "auto", lowercase: bool = False) -> None:
        check_gleu_settings(min_order, max_order, tokenize)
        self.min_order, self.max_order, self.tokenize, self.lowercase = min_order, max_order, tokenize, lowercase

    def score(self, sample: Sample, /) -> float:
        return sentence_gleu(
            sample.completion,
            references_of(sample, f"Reward {self.name!r}", RewardError),
            min_order=self.min_order,
            max_order=self.max_order,
            tokenize=self.tokenize,
            lowercase=self.lowercase,
        )
