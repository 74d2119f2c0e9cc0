"""CIDEr of each text.

references  of the training prompts: "a cat sat on the mat", "a dog ran", "the bird flew"
completion  "a cat ran"
reference   "a cat sat on the mat"
reward      0.153: "cat" and "a cat" are in no other prompt's references, and count most
"""

from typing import Any

from textgym.core import Sample
from textgym.errors import ConfigError, RewardError
from textgym.metrics.base import references_of
from textgym.metrics.cider import Corpus, cider
from textgym.rewards.base import BatchReward


class CIDEr(BatchReward):
    """CIDEr-D divided by 10, in [0, 1] (Vedantam et al., 2015; pycocoevalcap's).

    N-grams count by how few prompts of ``corpus`` have them in their references, as in self-critical training (Rennie
    et al., 2017). Texts equal to their only reference get 1 if they have four words or more, with several references
    less. An empty completion scores 0.

    Args:
        corpus: the prompts of training, such as ``DataToText("train")``, or for each prompt a tuple of its references.
        limit: how many of them are read.

    Raises:
        ConfigError: the corpus has none.
        RewardError: when called with a sample without references.

    >>> cider = CIDEr([("a cat sat on the mat",), ("a dog ran",), ("the bird flew",)])
    >>> cider, round(cider([Sample("", "a cat ran", ("a cat sat on the mat",))])[0], 3)
    (CIDEr(corpus=<corpus of 3 prompts>), 0.153)
    """

    name = "cider"
    compares_with = "references"

    def __init__(self, corpus: Any, limit: int = 5000) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ConfigError(f"limit={limit!r}: expected a number of prompts from 1 up.")
        if isinstance(corpus, str) or not (isinstance(corpus, Corpus) or hasattr(corpus, "__getitem__")):
            raise ConfigError(f"corpus={corpus!r}: expected prompts, or for each prompt a tuple of its references.")
        self.corpus, self.limit = corpus if isinstance(corpus, Corpus) else Corpus(corpus, limit), limit

    def score(self, sample: Sample, /) -> float:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        return cider(sample.completion, references, self.corpus) / 10
