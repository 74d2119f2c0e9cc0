"""ROUGE of each text.

prompt      "Summarize: Ann lost her key in the park. Bob found it there and took it to her house. Summary:"
completion  "Bob found the key."
reference   "Bob found Ann's key and brought it back."
reward      0.462 for ROUGE-L: 3 of 4 words and 3 of 9 words are a common subsequence
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.rouge import check_rouge_settings, rouge
from textgym.rewards.base import BatchReward


class ROUGE(BatchReward):
    """The ROUGE f-measure against the best reference, in [0, 1] (Lin, 2004; equal to the rouge-score package's).

    An empty completion scores 0.

    Args:
        variant: "1", "2", ... for n-grams, "L" for the longest common subsequence, "Lsum" for that of lines.
        use_stemmer: compare Porter stems; needs the extra ``textgym[stemmer]``.
        tokenizer: "rouge" keeps a-z and 0-9 only, as rouge-score does; "unicode" keeps words of every script (and
            Chinese characters); "auto" takes "rouge" for an ASCII reference and "unicode" for any other.

    Raises:
        ConfigError: a setting that doesn't exist.
        MissingExtraError: a stemmer that isn't installed.
        RewardError: when called with a sample without references.

    >>> sample = Sample("", "Bob found the key.", ("Bob found Ann's key and brought it back.",))
    >>> round(ROUGE("L")([sample])[0], 3), round(ROUGE("2")([sample])[0], 3)
    (0.462, 0.182)
    """

    shown = ("variant",)
    compares_with = "references"

    def __init__(self, variant: str = "L", use_stemmer: bool = False, tokenizer: str = "auto") -> None:
        self.variant = str(variant).removeprefix("rouge")
        check_rouge_settings(self.variant, use_stemmer, tokenizer)
        self.use_stemmer, self.tokenizer = use_stemmer, tokenizer
        self.name = f"rouge{self.variant}"

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        return rouge(
            sample.completion, references, self.variant, use_stemmer=self.use_stemmer, tokenizer=self.tokenizer
        )
