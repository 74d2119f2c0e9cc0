"""BLEU of each text.

prompt      "Translate: Die Katze sass auf der Matte. English:"
completion  "the cat sat on a mat"
reference   "the cat sat on the mat"
reward      0.537: 5 of 6 words, 3 of 5 pairs, 2 of 4 triples and 1 of 3 quadruples are right
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.bleu import check_bleu_settings, sentence_bleu
from textgym.rewards.base import BatchReward


class BLEU(BatchReward):
    """Sentence BLEU against all references, in [0, 1] (Papineni et al., 2002; sacrebleu's, divided by 100).

    Orders for which the completion has no n-grams are left out, so that "the cat" against itself scores 1. An empty
    completion scores 0.

    Args:
        max_order: the longest n-grams compared.
        tokenize: a sacrebleu tokenizer. "auto" takes "13a", "zh" for Chinese references, and "char" for other scripts
            without spaces. The references decide, never the completion.
        smooth: what counts for an order without a match: "exp", "floor", "add-k" or "none".
        lowercase: ignore case.

    Raises:
        ConfigError: a setting that sacrebleu doesn't have.
        RewardError: when called with a sample without references.

    >>> samples = [Sample("", "the cat sat on a mat", ("the cat sat on the mat",)), Sample("", "", ("a cat",))]
    >>> [round(value, 3) for value in BLEU()(samples)]
    [0.537, 0.0]
    """

    name = "bleu"
    compares_with = "references"

    def __init__(
        self, max_order: int = 4, tokenize: str = "auto", smooth: str = "exp", lowercase: bool = False
    ) -> None:
        check_bleu_settings(max_order, tokenize, smooth)
        self.max_order, self.tokenize, self.smooth, self.lowercase = max_order, tokenize, smooth, lowercase

    def score(self, sample: Sample, /) -> float:
        return sentence_bleu(
            sample.completion,
            references_of(sample, f"Reward {self.name!r}", RewardError),
            max_order=self.max_order,
            tokenize=self.tokenize,
            smooth=self.smooth,
            lowercase=self.lowercase,
        )
