"""Prompts from real datasets: loaded with Hugging Face ``datasets``, columns mapped, equal prompts merged."""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textgym.border import reading
from textgym.errors import DatasetError, did_you_mean
from textgym.tasks.source import HELD_OUT, NOT_HELD_OUT, describe, load_table, what_there_is

Columns = Mapping[str, str | Sequence[str]]  # role -> column; "references" may have several
PLACE = re.compile(r"\{([^{}]+)\}")  # of a column, in a prompt's template


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a dataset: its text, the references of all rows with that text, the first row's other values."""

    prompt: str
    references: tuple[str, ...]
    extra: Mapping[str, Any]


def load_rows(
    dataset: Any,
    split: str,
    columns: Columns,
    *,
    optional: tuple[str, ...] = (),
    load_kwargs: Mapping[str, Any] | None = None,
    max_rows: int | None = None,
) -> list[Row]:
    """The rows of a dataset's split, merged by prompt in the order of the first row with that prompt.

    Args:
        dataset: a path, a name on the hub, a loaded ``Dataset`` or ``DatasetDict``, or parallel text files:
            ``"train.en,train.de"`` (or a list) has the columns en and de, line i of each in row i.
        split: the split's name. A loaded ``Dataset`` has none, and is taken as it is. Of a dataset with one split,
            "held_out" is a tenth of the prompts, chosen by a hash of their text, and "not_held_out" the others.
        columns: role -> column. "prompt" must hold strings or lists of strings (joined by a space), or is a text with
            the names of columns in braces, as in ``"{context} Question: {question}"``; "references" must hold the
            same (a list is several references) and may name several columns; other roles hold anything. A dot steps
            into a nested column.
        optional: roles whose column may be missing.
        load_kwargs: passed to ``datasets.load_dataset``. ``{"streaming": True}`` reads no more than ``max_rows``.
        max_rows: take the first ones alone; None: all.

    Raises:
        DatasetError: it can't be loaded, has no such split or column, is empty, or holds something that is no text.
    """
    table = load_table(dataset, split, load_kwargs or {}, max_rows)
    name = describe(dataset)
    with reading("the rows of", name, DatasetError):
        values = {
            role: _prompts(table, column, name) if role == "prompt" else _role(table, column, role, name)
            for role, column in columns.items()
            if not (role in optional and not (isinstance(column, str) and _has_column(table, column)))
        }
    if not len(table):
        raise DatasetError(f"Split {split!r} of {name} has no rows, expected one or more.")
    merged: dict[str, tuple[dict[str, None], dict[str, Any]]] = {}
    for i in range(len(table)):
        prompt = " ".join(_texts(values["prompt"][i], i, columns["prompt"], name))
        extra = {role: column[i] for role, column in values.items() if role not in ("prompt", "references")}
        references, _ = merged.setdefault(prompt, ({}, extra))  # a dict keeps the order and drops what is there twice
        if "references" in values:
            references.update(dict.fromkeys(_texts(values["references"][i], i, columns["references"], name)))
    rows = [Row(prompt, tuple(references), extra) for prompt, (references, extra) in merged.items()]
    return _part(rows, split, name)


def _part(rows: list[Row], split: str, name: str) -> list[Row]:
    """All rows, or the held-out ones or the others: a tenth of the prompts, at least one."""
    if split not in (HELD_OUT, NOT_HELD_OUT):
        return rows
    if len(rows) < 2:
        raise DatasetError(f"{name[0].upper()}{name[1:]} has one prompt, too few to hold some out.")
    order = sorted(rows, key=lambda row: (zlib.crc32(row.prompt.encode("utf-8", "surrogatepass")), row.prompt))
    held_out = {row.prompt for row in order[: -(-len(rows) // 10)]}
    return [row for row in rows if (row.prompt in held_out) == (split == HELD_OUT)]


def merge_columns(defaults: Columns, columns: Columns | None) -> dict[str, Any]:
    """The default columns of a task, with the user's in their place.

    Raises:
        DatasetError: a role that the task doesn't have, or a column's name that is no string.
    """
    if columns is not None and not isinstance(columns, Mapping):
        raise DatasetError(f"columns is {columns!r}, expected a dict such as {dict(defaults)}.")
    for role, column in (columns or {}).items():
        if role not in defaults:
            raise DatasetError(
                f"columns has the key {role!r}, which this task doesn't use. {did_you_mean(str(role), defaults)}"
            )
        several = role == "references" and isinstance(column, list | tuple) and len(column) > 0
        if not all(isinstance(one, str) for one in (column if several else [column])):
            raise DatasetError(
                f"columns[{role!r}] is {column!r}, expected a column's name"
                f"{', or a list of names' if role == 'references' else ''}."
            )
    return {**defaults, **(columns or {})}


def _prompts(table: Any, column: str | Sequence[str], name: str) -> list[Any]:
    """The values of the prompts' column, or of a text with the names of columns in braces."""
    places = PLACE.findall(column) if isinstance(column, str) and not _has_column(table, column) else []
    if not places:
        return _role(table, column, "prompt", name)
    assert isinstance(column, str)
    values = {place: _column(table, place, "prompt", name) for place in places}
    texts = []
    for i in range(len(table)):
        row = {place: " ".join(_texts(values[place][i], i, place, name)) for place in places}
        texts.append(PLACE.sub(lambda place, row=row: row[place[1]], column))  # type: ignore[misc]
    return texts


def _role(table: Any, column: str | Sequence[str], role: str, name: str) -> list[Any]:
    """The values of a role: those of its column, or for each row those of all its columns, without missing ones."""
    if isinstance(column, str):
        return _column(table, column, role, name)
    rows = []
    for values in zip(*(_column(table, one, role, name) for one in column), strict=True):
        texts = [value for value in values if value is not None]
        rows.append([one for value in texts for one in (value if isinstance(value, list | tuple) else [value])])
    return rows


def _column_names(table: Any) -> list[str]:
    """Every column that can be mapped, nested ones with dots."""
    return [name for column in table.column_names for name in _nested(column, table.features[column])]


def _nested(name: str, feature: Any) -> Iterator[str]:
    # `datasets` describes a nested column by a dict, and a translation by its languages.
    languages = getattr(feature, "languages", None)
    keys = feature if isinstance(feature, Mapping) else dict.fromkeys(languages or ())
    if not keys:
        yield name
    for key in keys:
        yield from _nested(f"{name}.{key}", keys[key])


def _has_column(table: Any, column: str) -> bool:
    return column in table.column_names or column in _column_names(table)


def _column(table: Any, column: str, role: str, name: str) -> list[Any]:
    """The values of a column, a dot in whose name steps into nested ones."""
    if column in table.column_names:
        return list(table[column])
    names = _column_names(table)
    if column not in names:
        raise DatasetError(
            f"There is no column {column!r}, looked for as the {role}, in {name}. {what_there_is(column, names)} "
            f"Say which one to use: columns={{{role!r}: ...}}."
        )
    # The longest column that the name begins with: a column's own name may hold dots.
    top = max((own for own in table.column_names if column.startswith(f"{own}.")), key=len)
    values = list(table[top])
    for key in column[len(top) + 1 :].split("."):
        values = [None if value is None else value[key] for value in values]
    return values


def _texts(value: Any, row: int, column: str | Sequence[str], name: str) -> list[str]:
    texts = list(value) if isinstance(value, list | tuple) else [value]
    for text in texts:
        if not isinstance(text, str):
            raise DatasetError(
                f"Row {row} of {name} has {str(text)[:60]!r} ({type(text).__name__}) in column {column!r}, expected "
                "text. Map another column with columns={...}, or clean the dataset first."
            )
    return texts
