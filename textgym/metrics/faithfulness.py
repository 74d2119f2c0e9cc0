"""Whether a text says the facts of its table and no others, by slots (Wen et al., 2015, aclanthology.org/D15-1199)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import MeanMetric, MetricSample
from textgym.metrics.table import Entry, table_of
from textgym.metrics.words import contains_phrase

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
UNSAYABLE = ("yes", "no", "true", "false", "none", "n/a")  # of "family friendly: yes": no text has them as words


class SlotErrors(NamedTuple):
    """How many slots of a table a text leaves out, how many other facts it has, and how many slots there are."""

    missing: int
    added: int
    slots: int

    @property
    def faithfulness(self) -> float:
        """1 minus the slot error rate, and never below 0."""
        return max(0.0, 1 - (self.missing + self.added) / self.slots)


def slot_errors(
    completion: str, table: Sequence[Entry], *, prompt: str = "", values: Sequence[str] = ()
) -> SlotErrors | None:
    """The slot errors of a text; None where the table has no slot that a text can say.

    A slot is a value of the table (of a triple head and tail), which has to occur as a whole word or phrase, case
    ignored. Added are the numbers that neither table nor prompt has, and the ``values`` that the table lacks. A value
    said in other words counts as missing.

    Args:
        completion: the generated text.
        table: its entries, see :func:`textgym.metrics.table.table_of`.
        prompt: what the numbers of the text may come from besides.
        values: all values of the domain, as far as they are words that say something false where they don't belong.

    >>> table = [("The Fox",), ("fish",), ("20",)]
    >>> slot_errors("The Fox has fish for 20 pounds.", table)
    SlotErrors(missing=0, added=0, slots=3)
    >>> slot_errors("The Fox has soup for 25 pounds.", table, values=["fish", "soup", "fox"])
    SlotErrors(missing=2, added=2, slots=3)
    """
    slots = {text.strip(): None for entry in table for text in entry if text.strip().lower() not in UNSAYABLE}
    if not slots:
        return None
    missing = sum(not contains_phrase(completion, slot) for slot in slots)
    known = {number for text in (*slots, prompt) for number in _NUMBER.findall(text)}
    added = len({*_NUMBER.findall(completion)} - known)
    for value in dict.fromkeys(values):
        foreign = not any(contains_phrase(slot, value) for slot in slots) and not _NUMBER.fullmatch(value)
        added += foreign and contains_phrase(completion, value)
    return SlotErrors(missing, added, len(slots))


def check_values(values: Sequence[str]) -> tuple[str, ...]:
    """The values of a domain as a tuple; ConfigError for a string in their place."""
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ConfigError(f"values={values!r}: expected a sequence of strings, the values of the domain.")
    return tuple(values)


class MeanFaithfulness(MeanMetric):
    """Mean of 1 minus the slot error rate, in [0, 1], of samples with a table; see ``slot_errors``.

    The table is ``metadata[key]`` or else ``metadata["keywords"]``. No sample with a table: no result.

    >>> from textgym.core import Sample
    >>> table = {"name": "The Fox", "food": "fish", "price": 20}
    >>> texts = ("The Fox has fish for 20 pounds.", "The Fox has fish for 25 pounds.")
    >>> MeanFaithfulness().compute([Sample("", text, metadata={"table": table}) for text in texts])
    {'faithfulness': 0.6666666666666667}
    """

    name = "faithfulness"

    def __init__(self, key: str = "table", values: Sequence[str] = ()) -> None:
        self.key, self.domain = key, check_values(values)

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"key": self.key, "values": len(self.domain)}

    def values(self, samples: Sequence[MetricSample], /) -> list[float | None]:
        tables = [table_of(sample, self.key, f"Metric {self.name!r}", MetricError) for sample in samples]
        found = [
            slot_errors(sample.completion, table, prompt=sample.prompt, values=self.domain)
            for sample, table in zip(samples, tables, strict=True)
        ]
        return [None if errors is None else errors.faithfulness for errors in found]
