"""Files and folders that are there whole or not at all, and the lock of a folder in which one process works.

What is written lies beside its place first and is renamed when it is on disk. Whatever ends the process meanwhile (a
kill, a power cut, a full disk), the old content or the new one is there.
"""

import errno
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from textgym.border import writing
from textgym.errors import ConfigError

LOCK = "lock"
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


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


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Within the block, no other process can work in this folder, which is made if it isn't there.

    The operating system frees the lock when the process dies, however it does. On Windows there is none.

    Raises:
        ConfigError: another process holds it. The message says which.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is a file, expected a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with _open_lock(folder) as file:
        with suppress(OSError):  # a full disk: then messages don't name this process
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"{os.getpid()} {platform.node()}\n".encode())
        try:
            yield
        finally:
            with suppress(OSError):  # while it is locked: whoever has it open sees that it is gone
                (folder / LOCK).unlink()


def _open_lock(folder: Path) -> IO[str]:
    """The lock's file, locked until it is closed."""
    while True:
        file = open(folder / LOCK, "a+", encoding="utf-8")  # noqa: SIM115  (open as long as it is locked)
        try:
            _lock(file, folder)
            with suppress(FileNotFoundError):
                if sys.platform == "win32" or os.path.samestat(os.fstat(file.fileno()), os.stat(folder / LOCK)):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()  # its holder has removed it in the meantime
        folder.mkdir(parents=True, exist_ok=True)


def _lock(file: IO[str], folder: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise ConfigError(
                f"Another process is working in {str(folder)!r}: {_holder(file)}. Wait for it to end, or name another "
                "folder."
            ) from None
        warnings.warn(
            f"The folder {str(folder)!r} can't be locked ({error}): let no second process work in it.", stacklevel=2
        )


def _holder(file: IO[str]) -> str:
    file.seek(0)
    number, _, node = file.read(1000).strip().partition(" ")
    if not number.isdecimal():
        return "one without a number"
    return f"process {number}" + (f" on {node}" if node != platform.node() else "")
