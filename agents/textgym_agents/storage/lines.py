"""A file of results, one JSON object a line. A line counts once its line break is on disk."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgym.border import writing
from textgym.errors import ConfigError


def append_line(path: Path, result: Mapping[str, Any]) -> None:
    """Add a line; returns when it is on disk.

    Raises:
        StorageError: the disk is full.
    """
    line = json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n"
    with writing("a result", path), open(path, "ab") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def cut_unfinished_line(path: Path) -> int:
    """Cut off what follows the last line break: a line that was never finished. Returns how many bytes."""
    if not path.is_file():
        return 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with open(path, "r+b") as file:
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())
    return len(content) - whole


def read_lines(path: Path, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """The finished lines; none where there is no such file.

    Args:
        path: of the file.
        needed: keys that every line has.

    Raises:
        ConfigError: a line in the middle is broken, which no interruption can cause.
    """
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            result = json.loads(line)
            _ = [result[key] for key in needed]
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"Line {number} of {str(path)!r} is broken ({error}). Delete that line and run the command again."
            ) from error
        found.append(result)
    return found
