"""What a text should say: the table of a prompt, read from its metadata."""

from collections.abc import Iterable, Mapping, Sequence

from textgym.errors import TextGymError
from textgym.metrics.base import MetricSample

Entry = tuple[str, ...]


def table_of(sample: MetricSample, key: str, user: str, error: type[TextGymError]) -> list[Entry]:
    """The entries of the table in ``metadata[key]``, or else in ``metadata["keywords"]``; none without either.

    A table is a mapping from attributes to a value or several, or a sequence of (attribute, value) pairs, of (head,
    relation, tail) triples, or of plain values. An entry has the value, of a triple head and tail. Numbers become text,
    blank values are dropped.

    Raises:
        error: it is something else. ``user`` opens the message.

    >>> from textgym.core import Sample
    >>> from textgym.errors import MetricError
    >>> tables = [{"name": "The Fox", "food": ["fish", "soup"]}, [("area", "river")], [("Ann", "mother of", "Bob")]]
    >>> [table_of(Sample("", "", metadata={"table": table}), "table", "x", MetricError) for table in tables]
    [[('The Fox',), ('fish',), ('soup',)], [('river',)], [('Ann', 'Bob')]]
    """
    table = sample.metadata.get(key)
    if table is None:
        table = sample.metadata.get("keywords", ())
    if isinstance(table, str):
        table = (table,)
    if isinstance(table, Mapping):
        several = [(name, value) for name, values in table.items() for value in _values(values)]
        return _entries(several)
    try:
        return _entries(table)
    except (TypeError, ValueError):
        raise error(
            f"{user} expects a table in metadata[{key!r}], but prompt {sample.prompt_id} has {table!r}: expected a "
            "mapping, or a sequence of (attribute, value) pairs, (head, relation, tail) triples or values."
        ) from None


def _values(values: object) -> Sequence[object]:
    return values if isinstance(values, list | tuple) else (values,)


def _entries(rows: Iterable[object]) -> list[Entry]:
    entries = []
    for row in rows:
        if isinstance(row, Mapping):
            raise TypeError
        parts = (row,) if isinstance(row, str | int | float) else tuple(row)  # type: ignore[arg-type]
        if not 1 <= len(parts) <= 3 or not all(isinstance(part, str | int | float) for part in parts):
            raise TypeError
        wanted = (parts[0], parts[2]) if len(parts) == 3 else parts[-1:]
        entry = tuple(text for text in map(str, wanted) if text.strip())
        if entry:
            entries.append(entry)
    return entries
