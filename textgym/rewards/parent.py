"""How far a text says what its table and a reference say.

metadata    {"table": {"name": "The Fox", "food": "fish", "price": "cheap"}}
completion  "The Fox is a cheap pub."
reference   "The Fox is a cheap pub with fish."
reward      0.821: all of it is right, and the fish is missing
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.parent import check_parent_settings, parent
from textgym.metrics.table import table_of
from textgym.rewards.keywords import WarnsOnce


class PARENT(WarnsOnce):
    """PARENT's F-score of a text that describes a table, in [0, 1] (Dhingra et al., 2019; by word overlap).

    Words that the reference lacks are right if the table has them, and words of the reference that the table lacks need
    not be said. Of several references the best counts. A sample without a table gets None: the reward abstains.

    Args:
        key: where the table is in the metadata: a mapping, or a sequence of (attribute, value) pairs or (head,
            relation, tail) triples. Without it ``metadata["keywords"]`` are its values.
        table_weight: the weight of the table's recall against the reference's, from 0 to 1.
        max_order: the longest n-grams.

    Raises:
        ConfigError: a setting that makes no sense.
        RewardError: when called with a sample without references, or whose metadata holds no table there.

    >>> table = {"name": "The Fox", "food": "fish", "price": "cheap"}
    >>> texts = ["The Fox is a cheap pub.", "The Fox is a cheap pub with fish.", "The Fox is a cheap pub with meat."]
    >>> samples = [Sample("", text, (texts[1],), metadata={"table": table}) for text in texts]
    >>> [round(value, 2) for value in PARENT()(samples)]
    [0.82, 1.0, 0.79]
    """

    name = "parent"
    compares_with = "references"

    def __init__(self, key: str = "table", table_weight: float = 0.5, max_order: int = 4) -> None:
        check_parent_settings(table_weight, max_order)
        self.key, self.table_weight, self.max_order = key, table_weight, max_order

    def score(self, sample: Sample, /) -> float | None:
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        table = table_of(sample, self.key, f"Reward {self.name!r}", RewardError)
        if not table:
            self.warn_of(sample, self.key)
            return None
        settings = {"table_weight": self.table_weight, "max_order": self.max_order}
        return parent(sample.completion, references, table, **settings).f  # type: ignore[arg-type]
