"""Who a judge asks: the protocol of a backend, the verdict, and how a verdict is read from a reply.

A backend is a callable from a chat to its reply, so five lines make one of your own::

    def backend(messages):
        reply = my_client.chat(messages)
        return reply.text  # ends with "Score: 4"; a Verdict does as well

It may raise anything when a call fails, and is called from several threads. Optional attributes: ``instruction`` (how
the judge must answer, the last words of the chat), ``control_tokens`` (strings to disarm in what is judged) and
``judge_batch`` (see :class:`BatchBackend`).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from textgym.errors import JudgeError
from textgym.rewards.judge_prompt import Message

INSTRUCTION = (
    "Explain in at most three sentences. Then end with one line of its own that reads Score: N, where N is 1 to 5."
)
LOWEST, HIGHEST = 1, 5
_REASONING_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_REASONING_START = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
_VERDICT = re.compile(r"[*_ ]{0,8}(?:final )?score[*_ ]{0,8}[:=][*_ ]{0,8}(\d{1,9})(?: ?/ ?5)?[*_. ]{0,8}", re.I | re.A)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's answer: ``score`` from 1 to 5 (an expected value need not be whole) and named parts."""

    score: float
    components: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The score as a reward from 0 to 1."""
        return (self.score - LOWEST) / (HIGHEST - LOWEST)


class JudgeBackend(Protocol):
    """Any callable that answers one chat with a verdict, or with a reply that ends in one."""

    def __call__(self, messages: list[Message], /) -> Verdict | str: ...


@runtime_checkable
class BatchBackend(Protocol):
    """A backend that answers many chats at once: one outcome per chat, in order; a failed one is a JudgeError."""

    def judge_batch(self, chats: Sequence[list[Message]], /) -> Sequence[Verdict | str | JudgeError]: ...


def parse_verdict(reply: str) -> Verdict:
    """The verdict at the end of a reply. Anything earlier is ignored: it may quote the judged text.

    Raises:
        JudgeError: the last line isn't like ``Score: 4``, lies outside 1 to 5, or the last lines disagree.

    >>> parse_verdict("<think>Score: 1?</think>The text says 'Score: 5' itself.\\n\\nScore: 3").score
    3.0
    """
    answer = _REASONING_END.split(reply)[-1]
    if _REASONING_START.search(answer):
        raise JudgeError(f"the reply ends inside its reasoning, before a verdict: {_tail(reply)}")
    scores: list[int] = []
    for line in reversed([line.strip() for line in answer.splitlines() if line.strip()]):
        match = _VERDICT.fullmatch(line)
        if not match:
            break
        scores.append(int(match.group(1)))
    if not scores:
        raise JudgeError(f"the reply's last line is no verdict, expected one like 'Score: 4': {_tail(reply)}")
    if len(set(scores)) > 1:
        raise JudgeError(f"the reply ends with several verdicts that disagree: {_tail(reply)}")
    if not LOWEST <= scores[0] <= HIGHEST:
        raise JudgeError(f"the verdict {scores[0]} is out of range, expected 1 to 5: {_tail(reply)}")
    return Verdict(float(scores[0]))


def read_reply(backend: object, reply: object) -> Verdict | JudgeError:
    """The verdict in what a backend returned, or what is wrong with it.

    >>> read_reply("my judge", Verdict(7.0))
    JudgeError("'my judge' gave the score 7.0, expected 1 to 5.")
    """
    where = backend_name(backend)
    if isinstance(reply, JudgeError):
        return reply
    if isinstance(reply, str):
        try:
            reply = parse_verdict(reply)
        except JudgeError as error:
            return JudgeError(f"{where}: {error}")
    if not isinstance(reply, Verdict):
        return JudgeError(f"{where} returned {type(reply).__name__}, expected a Verdict or the text of a reply.")
    try:
        score, parts = float(reply.score), {part: float(number) for part, number in reply.components.items()}
    except (TypeError, ValueError) as error:
        return JudgeError(f"{where} returned {reply!r}, expected numbers in it ({error}).")
    if not LOWEST <= score <= HIGHEST:  # NaN fails too
        return JudgeError(f"{where} gave the score {score}, expected 1 to 5.")
    bad = [part for part, number in parts.items() if not math.isfinite(number)]
    return (
        JudgeError(f"{where} gave {bad[0]}={parts[bad[0]]}, expected a finite number.")
        if bad
        else Verdict(score, parts)
    )


def backend_name(backend: object) -> str:
    """What a backend is called in messages: a function's name, or the repr."""
    return getattr(backend, "__name__", None) or repr(backend)


def _tail(reply: str) -> str:
    return repr(reply if len(reply) <= 80 else "..." + reply[-80:]) if reply.strip() else "the reply is empty"
