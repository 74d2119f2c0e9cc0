"""How many of a prompt's keywords a completion contains.

prompt      "Write a sentence with: panda, bamboo, river."
metadata    {"keywords": ["panda", "bamboo", "river"]}
completion  "A panda eats bamboo."
reward      0.667
"""

import warnings
from typing import ClassVar

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.coverage import coverage, keywords_of
from textgym.rewards.base import BatchReward


class WarnsOnce(BatchReward):
    """A reward that abstains where the metadata lacks what it needs, and says so once."""

    _warned = False

    def warn_of(self, sample: Sample, key: str) -> None:
        """Warn the first time that a sample has no such metadata at all."""
        if key not in sample.metadata and not self._warned:
            self._warned = True
            warnings.warn(
                f"Reward {self.name!r} abstains: prompt {sample.prompt_id} has no metadata[{key!r}]. By itself or in a "
                "product it then gives no score, and a sum goes on without it. Give the prompts such metadata, or use "
                "another reward.",
                stacklevel=3,
            )


class KeywordCoverage(WarnsOnce):
    """The fraction of the keywords in ``metadata[key]`` that the completion contains, in [0, 1].

    A keyword counts as a whole word or phrase ("cat" isn't in "cats"), one in a script without spaces (Chinese,
    Japanese, Thai, ...) anywhere. A sample without keywords gets None: the reward abstains.

    Args:
        key: where the keywords are in the metadata: a sequence of strings, or one string.
        case_sensitive: "Cat" and "cat" differ.

    Raises:
        RewardError: when called with a sample whose metadata holds something else there.

    >>> sample = Sample("", "A panda eats bamboo.", metadata={"keywords": ["panda", "bamboo", "river"]})
    >>> round(KeywordCoverage()([sample])[0], 3), KeywordCoverage()([Sample("", "A panda.")])
    (0.667, [None])
    """

    name = "coverage"
    inflected: ClassVar[bool] = False

    def __init__(self, key: str = "keywords", case_sensitive: bool = False) -> None:
        self.key, self.case_sensitive = key, case_sensitive

    def score(self, sample: Sample, /) -> float | None:
        keywords = keywords_of(sample, self.key, f"Reward {self.name!r}", RewardError)
        if not keywords:
            self.warn_of(sample, self.key)
            return None
        how = {"case_sensitive": self.case_sensitive, "inflected": self.inflected}
        return coverage(sample.completion, keywords, **how)


class ConceptCoverage(KeywordCoverage):
    """The fraction of the keywords in ``metadata[key]`` that the completion has in any English form, in [0, 1].

    As CommonGen's coverage (Lin et al., 2020, https://aclanthology.org/2020.findings-emnlp.165), by rules and a table
    of irregular words in the place of spaCy's lemmas: "gave" counts for "give". A keyword of several words must be
    there as it is. A sample without keywords gets None: the reward abstains.

    Args:
        key: where the keywords are in the metadata: a sequence of strings, or one string.

    Raises:
        RewardError: when called with a sample whose metadata holds something else there.

    >>> keywords = ["panda", "bamboo", "eat", "river"]
    >>> ConceptCoverage()([Sample("", "Pandas ate bamboo.", metadata={"keywords": keywords})])
    [0.75]
    """

    name = "concepts"
    inflected = True

    def __init__(self, key: str = "keywords") -> None:
        super().__init__(key)
