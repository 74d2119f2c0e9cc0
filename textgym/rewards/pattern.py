"""Whether a completion has the form of a regular expression.

prompt      "The date of the first of May 2024, in figures:"
completion  " 2024-05-01"
reward      Pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"): 1.0, and 0.0 for " May 1st"
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.pattern import SECONDS, check_pattern_settings, matches, pattern_of
from textgym.rewards.keywords import WarnsOnce


class Pattern(WarnsOnce):
    """1 if the completion has the form of a regular expression, otherwise 0.

    A search that takes longer than ``seconds`` is given up, and the completion scores 0: no text can hold a training
    up, whatever the pattern. Such values depend on the machine; a pattern without nested repetition never gets there.

    Args:
        pattern: a regular expression of the package ``regex``. None: that in ``metadata["pattern"]``; a sample without
            one gets None, the reward abstains.
        how: "fullmatch": the whole completion, without whitespace at its ends; "search": anywhere in it; "match": from
            its beginning.
        seconds: the longest time of a search.

    Raises:
        ConfigError: the pattern is no regular expression, or another setting makes no sense.
        RewardError: when called with a sample whose metadata has no regular expression there.

    >>> date = Pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}")
    >>> date([Sample("", " 2024-05-01"), Sample("", " May 1st")])
    [1.0, 0.0]
    """

    name = "pattern"

    def __init__(self, pattern: str | None = None, how: str = "fullmatch", seconds: float = SECONDS) -> None:
        check_pattern_settings(pattern, how, seconds)
        self.pattern, self.how, self.seconds = pattern, how, seconds

    def score(self, sample: Sample, /) -> float | None:
        pattern = pattern_of(sample, self.pattern, f"Reward {self.name!r}", RewardError)
        if pattern is None:
            self.warn_of(sample, "pattern")
            return None
        return float(matches(sample.completion, pattern, how=self.how, seconds=self.seconds))
