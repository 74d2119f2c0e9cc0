"""How few edits a translation needs.

prompt      "Translate: Heute sass die Katze auf der Matte. English:"
completion  "today the cat sat on a mat"
reference   "the cat sat on the mat today"
reward      0.714: a shift and a substitution are two edits for seven words
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.ter import check_ter_settings, ter
from textgym.rewards.base import BatchReward


class TER(BatchReward):
    """1 minus the translation edit rate, and never below 0, in [0, 1] (Snover et al., 2006; by sacrebleu's rules).

    The rate is the fewest insertions, deletions, substitutions and shifts of words to any reference, over the mean
    length of the references. Of texts with more than 300 words shifts are not looked for.

    Args:
        normalized: split punctuation off, and Chinese text into characters. "auto": where the references are in a
            script without spaces.
        no_punct: remove punctuation.
        case_sensitive: "Cat" and "cat" differ.

    Raises:
        ConfigError: another normalization.
        RewardError: when called with a sample without references.

    >>> samples = [Sample("", "today the cat sat on a mat", ("the cat sat on the mat today",)), Sample("", "", ("a",))]
    >>> [round(value, 3) for value in TER()(samples)]
    [0.714, 0.0]
    """

    name = "ter"
    compares_with = "references"

    def __init__(self, normalized: bool | str = "auto", no_punct: bool = False, case_sensitive: bool = False) -> None:
        check_ter_settings(normalized)
        self.normalized, self.no_punct, self.case_sensitive = normalized, no_punct, case_sensitive

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        settings = {"no_punct": self.no_punct, "case_sensitive": self.case_sensitive}
        return max(0.0, 1 - ter(sample.completion, references, normalized=self.normalized, **settings))
