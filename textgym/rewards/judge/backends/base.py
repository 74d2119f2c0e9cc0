"""Who a judge asks: the protocol of a backend, and the verdict.

A backend is a callable from a chat to its reply, so five lines make one of your own::

    def backend(messages):
        reply = my_client.chat(messages)
        return reply.text  # has a line such as "Score 0f3a9c12: 4", with messages.code; a Verdict does as well

It may raise anything when a call fails, and is called from several threads. The chat is a list with the attributes
``code`` and ``rubric`` (see :class:`~textgym.rewards.judge.prompt.Chat`). Optional attributes of a backend:
``instruction`` (how the judge must answer, the last words of the chat, where ``{code}`` is replaced by the code),
``control_tokens`` (strings to disarm in what is judged), ``judge_batch`` (see :class:`BatchBackend`), ``identity`` (a
text that changes whenever its verdicts could, by which verdicts are stored in a file) and ``account`` (an
:class:`~textgym.rewards.judge.backends.account.Account`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from textgym.errors import JudgeError
from textgym.rewards.judge.backends.account import Usage
from textgym.rewards.judge.prompt import Chat


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's answer.

    Attributes:
        score: on the rubric's scale. An expected value need not be whole.
        components: named parts of it.
        reply: the text from which it was read, if it was read from one.
        probabilities: of each level, by the criterion's name, if it is their expected value.
        usage: what it took, all attempts together, if that is known.
    """

    score: float
    components: Mapping[str, float] = field(default_factory=dict)
    reply: str = ""
    probabilities: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    usage: Usage | None = None


class JudgeBackend(Protocol):
    """Any callable that answers one chat with a verdict, or with a reply that ends in one."""

    def __call__(self, messages: Chat, /) -> Verdict | str: ...


@runtime_checkable
class BatchBackend(Protocol):
    """A backend that answers many chats at once: one outcome per chat, in order; a failed one is a JudgeError."""

    def judge_batch(self, chats: Sequence[Chat], /) -> Sequence[Verdict | str | JudgeError]: ...


def backend_name(backend: object) -> str:
    """What a backend is called in messages: a function's name, or the repr."""
    return getattr(backend, "__name__", None) or repr(backend)


def backend_identity(backend: object) -> str | None:
    """What tells a backend from others whose verdicts may differ, or None: it has no ``identity``."""
    identity = getattr(backend, "identity", None)
    return None if identity is None else str(identity)
