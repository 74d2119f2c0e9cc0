"""What some servers offer beyond plain replies, and what to do where they refuse it.

Some refuse a request with a field that they don't have, others ignore the field. So a refused request is sent again
without it, and once that works the field is left out for good. A field of an answered request is never suspected again.
"""

import threading
from typing import Any

from textgym.rewards.judge.prompt import Chat

REFUSED = (400, 403, 415, 422, 501)  # statuses of a server that doesn't take a field
STRUCTURED, LOGPROBS = "response_format", "logprobs"
TOP = 10  # tokens whose probabilities are asked for: enough for five levels with and without a space


class Features:
    """Which optional fields of a request a server takes. Threads may share it.

    Args:
        structured: ask for replies in a JSON schema.
        logprobs: ask for the log-probabilities of the tokens.
    """

    def __init__(self, structured: bool, logprobs: bool) -> None:
        self._wanted = [name for name, on in ((STRUCTURED, structured), (LOGPROBS, logprobs)) if on]
        self._accepted: set[str] = set()
        self._lock = threading.Lock()

    def wanted(self, chat: object) -> tuple[str, ...]:
        """The fields to send with a chat."""
        with self._lock:
            return tuple(self._wanted) if isinstance(chat, Chat) else ()

    def suspect(self, sent: tuple[str, ...], message: str) -> str | None:
        """The field for which a server may have refused a request, by its message or else the most likely one."""
        with self._lock:
            doubtful = [name for name in sent if name not in self._accepted]
        named = [name for name in doubtful if name in message or (name == STRUCTURED and "json_schema" in message)]
        return next(iter(named or doubtful[::-1]), None)

    def answered(self, sent: tuple[str, ...], left_out: str | None) -> None:
        """Note that a request with these fields got a reply, after one with ``left_out`` as well was refused."""
        with self._lock:
            self._accepted.update(sent)
            if left_out in self._wanted:
                self._wanted.remove(left_out)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}  # a lock can't be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def request_fields(names: tuple[str, ...], chat: Chat) -> dict[str, Any]:
    """The fields as a request has them."""
    fields: dict[str, Any] = {}
    if STRUCTURED in names:
        fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": reply_schema(chat)},
        }
    if LOGPROBS in names:
        fields |= {"logprobs": True, "top_logprobs": TOP}
    return fields


def reply_schema(chat: Chat) -> dict[str, Any]:
    """The JSON schema of a reply: an explanation first, so that the scores follow from it, and the chat's code.

    >>> from textgym.rewards.judge.prompt import judge_messages
    >>> chat = judge_messages("Is it kind?", "You fool.")
    >>> reply_schema(chat)["properties"]["score"], reply_schema(chat)["required"]
    ({'type': 'integer', 'enum': [1, 2, 3, 4, 5]}, ['explanation', 'code', 'score'])
    """
    level = {"type": "integer", "enum": list(range(chat.rubric.lowest, chat.rubric.highest + 1))}
    names = chat.rubric.names
    score = {"score": level} if names == ("",) else {"scores": _object(dict.fromkeys(names, level))}
    return _object({"explanation": {"type": "string"}, "code": {"type": "string", "enum": [chat.code]}, **score})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
