"""Whether a completion does what its prompt asks for, by a rule of phrases.

prompt      "... soup: 12 coins | bread: 3 coins\\nCustomer: What does the soup cost?\\nClerk:"
metadata    {"wanted": [("12 coins",)], "unwanted": ["3 coins", "sorry"]}
completion  " That is 12 coins."
reward      1.0, and 0.0 for " That is 3 coins." or a list of all prices
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.requirements import WANTED, requirements, rule_of
from textgym.rewards.keywords import WarnsOnce


class Requirements(WarnsOnce):
    """1 if the completion has a phrase of each group in ``metadata["wanted"]`` and none of ``["unwanted"]``, else 0.

    Phrases count as whole words, in any case. A group is a phrase, or several of which one is enough. A sample without
    a rule gets None: the reward abstains.

    Args:
        share: the share of groups that it meets instead; still 0 with an unwanted phrase.

    Raises:
        RewardError: when called with a sample whose metadata has something else there.

    >>> rule = {"wanted": [("sorry", "afraid"), "soup"], "unwanted": ["12 coins"]}
    >>> samples = [Sample("", text, metadata=rule) for text in (" Sorry, no soup.", " No soup.", " Sorry, 12 coins.")]
    >>> Requirements()(samples), Requirements(share=True)(samples)
    ([1.0, 0.0, 0.0], [1.0, 0.5, 0.0])
    """

    name = "requirements"

    def __init__(self, share: bool = False) -> None:
        self.share = share

    def score(self, sample: Sample, /) -> float | None:
        rule = rule_of(sample, f"Reward {self.name!r}", RewardError)
        if rule is None:
            self.warn_of(sample, WANTED)
            return None
        met = requirements(sample.completion, *rule)
        return met if self.share else float(met == 1)
