"""A language model with a persona as the partner. What it said once it says again: a SQLite file keeps its replies."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from textgym.dialogue import Dialogue, Reply, partner_name
from textgym.errors import ConfigError, PartnerError

Message = dict[str, str]


class ModelPartner:
    """Replies as a language model does that is given a persona, the prompt and the turns.

    A model that samples is no pure function. Each reply is kept by the persona, the conversation and the episode's
    seed, so the same conversation gets the same reply: in this process, and with ``cache`` in later runs too, which
    then ask nothing that was asked before.

    Args:
        backend: from a chat (a list of dicts with role and content) and a seed to the model's text. Its attribute
            ``identity``, or else ``name``, says which model it is.
        persona: the system message: who the model is and what it wants. The policy's turns are the user's, its own the
            assistant's.
        name: of the model, part of what a reply is kept by. None: the backend's ``identity``, or the name of the
            function.
        cache: the file, made at the first reply.
        end: what the model says to end the conversation; it is cut from the reply.

    Raises:
        ConfigError: the backend can't be called, or the persona or ``end`` is no text.

    >>> from textgym import Prompt, Turn
    >>> customer = ModelPartner(lambda messages, seed: f"{messages[-1]['content'].upper()} ###DONE###", "You shout.")
    >>> customer([Dialogue(Prompt("Shop."), (Turn("policy", "A lamp?"),))])
    [Reply(text='A LAMP?', reward=0.0, done=True, info={})]
    """

    def __init__(
        self,
        backend: Callable[[list[Message], int], str],
        persona: str,
        *,
        name: str | None = None,
        cache: str | Path | None = None,
        end: str = "###DONE###",
    ) -> None:
        if not callable(backend) or not isinstance(persona, str) or not isinstance(end, str) or not end:
            raise ConfigError(
                f"ModelPartner got backend={backend!r}, persona={persona!r} and end={end!r}, expected a function of a "
                "chat and a seed, and two texts."
            )
        self.backend, self.persona, self.end = backend, persona, end
        self.name = str(name or getattr(backend, "identity", None) or partner_name(backend))
        self.cache = None if cache is None else Path(cache)
        self._known: dict[str, str] = {}

    def messages(self, dialogue: Dialogue) -> list[Message]:
        """The chat that the model is asked to go on with."""
        begin = f"{self.persona}\n\nThe conversation begins with:\n{dialogue.prompt.text}\n\n"
        end = f"Say one turn. To end the conversation, say {self.end}."
        roles = {"policy": "user", "partner": "assistant"}
        turns = [{"role": roles[turn.speaker], "content": turn.text} for turn in dialogue.turns]
        return [{"role": "system", "content": begin + end}, *turns]

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply]:
        return [self._reply(dialogue) for dialogue in dialogues]

    def _reply(self, dialogue: Dialogue) -> Reply:
        messages = self.messages(dialogue)
        key = hashlib.sha256(json.dumps([self.name, dialogue.seed, messages]).encode()).hexdigest()
        text = self._known.get(key)
        if text is None:
            kept = self._kept(key)
            text = self._known[key] = self._asked(key, messages, dialogue.seed) if kept is None else kept
        said, ended, _ = text.partition(self.end)
        return Reply(said.strip(), done=bool(ended))

    def _asked(self, key: str, messages: list[Message], seed: int) -> str:
        text: Any = self.backend(messages, seed)
        if not isinstance(text, str):
            raise PartnerError(
                f"The backend of ModelPartner {self.name!r} returned {text!r}, expected the model's text."
            )
        if self.cache is None:
            return text
        self._execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, text))
        kept = self._kept(key)  # another process may have been first
        return text if kept is None else kept

    def _kept(self, key: str) -> str | None:
        if self.cache is None or not self.cache.exists():
            return None
        rows = self._execute("SELECT reply FROM replies WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def _execute(self, query: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        path = Path(str(self.cache))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise PartnerError(
                f"The replies in {path} can't be read or written: {error}. Name another file."
            ) from error

    def __repr__(self) -> str:
        return f"ModelPartner({self.name!r}, {self.persona[:40]!r})"
