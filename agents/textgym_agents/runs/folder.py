"""The folder of a training run: what a run may write and delete there, and what is left of one that didn't begin."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from textgym.errors import ConfigError
from textgym_agents.storage import LOCK, recover

# What `overwrite` may delete: nothing that a training run didn't write.
FILES = ("config.json", "metrics.jsonl", "samples.md", "learning_curve.png")
FOLDERS = ("policy", "best", "checkpoint", "logs")


def check_free(out: Path, overwrite: bool) -> None:
    """Whether a run may begin in ``out``: an empty folder or none; with ``overwrite``, one that a run may have written.

    Raises:
        ConfigError: there is something in it that may not be deleted.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {str(out)!r} is a file, expected a folder.")
    there = sorted(path.name for path in out.iterdir() if path.name != LOCK) if out.is_dir() else []
    foreign = [name for name in there if not _is_ours(name)]
    if there and not overwrite:
        raise ConfigError(
            f"The folder {str(out)!r} is not empty ({', '.join(there[:3])}). Name another with --out, or replace what "
            "is there with --overwrite."
        )
    if foreign:
        raise ConfigError(
            f"The folder {str(out)!r} holds {', '.join(foreign[:3])}, which no training run wrote: it stays as it is. "
            "Name another with --out."
        )


def _is_ours(name: str) -> bool:
    """Whether a run writes a file or folder of this name, also one that a kill left beside its place."""
    return re.sub(r"(\.\d+)?\.(new|old)$", "", name) in (*FILES, *FOLDERS)


def clear(out: Path) -> None:
    """Delete what a run has written. The lock stays."""
    for path in out.iterdir():
        if _is_ours(path.name):
            _delete(path)


def tidy(out: Path) -> None:
    """Undo what a kill has left in the middle of a write."""
    for name in ("policy", "best", "checkpoint"):
        if (out / name).is_file():
            raise ConfigError(f"{str(out / name)!r} is a file, and a run has a folder of this name. Move it.")
        recover(out / name)
    for path in out.glob("*.new"):
        if _is_ours(path.name):
            _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def leaving_nothing(out: Path, made: Sequence[Path], has_begun: Callable[[], bool]) -> Iterator[None]:
    """A block that fails before the run has begun leaves no folder that the corrected command would stumble over.

    Args:
        out: the folder. Its lock is held.
        made: folders that are there for this run alone, the innermost first.
        has_begun: whether there is something to keep.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) and out.is_dir() and not has_begun():
            clear(out)
        if out.is_dir() and {path.name for path in out.iterdir()} <= {LOCK}:
            (out / LOCK).unlink(missing_ok=True)
            for folder in made:
                with suppress(OSError):  # others have put something there meanwhile
                    folder.rmdir()
        raise
