"""The share of a completion's n-grams that are different.

completion  " the red fox and the red hen"
reward      Distinct(1): 0.714, 5 of 7 words; Distinct(2): 0.833, 5 of 6 pairs
"""

from textgym.core import Sample
from textgym.metrics.diversity import check_order, distinct
from textgym.rewards.base import BatchReward


class Distinct(BatchReward):
    """Distinct-n of one completion: different n-grams of words over all, in [0, 1] (Li et al., 2016).

    1 minus the repetition "seq-rep-n" of Welleck et al. (2020). A text without an n-gram scores 0. It is easiest for
    short texts: multiply it with a measure of quality, or of length. Over several completions of a prompt:
    :class:`textgym.rewards.SelfBLEU`.

    Args:
        order: the length of the n-grams, in words; a character of a script without spaces is a word.

    Raises:
        ConfigError: the order is no integer from 1 up.

    >>> sample = Sample("", " the red fox and the red hen")
    >>> round(Distinct(1)([sample])[0], 3), round(Distinct(2)([sample])[0], 3), Distinct(2)([Sample("", "fox")])
    (0.714, 0.833, [0.0])
    """

    shown = ("order",)

    def __init__(self, order: int = 1) -> None:
        check_order(order)
        self.order, self.name = order, f"distinct{order}"

    def score(self, sample: Sample, /) -> float:
        return distinct([sample.completion], self.order)
