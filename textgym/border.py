"""Files of others: whatever their readers raise becomes one of our errors, with the path, the cause and what to do."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textgym.errors import StorageError, TextGymError

# Messages of other libraries that say only that something went wrong: their cause says what.
_EMPTY_WORDS = ("an error occurred while generating", "please pass `features` or at least one example")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS = ("no space left on device", "file too large", "disk quota exceeded")


@contextmanager
def reading(what: str, path: object, error: type[TextGymError], hint: str = "") -> Iterator[None]:
    """Within the block, any exception but ours becomes an ``error`` that names the path and the cause.

    Args:
        what: what is read, such as "dataset".
        path: where from: a path, a name on a hub.
        error: the class to raise.
        hint: what to do about it, a sentence.

    >>> from textgym.errors import DatasetError
    >>> with reading("dataset", "rows.csv", DatasetError, "Clean it first."):
    ...     _ = b"caf\\xe9".decode()
    Traceback (most recent call last):
    textgym.errors.DatasetError: Can't load dataset 'rows.csv': 'utf-8' codec can't decode byte 0xe9 in position \
3: unexpected end of data. Clean it first.
    """
    try:
        yield
    except TextGymError:
        raise
    except (Exception, RecursionError) as cause:
        raise error(f"Can't load {what} {str(path)!r}: {sentence(cause)} {hint}".rstrip()) from cause


@contextmanager
def writing(what: str, path: object) -> Iterator[None]:
    """Within the block, a full disk is a ``StorageError`` of one sentence, whichever library noticed it.

    >>> with writing("the policy", "runs/a"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    textgym.errors.StorageError: Can't write the policy to 'runs/a': no space left on device. Make room and try again.
    """
    try:
        yield
    except TextGymError:
        raise
    except Exception as cause:
        said = str(cause).lower()
        words = next((words for words in _FULL_WORDS if words in said), None)
        if words is None and getattr(cause, "errno", None) not in _FULL:
            raise
        reason = words or "no space left on device"
        raise StorageError(f"Can't write {what} to {str(path)!r}: {reason}. Make room and try again.") from cause


def sentence(error: BaseException) -> str:
    """The first line of what an exception, or the one that it hides, has to say, as a sentence.

    >>> sentence(KeyError("n_embd")), sentence(StopIteration())
    ("KeyError: 'n_embd'.", 'it ends too early, perhaps it is empty.')
    """
    known: set[int] = set()
    telling: BaseException = error
    while id(telling) not in known:
        known.add(id(telling))
        said = str(telling).strip().lower()
        if isinstance(telling, StopIteration | EOFError) or (not said and telling.__cause__ is None):
            break
        if said and not said.startswith(_EMPTY_WORDS):
            break
        telling = telling.__cause__ or (None if telling.__suppress_context__ else telling.__context__) or telling
    said = str(telling).strip().partition("\n")[0].strip()
    if isinstance(telling, StopIteration | EOFError) or said.lower().startswith(_EMPTY_WORDS):
        return "it ends too early, perhaps it is empty."
    # A KeyError's text is a name alone, which says nothing without the class.
    plain = bool(said) and not isinstance(telling, KeyError | AttributeError | TypeError)
    line = said if plain else f"{type(telling).__name__}: {said}".rstrip(": ")
    return line if line.endswith((".", "!", "?")) else f"{line}."


def existing(path: str | Path) -> bool:
    """Whether a path exists; False for text that can't be one, such as a text of thousands of characters."""
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def connected() -> bool:
    """Whether the name of the Hugging Face hub can be looked up. A proxy or a mirror has ways of its own: True."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT")):
        return True
    try:
        socket.getaddrinfo("huggingface.co", 443)
    except OSError:
        return False
    return True
