"""Whether a text says the facts of its table and no others.

metadata    {"table": {"name": "The Fox", "food": "fish", "price": 20}}
completion  "The Fox has fish for 25 pounds."
reward      0.333: one of three slots is missing, and one number is in no slot
"""

from collections.abc import Sequence

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.faithfulness import check_values, slot_errors
from textgym.metrics.table import table_of
from textgym.rewards.keywords import WarnsOnce


class Faithfulness(WarnsOnce):
    """1 minus the slot error rate of a text that describes a table, in [0, 1] (Wen et al., 2015).

    Errors are the values of the table that the text lacks, the numbers that it has and neither table nor prompt has,
    and other values of the domain, over the number of the table's values. A value has to occur as a whole word or
    phrase: said in other words it counts as missing. It is blind to what is said of a value: multiply by a likeness to
    references. A sample without a table gets None: the reward abstains.

    Args:
        key: where the table is in the metadata: a mapping, or a sequence of (attribute, value) pairs or (head,
            relation, tail) triples. Without it ``metadata["keywords"]`` are its values.
        values: all values of the domain, to find those that don't belong.

    Raises:
        ConfigError: ``values`` is no sequence of strings.
        RewardError: when called with a sample whose metadata holds no table there.

    >>> table = {"name": "The Fox", "food": "fish", "price": 20}
    >>> texts = ["The Fox has fish for 20 pounds.", "The Fox has fish for 25 pounds.", "The Fox has soup."]
    >>> samples = [Sample("", text, metadata={"table": table}) for text in texts]
    >>> [round(value, 3) for value in Faithfulness(values=("fish", "soup"))(samples)]
    [1.0, 0.333, 0.0]
    """

    name = "faithfulness"

    def __init__(self, key: str = "table", values: Sequence[str] = ()) -> None:
        self.key, self.values = key, check_values(values)

    def score(self, sample: Sample, /) -> float | None:
        table = table_of(sample, self.key, f"Reward {self.name!r}", RewardError)
        errors = slot_errors(sample.completion, table, prompt=sample.prompt, values=self.values)
        if errors is None:
            self.warn_of(sample, self.key)
            return None
        return errors.faithfulness
