"""The other side of a conversation: what a partner sees, what it replies, and how it is asked.

A partner is a pure function of the prompt, the turns so far and the episode's seed. It keeps nothing between calls, so
environments pickle, save and resume in the middle of a conversation without asking it, and rows that share a seed meet
the same partner.
"""

import functools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from textgym.core import Prompt, Turn
from textgym.errors import ConfigError, PartnerError


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What a partner sees: the last turn is the policy's.

    Attributes:
        prompt: what the episode began with, its references and metadata too.
        turns: who said what since then.
        seed: of this episode, for a partner that draws: the same at every turn.
    """

    prompt: Prompt
    turns: tuple[Turn, ...] = ()
    seed: int = 0

    @property
    def said(self) -> tuple[str, ...]:
        """The policy's turns.

        >>> Dialogue(Prompt("Guess:"), (Turn("policy", "a"), Turn("partner", "no"), Turn("policy", "b"))).said
        ('a', 'b')
        """
        return tuple(turn.text for turn in self.turns if turn.speaker == "policy")

    def generator(self, *key: int) -> np.random.Generator:
        """Random numbers of this episode: the same at every turn, others for each ``key``.

        >>> one, same = (Dialogue(Prompt("Guess:"), seed=3).generator(1) for _ in range(2))
        >>> bool(one.random() == same.random())
        True
        """
        return np.random.default_rng([self.seed, *key])


@dataclass(frozen=True, slots=True)
class Reply:
    """What a partner returns for a dialogue.

    Attributes:
        text: what it says. Control tokens in it are read as text; it may be empty.
        reward: for the policy's turn, a finite number. The environment gives it on the step that ended the turn.
        done: whether the conversation is over. The last reply is not written into the observation.
        info: anything else. It goes into ``info["partner_info"]``.
    """

    text: str = ""
    reward: float = 0.0
    done: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)


class Partner(Protocol):
    """Any callable that replies to a batch of dialogues: one ``Reply``, or its text, for each, in order."""

    def __call__(self, dialogues: Sequence[Dialogue], /) -> Sequence[Reply | str]: ...


def partner_name(partner: object) -> str:
    """The name of a partner in messages."""
    return str(getattr(partner, "name", None) or getattr(partner, "__name__", None) or type(partner).__name__)


def ask_partner(partner: Partner, dialogues: Sequence[Dialogue], rows: Sequence[int] | None = None) -> list[Reply]:
    """Call ``partner`` once on all ``dialogues`` and check what comes back.

    ``rows`` are their rows in a vector environment, for messages.

    Raises:
        PartnerError: it raised, or returned something else than a reply for each. The message names row and dialogue.

    >>> ask_partner(lambda dialogues: ["no" for _ in dialogues], [Dialogue(Prompt("Guess:"), (Turn("policy", "a"),))])
    [Reply(text='no', reward=0.0, done=False, info={})]
    """
    if not dialogues:
        return []
    name, rows = partner_name(partner), range(len(dialogues)) if rows is None else rows
    more = f" and {len(dialogues) - 1} more" if len(dialogues) > 1 else ""
    replies: Any = []
    try:
        if isinstance(partner, FunctionPartner):  # so that its errors name the one dialogue
            for dialogue in dialogues:
                replies.append(partner.__wrapped__(dialogue))
        else:
            replies = partner(dialogues)
    except PartnerError:
        raise
    except Exception as error:
        at, others = (len(replies), "") if isinstance(partner, FunctionPartner) else (0, more)
        asked = _where(rows[at], dialogues[at]) + others
        raise PartnerError(
            f"Partner {name!r} raised {type(error).__name__}: {error}. It was asked for {asked}."
        ) from error
    first = _where(rows[0], dialogues[0]) + more
    if isinstance(replies, str | Mapping) or not isinstance(replies, Sequence):
        raise PartnerError(
            f"Partner {name!r} returned a {type(replies).__name__} for {first}, expected a list with one textgym.Reply "
            "for each dialogue. To answer one dialogue at a time, decorate the function with @textgym.partner."
        )
    if len(replies) != len(dialogues):
        raise PartnerError(
            f"Partner {name!r} returned {len(replies)} replies for {len(dialogues)} dialogues, expected one for each."
        )
    return [_checked(name, reply, _where(row, one)) for reply, row, one in zip(replies, rows, dialogues, strict=True)]


def _where(row: int, dialogue: Dialogue) -> str:
    said = dialogue.turns[-1].text[:60] if dialogue.turns else ""
    number = len(dialogue.said)
    return f"row {row} (prompt {dialogue.prompt.text[:60]!r}, turn {number} of the policy: {said!r})"


def _checked(name: str, reply: Any, where: str) -> Reply:
    reply = Reply(reply) if isinstance(reply, str) else reply
    if not isinstance(reply, Reply):
        raise PartnerError(f"Partner {name!r} returned {reply!r} for {where}, expected a textgym.Reply or its text.")
    if not isinstance(reply.text, str):
        raise PartnerError(f"Partner {name!r} replied {reply.text!r} to {where}, expected a string.")
    if not isinstance(reply.done, bool | np.bool_) or not isinstance(reply.info, Mapping):
        raise PartnerError(
            f"Partner {name!r} returned done={reply.done!r} and info={reply.info!r} for {where}, expected a bool, "
            "and a dict."
        )
    try:
        finite = math.isfinite(reply.reward)
    except (TypeError, OverflowError):
        finite = False
    if not finite:
        raise PartnerError(f"Partner {name!r} gave the reward {reply.reward!r} to {where}, expected a finite number.")
    return Reply(reply.text, float(reply.reward), bool(reply.done), reply.info)


class FunctionPartner:
    """A function of one dialogue as a partner. Made by :func:`partner`; the function itself is ``__wrapped__``."""

    __wrapped__: Callable[[Dialogue], Reply | str]

    def __init__(self, function: Callable[[Dialogue], Reply | str]) -> None:
        functools.update_wrapper(self, function)
        self.name = partner_name(function)

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply | str]:
        return [self.__wrapped__(dialogue) for dialogue in dialogues]

    def __reduce__(self) -> tuple[Any, ...] | str:
        module, path = getattr(self, "__module__", ""), getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(module)
        for step in path.split("."):
            found = getattr(found, step, None)
        return path if found is self else (type(self), (self.__wrapped__,))

    def __repr__(self) -> str:
        return f"partner({self.name})"


def partner(function: Callable[[Dialogue], Reply | str], /) -> FunctionPartner:
    """Turn a function of one dialogue into a partner: ``@textgym.partner``. It returns a ``Reply``, or its text.

    >>> @partner
    ... def echo(dialogue):
    ...     "Says everything again, until it hears stop."
    ...     return Reply(dialogue.said[-1], done=dialogue.said[-1] == "stop")
    >>> echo([Dialogue(Prompt("Talk:"), (Turn("policy", "hi"),))])
    [Reply(text='hi', reward=0.0, done=False, info={})]
    """
    if isinstance(function, type) or not callable(function):
        raise ConfigError(f"@partner decorates a function of one dialogue, got {function!r}.")
    return FunctionPartner(function)
