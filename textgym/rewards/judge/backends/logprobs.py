"""Scores from the probabilities of a reply's tokens: 4 with some doubt about 5 is more than 4 (G-Eval)."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.prompt import Chat
from textgym.rewards.judge.reading import whole_object

MIN_MASS = 0.5  # of the levels together, below which the probabilities say little of the score
_SINGLE = r"(?:score|rating|verdict|grade)"
_BETWEEN = r"[\s\"'*_`:=]*"


def with_probabilities(verdict: Verdict, chat: Chat, tokens: Sequence[Any] | None) -> Verdict:
    """The verdict as the expected value over the levels of its scale, or as it is where a reply's tokens don't say.

    Each level counts by its probability at the place where the reply has its score (G-Eval,
    https://arxiv.org/abs/2303.16634). The component ``label_mass`` is the probability of all levels together, the
    smallest of several criteria. A scale with levels of two digits is read as it is written: there, a token for 1 may
    be the beginning of 10.

    Args:
        verdict: what was read from the reply.
        chat: the question.
        tokens: of the reply, each with ``token`` and ``top_logprobs``, as the OpenAI protocol has them.
    """
    rubric = chat.rubric
    if not tokens or rubric.highest > 9:
        return verdict
    texts = [str(token.token) for token in tokens]
    reply = "".join(texts)
    probabilities: dict[str, Mapping[int, float]] = {}
    for name in rubric.names:
        score = verdict.components[name] if name else verdict.score
        places = [i for i in _places(texts, reply, chat, name) if _level(texts[i]) == score]
        levels = _levels(tokens[places[-1]], range(rubric.lowest, rubric.highest + 1)) if places else {}
        if math.fsum(levels.values()) < MIN_MASS:
            return verdict
        probabilities[name] = levels
    masses = {name: math.fsum(levels.values()) for name, levels in probabilities.items()}
    means = {
        name: math.fsum(level * p for level, p in levels.items()) / masses[name]
        for name, levels in probabilities.items()
    }
    means = {name: min(max(mean, rubric.lowest), rubric.highest) for name, mean in means.items()}  # rounding
    parts = {name: mean for name, mean in means.items() if name}
    mass = min(*masses.values(), 1.0)
    return replace(
        verdict, score=rubric.score(means), components={**parts, "label_mass": mass}, probabilities=probabilities
    )


def _places(texts: Sequence[str], reply: str, chat: Chat, name: str) -> Iterator[int]:
    """The tokens that follow the criterion's name, in an object that is all of the reply or on a line with the code."""
    before = re.compile(rf"{re.escape(name) or _SINGLE}{_BETWEEN}(?:[\[(<]?{chat.code}[\])>]?{_BETWEEN})?\Z", re.I)
    structured, end = whole_object(reply, chat.code) is not None, 0
    for i, text in enumerate(texts):
        line = reply[max(0, end - 200) : end] + text[: len(text) - len(text.lstrip())]
        end += len(text)
        if before.search(line) and (structured or chat.code in line.lower().splitlines()[-1]):
            yield i


def _level(text: str) -> int | None:
    """The level that a token is, if it is one."""
    text = text.strip()
    return int(text) if len(text) == 1 and text.isascii() and text.isdigit() else None


def _levels(token: Any, scale: range) -> dict[int, float]:
    """The probability of each level at a token; all ways to write one count."""
    found: dict[int, float] = {}
    for candidate in token.top_logprobs or ():
        level = _level(str(candidate.token))
        if level in scale and level is not None and candidate.logprob is not None:
            found[level] = found.get(level, 0.0) + math.exp(min(candidate.logprob, 0.0))
    return found
