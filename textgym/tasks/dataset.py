"""Prompts from real datasets: loaded with Hugging Face ``datasets``, columns mapped, equal prompts merged."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgym.errors import DatasetError, did_you_mean

# The loader for a file, by its ending.
_FILE_LOADERS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".txt": "text"}


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a dataset: its text, the references of all rows with that text, the first row's other values."""

    prompt: str
    references: tuple[str, ...]
    extra: Mapping[str, Any]


def load_rows(
    dataset: Any,
    split: str,
    columns: Mapping[str, str],
    *,
    optional: tuple[str, ...] = (),
    load_kwargs: Mapping[str, Any] | None = None,
) -> list[Row]:
    """The rows of a dataset's split, merged by prompt in the order of the first row with that prompt.

    Args:
        dataset: a path, a name on the hub, or a loaded ``Dataset`` or ``DatasetDict``.
        split: the split's name. A loaded ``Dataset`` has none, and is taken as it is.
        columns: role -> column. "prompt" must hold strings or lists of strings (joined by a space), "references" the
            same (a list is several references); other roles hold anything. A dot steps into a nested column.
        optional: roles whose column may be missing.
        load_kwargs: passed to ``datasets.load_dataset``.

    Raises:
        DatasetError: it can't be loaded, has no such split or column, is empty, or holds something that is no text.
    """
    table = _select_split(_load(dataset, split, dict(load_kwargs or {})), split, dataset)
    name = _describe(dataset)
    values = {
        role: _column(table, column, role, name)
        for role, column in columns.items()
        if not (role in optional and not _has_column(table, column))
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
    return [Row(prompt, tuple(references), extra) for prompt, (references, extra) in merged.items()]


def merge_columns(defaults: Mapping[str, str], columns: Mapping[str, str] | None) -> dict[str, str]:
    """The default columns of a task, with the user's in their place.

    Raises:
        DatasetError: a role that the task doesn't have, or a column's name that is no string.
    """
    for role, column in (columns or {}).items():
        if role not in defaults:
            raise DatasetError(
                f"columns has the key {role!r}, which this task doesn't use. {did_you_mean(role, defaults)}"
            )
        if not isinstance(column, str):
            raise DatasetError(f"columns[{role!r}] is {column!r}, expected a column's name.")
    return {**defaults, **(columns or {})}


def _describe(dataset: Any) -> str:
    return f"dataset {str(dataset)!r}" if isinstance(dataset, str | Path) else f"the {type(dataset).__name__} given"


def _load(dataset: Any, split: str, load_kwargs: dict[str, Any]) -> Any:
    """A Dataset or DatasetDict from what the user passes."""
    import datasets

    if isinstance(dataset, datasets.Dataset | datasets.DatasetDict):
        if load_kwargs:
            raise DatasetError(f"{', '.join(load_kwargs)} can't be used with a dataset that is already loaded.")
        return dataset
    if not isinstance(dataset, str | Path):
        raise DatasetError(
            f"dataset is a {type(dataset).__name__}, expected a path, a name on the Hugging Face hub, or a loaded "
            "Dataset or DatasetDict. Streaming datasets have no length: load without streaming=True."
        )
    if load_kwargs.get("trust_remote_code"):
        raise DatasetError("trust_remote_code=True is not supported: a dataset's own code is never run.")
    if load_kwargs.get("streaming"):
        raise DatasetError("streaming=True is not supported: a task needs the number of its prompts.")
    path = Path(dataset).expanduser()
    is_path = isinstance(dataset, Path) or dataset.startswith((".", "/", "~")) or path.suffix in _FILE_LOADERS
    if is_path and not path.exists():
        raise DatasetError(
            f"Dataset {str(dataset)!r} doesn't exist (looked at {path.absolute()}). Pass a folder or file that exists, "
            "or a name on the Hugging Face hub."
        )
    try:
        if path.is_dir() and ((path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists()):
            return datasets.load_from_disk(str(path))
        if path.is_file() and path.suffix in _FILE_LOADERS:
            return datasets.load_dataset(_FILE_LOADERS[path.suffix], data_files=str(path), **load_kwargs)
        source = str(path) if path.exists() else str(dataset)
        whole = datasets.load_dataset(source, **load_kwargs)
        # A part of a split, such as "train[:100]", is understood by load_dataset alone.
        if split not in whole and all(name.split("[")[0].strip() in whole for name in split.split("+")):
            return datasets.load_dataset(source, split=split, **load_kwargs)
        return whole
    except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
        given = f" with {', '.join(load_kwargs)}" if load_kwargs else ""  # names alone: a value may be a secret token
        raise DatasetError(
            f"Can't load dataset {str(dataset)!r}{given}: {type(error).__name__}: {error}. Check the name and the "
            "arguments. A name on the Hugging Face hub needs a connection."
        ) from error


def _select_split(loaded: Any, split: str, dataset: Any) -> Any:
    import datasets

    if isinstance(loaded, datasets.Dataset):
        return loaded
    if split not in loaded:
        raise DatasetError(f"There is no split {split!r} in {_describe(dataset)}. {_what_there_is(split, loaded)}")
    return loaded[split]


def _what_there_is(name: str, names: Iterable[str]) -> str:
    names = list(names)
    hint = did_you_mean(name, names)
    return f"It has: {', '.join(names)}.{f' {hint}' if hint.startswith('Did') else ''}"


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
            f"There is no column {column!r}, looked for as the {role}, in {name}. {_what_there_is(column, names)} "
            f"Say which one to use: columns={{{role!r}: ...}}."
        )
    # The longest column that the name begins with: a column's own name may hold dots.
    top = max((own for own in table.column_names if column.startswith(f"{own}.")), key=len)
    values = list(table[top])
    for key in column[len(top) + 1 :].split("."):
        values = [None if value is None else value[key] for value in values]
    return values


def _texts(value: Any, row: int, column: str, name: str) -> list[str]:
    texts = list(value) if isinstance(value, list | tuple) else [value]
    for text in texts:
        if not isinstance(text, str):
            raise DatasetError(
                f"Row {row} of {name} has {str(text)[:60]!r} ({type(text).__name__}) in column {column!r}, expected "
                "text. Map another column with columns={...}, or clean the dataset first."
            )
    return texts
