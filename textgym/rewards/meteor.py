"""METEOR of each text.

prompt      "Translate: Die Katze sass auf der Matte. English:"
completion  "the cats sat on a mat"
reference   "the cat sat on the mat"
reward      0.743: five of six words are matched, one by its stem, in three pieces
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.meteor import check_meteor_settings, meteor
from textgym.metrics.stems import stem
from textgym.rewards.base import BatchReward


class METEOR(BatchReward):
    """METEOR by exact words and stems, in [0, 1], against the best reference (Lavie and Agarwal, 2007).

    It is nltk's without WordNet's synonyms, and not METEOR 1.5. Recall counts more than precision. Equal texts get a
    little less than 1, a single word 0.5: see :func:`textgym.metrics.meteor.meteor`. Needs the extra
    ``textgym[stemmer]``.

    Args:
        alpha: the weight of recall, from 0 to 1.
        beta: how fast the penalty falls with fewer pieces.
        gamma: the largest penalty.
        tokenize: a sacrebleu tokenizer, or "auto", as in :class:`textgym.rewards.BLEU`.

    Raises:
        ConfigError: a setting that makes no sense.
        MissingExtraError: nltk isn't installed.
        RewardError: when called with a sample without references.

    >>> round(METEOR()([Sample("", "the cats sat on a mat", ("the cat sat on the mat",))])[0], 3)
    0.743
    """

    name = "meteor"
    compares_with = "references"

    def __init__(self, alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5, tokenize: str = "auto") -> None:
        check_meteor_settings(alpha, beta, gamma, tokenize)
        stem("checking", "METEOR")  # better now than after the first episode
        self.alpha, self.beta, self.gamma, self.tokenize = alpha, beta, gamma, tokenize

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        numbers = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        return meteor(sample.completion, references, tokenize=self.tokenize, **numbers)
