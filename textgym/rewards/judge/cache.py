"""Verdicts kept in a SQLite file, for the next run and for other processes: what is paid for once is kept."""

import hashlib
import json
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError
from textgym.rewards.judge.backends.account import Usage
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.prompt import PROMPT_VERSION, Chat

VERSION = 1  # of the table
_AT_ONCE = 500  # keys in one query


class VerdictCache:
    """Verdicts in a SQLite file, by a hash of all that could change them: see :func:`question_key`.

    Threads and processes may share the file. It holds replies, but not the judged texts, and is readable for its owner
    only. An entry is never changed: of two verdicts on one question, the first is kept. When the file can't be read or
    written later on, the judge goes on without it, with a warning.

    Args:
        path: the file. It is made at the first use, with its folder.

    Raises:
        ConfigError: (at the first use) the file is none of these.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._warned = False

    def get(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """The verdicts that are known, by their keys."""
        found: dict[str, Verdict] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self._execute(f"SELECT key, verdict FROM verdicts WHERE key IN ({marks})", some)
            found.update({key: verdict_from(json.loads(text)) for key, text in rows})
        return found

    def put(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict, unless the key has one."""
        row = (key, json.dumps(verdict_as_dict(verdict)), time.time())
        self._execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?)", row)

    def __len__(self) -> int:
        return int(self._execute("SELECT count(*) FROM verdicts", ())[0][0])

    def close(self) -> None:
        """Close the file. The next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _execute(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                connection = self._connect()
                with connection:
                    return connection.execute(query, tuple(values)).fetchall()
            except sqlite3.Error as error:
                if not self._warned:
                    self._warned = True
                    message = f"The judge's cache {self.path} fails ({error}). Its verdicts are not kept from here on."
                    warnings.warn(message, RuntimeWarning, stacklevel=2)
                return [(0,)] if "count" in query else []

    def _connect(self) -> sqlite3.Connection:
        if self._connection is not None and self._process == os.getpid():  # SQLite's connections don't survive a fork
            return self._connection
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise ConfigError(f"The judge's cache {self.path} can't be opened: {error}.") from error
        connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")  # one process at a time looks at the table and makes it
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                if tables and (version != VERSION or "verdicts" not in tables):
                    raise ConfigError(f"{self.path} is a database of something else, not of a judge's verdicts.")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT NOT NULL, time REAL) "
                    "WITHOUT ROWID"
                )
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.OperationalError:  # such as a lock for longer than the timeout
            connection.close()
            raise
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ConfigError(f"{self.path} is no database: {error}. Name another file, or a new one.") from error
        except ConfigError:
            connection.close()
            raise
        self._connection, self._process = connection, os.getpid()
        return connection

    def __repr__(self) -> str:
        return f"VerdictCache({str(self.path)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


def question_key(chat: Chat, identity: str) -> str:
    """A hash of all that a verdict depends on: backend, version of the prompt, rubric and every word of the chat.

    Args:
        chat: the question. What was cut from a text, and how the judge must answer, is part of it.
        identity: of the backend, see ``backends.base``.
    """
    parts = [PROMPT_VERSION, identity, rubric_as_dict(chat), list(chat)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def rubric_as_dict(chat: Chat) -> dict[str, Any]:
    """The rubric of a chat as JSON takes it."""
    return asdict(chat.rubric)


def verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON takes it."""
    return {
        "score": float(verdict.score),
        "components": {name: float(number) for name, number in verdict.components.items()},
        "reply": verdict.reply,
        "probabilities": verdict.probabilities,
        "usage": None if verdict.usage is None else asdict(verdict.usage),
    }


def verdict_from(stored: Mapping[str, Any]) -> Verdict:
    """The verdict that :func:`verdict_as_dict` wrote."""
    probabilities = {
        name: {int(level): p for level, p in levels.items()} for name, levels in stored["probabilities"].items()
    }
    usage = None if stored["usage"] is None else Usage(**stored["usage"])
    return Verdict(stored["score"], stored["components"], stored["reply"], probabilities, usage)
