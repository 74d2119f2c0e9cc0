"""Results files: ``results.jsonl``, the folder that has one, or the same compressed as ``NAME-v1.jsonl.gz``."""

import gzip
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError
from textgym_agents.benchmark.store import RESULTS, key_of


@dataclass(frozen=True)
class Results:
    """The runs of one file.

    Attributes:
        name: of the suite, or of the file where the runs are of none.
        path: of the file.
        runs: its lines, the last one where several are of one run.
        repeated: how many lines are of a run that a later line is of, too.
    """

    name: str
    path: Path
    runs: list[dict[str, Any]]
    repeated: int = 0


def load(path: str | Path) -> Results:
    """Read a results file.

    Raises:
        ConfigError: there is none, it is empty, or a line is no run.
    """
    file = Path(path)
    if file.is_dir():
        file = file / RESULTS
    try:
        text = (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).decode()
    except FileNotFoundError:
        raise ConfigError(f"There are no results in {str(path)!r}: name a folder of a benchmark or its file.") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(file)!r} can't be read as results: {error}") from error
    lines = [_line(file, number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise ConfigError(f"{str(file)!r} has no runs in it.")
    runs = {key_of(line): line for line in lines}
    name = _suite(str(lines[0].get("command", ""))) or _stem(file)
    return Results(name, file, list(runs.values()), repeated=len(lines) - len(runs))


def _line(file: Path, number: int, text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
        key_of(line)
        return dict(line)
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{str(file)!r}, line {number}: expected a run with algo, task and seed.") from None


def _suite(command: str) -> str:
    """The suite that a command names.

    >>> _suite("textgym benchmark --suite probe --algos all"), _suite("textgym benchmark --algos ppo")
    ('probe', '')
    """
    words = shlex.split(command)
    return words[words.index("--suite") + 1] if "--suite" in words[:-1] else ""


def _stem(file: Path) -> str:
    name = file.name.partition(".")[0]
    return file.parent.name or name if name == "results" else name


def load_all(paths: Sequence[str | Path]) -> list[Results]:
    """Read several files."""
    return [load(path) for path in paths]
