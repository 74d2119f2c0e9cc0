"""The lock of a folder in which one process works."""

import errno
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from textgym.errors import ConfigError

LOCK = "lock"
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


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
