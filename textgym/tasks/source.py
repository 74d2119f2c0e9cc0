"""Where the rows of a dataset come from: files, folders, parallel texts, the Hugging Face hub, or what is loaded."""

import glob
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textgym.border import connected, existing, reading
from textgym.errors import DatasetError, did_you_mean

# The loader for a file, by its ending.
_FILE_LOADERS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".txt": "text"}

# Two parts of a dataset that has one split: a tenth of its prompts by a hash of their text, and the others.
HELD_OUT, NOT_HELD_OUT = "held_out", "not_held_out"


def load_table(dataset: Any, split: str, load_kwargs: Mapping[str, Any], max_rows: int | None = None) -> Any:
    """A loaded ``datasets.Dataset``: that split of what the user passes, see :func:`textgym.tasks.dataset.load_rows`.

    With ``streaming`` among the arguments, and ``max_rows``, no more than those rows are read.

    Raises:
        DatasetError: it can't be loaded, or has no such split.
    """

    if not isinstance(split, str):
        raise DatasetError(f"split={split!r} is no split's name, expected text such as 'train'.")
    if max_rows is not None and (isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1):
        raise DatasetError(f"max_rows={max_rows!r}, expected a whole number of at least 1, or None for all rows.")
    table = _table(dataset, split, load_kwargs, max_rows)
    return table if max_rows is None or len(table) <= max_rows else table.select(range(max_rows))


def _table(dataset: Any, split: str, load_kwargs: Mapping[str, Any], max_rows: int | None) -> Any:
    import datasets

    if isinstance(load_kwargs, Mapping) and load_kwargs.get("streaming"):
        return _first_rows(dataset, split, load_kwargs, max_rows)
    loaded = _load(dataset, split, load_kwargs)
    if isinstance(loaded, datasets.Dataset):
        return loaded
    if split in (HELD_OUT, NOT_HELD_OUT) and split not in loaded and len(loaded) == 1:
        return next(iter(loaded.values()))
    if split not in loaded:
        hint = (
            f" A tenth of its prompts can be held out: split={HELD_OUT!r}, the others are {NOT_HELD_OUT!r}."
            if len(loaded) == 1
            else ""
        )
        raise DatasetError(f"There is no split {split!r} in {describe(dataset)}. {what_there_is(split, loaded)}{hint}")
    return loaded[split]


def _first_rows(dataset: Any, split: str, load_kwargs: Mapping[str, Any], max_rows: int | None) -> Any:
    """The first rows of a dataset that is read from its beginning, and no further."""
    import datasets

    if max_rows is None:
        raise DatasetError("streaming=True needs max_rows=..., since a task needs the number of its prompts.")
    if load_kwargs.get("trust_remote_code"):
        raise DatasetError("trust_remote_code=True is not supported: a dataset's own code is never run.")
    path = _checked_path(dataset) if isinstance(dataset, str | Path) else None
    if path is None or (existing(path) and path.is_file()):
        raise DatasetError(
            f"streaming=True reads datasets by name or folder, and {describe(dataset)} is neither. Leave it out."
        )
    source = str(path) if existing(path) else str(dataset)
    with reading("dataset", dataset, DatasetError, _hint(path)), _without_retries(path):
        streams = datasets.load_dataset(source, **load_kwargs)
        if split not in streams:
            raise DatasetError(f"There is no split {split!r} in {describe(dataset)}. {what_there_is(split, streams)}")
        rows = list(streams[split].take(max_rows))
        return datasets.Dataset.from_list(rows, features=streams[split].features)


def only_split(dataset: Any, load_kwargs: Mapping[str, Any] | None = None) -> str | None:
    """The split of a dataset that has just one; None where there are more, or none to choose from.

    Raises:
        DatasetError: it can't be loaded.
    """
    import datasets

    loaded = _load(dataset, "train", load_kwargs or {})
    return None if isinstance(loaded, datasets.Dataset) or len(loaded) != 1 else str(next(iter(loaded)))


def describe(dataset: Any) -> str:
    """How messages name a dataset."""
    if isinstance(dataset, str | Path):
        return f"dataset {str(dataset)!r}"
    if isinstance(dataset, Sequence):
        return f"dataset {','.join(map(str, dataset))!r}"
    return f"the {type(dataset).__name__} given"


def what_there_is(name: str, names: Iterable[str]) -> str:
    """A sentence with all valid names, and one with the closest of them.

    >>> what_there_is("vali", ["train", "valid"])
    "It has: train, valid. Did you mean 'valid'?"
    """
    names = list(names)
    hint = did_you_mean(name, names)
    return f"It has: {', '.join(names)}.{f' {hint}' if hint.startswith('Did') else ''}"


def _load(dataset: Any, split: str, load_kwargs: Mapping[str, Any]) -> Any:
    """A Dataset or DatasetDict from what the user passes."""
    import datasets

    if not isinstance(load_kwargs, Mapping):
        raise DatasetError(f"load_kwargs is a {type(load_kwargs).__name__}, expected a dict of arguments.")
    if isinstance(dataset, datasets.Dataset | datasets.DatasetDict):
        if load_kwargs:
            raise DatasetError(f"{', '.join(load_kwargs)} can't be used with a dataset that is already loaded.")
        return dataset
    parallel = _parallel_files(dataset)
    if parallel:
        return _load_parallel(parallel)
    if not isinstance(dataset, str | Path):
        raise DatasetError(
            f"dataset is a {type(dataset).__name__}, expected a path, a name on the Hugging Face hub, or a loaded "
            "Dataset or DatasetDict. Streaming datasets have no length: load without streaming=True."
        )
    if load_kwargs.get("trust_remote_code"):
        raise DatasetError("trust_remote_code=True is not supported: a dataset's own code is never run.")
    if load_kwargs.get("streaming"):
        raise DatasetError("streaming=True needs max_rows=..., since a task needs the number of its prompts.")
    path = _checked_path(dataset)
    # Names alone: a value may be a secret token.
    given = f"It was loaded with {', '.join(map(str, load_kwargs))}. " if load_kwargs else ""
    with reading("dataset", dataset, DatasetError, f"{given}{_hint(path)}"), _without_retries(path):
        if path.is_dir() and ((path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists()):
            return datasets.load_from_disk(str(path))
        if path.is_file():
            kind = _FILE_LOADERS[path.suffix.lower()]
            if kind == "json":
                _check_rows(path)
            try:  # the name of a file is a pattern to `datasets`
                return datasets.load_dataset(kind, data_files=glob.escape(str(path)), **load_kwargs)
            except Exception as error:
                line = _broken_line(path) if kind == "json" else None
                if line is None:
                    raise
                raise DatasetError(f"Can't load dataset {str(dataset)!r}: {line}. {_hint(path)}") from error
        source = str(path) if path.exists() else str(dataset)
        whole = datasets.load_dataset(source, **load_kwargs)
        # A part of a split, such as "train[:100]", is understood by load_dataset alone.
        if split not in whole and all(name.split("[")[0].strip() in whole for name in split.split("+")):
            return datasets.load_dataset(source, split=split, **load_kwargs)
        return whole


def _checked_path(dataset: str | Path) -> Path:
    """The path that a name may be. Raises DatasetError for one that isn't there, or a file of no known kind."""
    try:
        path = Path(dataset).expanduser()
    except RuntimeError as error:  # no such user
        raise DatasetError(f"Dataset {str(dataset)!r} can't be a path: {error}") from error
    text = str(dataset)
    if "\0" in text or not text.strip():
        raise DatasetError(f"Dataset {text!r} is neither a path nor a name on the Hugging Face hub.")
    is_path = isinstance(dataset, Path) or text.startswith((".", "/", "~")) or path.suffix.lower() in _FILE_LOADERS
    if is_path and not existing(path):
        raise DatasetError(
            f"Dataset {text!r} doesn't exist (looked at {path.absolute()}). Pass a folder or file that exists, "
            "or a name on the Hugging Face hub."
        )
    if existing(path) and path.is_file() and path.suffix.lower() not in _FILE_LOADERS:
        raise DatasetError(
            f"The file {text!r} has the ending {path.suffix!r}, expected {', '.join(_FILE_LOADERS)}. Rename it, or say "
            f"how to read it: dataset='text', data_files=[{text!r}]. Two parallel texts, line by line: "
            f"dataset='{text},OTHER'."
        )
    return path


def _check_rows(path: Path) -> None:
    """Raise DatasetError for JSON that doesn't begin with a row or a list: after null, pyarrow crashes the process."""
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start and start[:1] not in (b"{", b"["):
        raise DatasetError(f"Dataset {str(path)!r} begins with {start[:20]!r}, expected JSON objects, one a row.")


def _broken_line(path: Path) -> str | None:
    """What is wrong with the first line of JSON lines that is no JSON; None for JSON of another form."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                value = json.loads(line) if line.strip() else {}
            except (ValueError, RecursionError) as error:
                return None if number == 1 else f"line {number} is no JSON: {error}"
            if not isinstance(value, dict):
                return None if number == 1 else f"line {number} is no JSON object: {line[:20]!r}"
    return None


def _hint(path: Path) -> str:
    if existing(path):
        brackets = " Folders with '[', '*' or '?' in their name are patterns to `datasets`: rename it."
        pattern = path.is_dir() and any(sign in str(path.absolute()) for sign in "[*?")
        return f"Expected a UTF-8 file of rows (CSV with a header, JSON lines, parquet, text).{brackets * pattern}"
    return "Check the name and the arguments. A name on the Hugging Face hub needs a connection."


def _parallel_files(dataset: Any) -> list[Path]:
    """The files of ``"x.en,x.de"`` or ``["x.en", "x.de"]``, line i of each of which belongs to row i; else none."""
    if isinstance(dataset, str):
        parts: Sequence[Any] = [part.strip() for part in dataset.split(",")]
        if len(parts) < 2 or not any(existing(part) for part in parts) or existing(dataset):
            return []
    elif isinstance(dataset, list | tuple) and len(dataset) > 1 and all(isinstance(p, str | Path) for p in dataset):
        parts = dataset
    else:
        return []
    paths = [Path(part).expanduser() for part in parts]
    for path in paths:
        if not path.is_file():
            raise DatasetError(f"There is no file {str(path)!r} (looked at {path.absolute()}), one of parallel texts.")
    return paths


def _load_parallel(paths: Sequence[Path]) -> Any:
    """A DatasetDict with one split and a column for each file, named by its ending: "en" for train.en."""
    import datasets

    names = [path.suffix.removeprefix(".") for path in paths]
    if len(set(names)) < len(names) or not all(names):
        names = [path.name for path in paths]
    columns = {}
    for name, path in zip(names, paths, strict=True):
        with reading("dataset", path, DatasetError, "Expected UTF-8 text, one row a line."):
            columns[name] = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    lengths = {name: len(lines) for name, lines in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{path} has {count:,}" for path, count in zip(paths, lengths.values(), strict=True))
        raise DatasetError(f"Parallel texts need equally many lines, but {counts}.")
    return datasets.DatasetDict(train=datasets.Dataset.from_dict(columns))


@contextmanager
def _without_retries(path: Path) -> Iterator[None]:
    """Within the block the hub isn't asked where there is no connection: cached data loads, else it fails at once."""
    import datasets
    import huggingface_hub.constants as hub

    if existing(path) or (not hub.HF_HUB_OFFLINE and connected()):
        yield
        return
    before = hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    why = "HF_HUB_OFFLINE is set" if before[0] else "there is no connection to the Hugging Face hub"
    try:
        yield
    except (ConnectionError, FileNotFoundError) as error:
        raise DatasetError(
            f"There is no file {str(path)!r}, and as a dataset on the hub it can't be loaded: {why}, and "
            "it isn't in the cache."
        ) from error
    finally:
        hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
