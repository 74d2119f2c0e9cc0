"""Files and folders that are there whole or not at all.

What is written lies beside its place first and is renamed when it is on disk. Whatever ends the process meanwhile (a
kill, a power cut, a full disk), the old content or the new one is there.
"""

import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from textgym.border import writing
from textgym.errors import ConfigError


@contextmanager
def replacing(path: str | Path, what: str) -> Iterator[Path]:
    """A new path beside ``path``: what the block writes there takes the place of ``path`` when the block ends.

    Args:
        path: of a file.
        what: what it is, for the message, such as "the curve".

    Raises:
        StorageError: the disk is full. What was there stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/note", "a note") as new:
    ...         _ = new.write_text("hello")
    ...     print(Path(f"{folder}/note").read_text(), os.listdir(folder))
    hello ['note']
    """
    path = Path(path)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")  # runs of a benchmark write in one folder
    with writing(what, path):
        try:
            yield new
            _sync(new)
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def write_atomically(path: str | Path, text: str, what: str = "a text") -> None:
    """Write a text file that is either there as a whole or not at all.

    Raises:
        StorageError: the disk is full. What was there stays.
    """
    with replacing(path, what) as new:
        new.write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(folder: str | Path, what: str, mark: Collection[str]) -> Iterator[Path]:
    """A new folder beside ``folder``: what the block writes there takes its place when the block ends.

    For the moment between two renames there is ``folder.old`` alone, see :func:`recover`.

    Args:
        folder: of files.
        what: what it is, for the message, such as "the policy".
        mark: names of files. A folder without any of them, or with folders in it, holds something else.

    Raises:
        ConfigError: there is something else.
        StorageError: the disk is full. What was there stays.
    """
    folder = Path(os.path.realpath(folder))
    _check_replaceable(folder, what, mark)
    new, old = beside(folder)
    with writing(what, folder):
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            yield new
            for file in new.iterdir():
                _sync(file)
            _sync(new)
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)
                folder.rename(old)
            new.rename(folder)
        except BaseException:
            if old.exists() and not folder.exists():
                old.rename(folder)
            shutil.rmtree(new, ignore_errors=True)
            raise
        _sync(folder.parent)
        shutil.rmtree(old, ignore_errors=True)


def beside(folder: Path) -> tuple[Path, Path]:
    """Where :func:`replacing_folder` writes, and where it puts what was there."""
    return folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")


def recover(folder: Path) -> None:
    """Undo what a kill in :func:`replacing_folder` has left."""
    new, old = beside(folder)
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)


def _check_replaceable(folder: Path, what: str, mark: Collection[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is a file, expected a folder for {what}. Move it away.")
    held = sorted(folder.iterdir()) if folder.is_dir() else []
    if held and (any(path.is_dir() for path in held) or not {path.name for path in held} & {*mark}):
        names = ", ".join(path.name for path in held[:3])
        raise ConfigError(
            f"The folder {str(folder)!r} holds {names}, something other than {what}: it stays as it is. Name another."
        )


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    if path.is_dir() and sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
