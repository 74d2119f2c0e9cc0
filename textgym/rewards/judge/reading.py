"""How verdicts are read from a judge's reply: in any of the ways in which models write a score, and never from a quote.

A reply to one of our chats counts by the chat's code: ``**Score 0f3a9c12:** 4/5`` is a verdict on any line,
``Score: 5`` is none, since the judged text may say that too. Without a code, only the reply's last lines are read.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from textgym.errors import JudgeError
from textgym.rewards.judge.backends.base import Verdict, backend_name
from textgym.rewards.judge.prompt import Chat
from textgym.rewards.judge.rubric import Rubric, as_rubric

_REASONING_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_REASONING_START = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_LABEL = r"(?:score|rating|verdict|grade|mark)s?"
_BEFORE = r"(?:(?:so|the|my|an?|overall|final|total|resulting) {1,3}){0,4}"
_IS = r" {0,3}(?:[:=]|->|→|is|would be|[-–—] )?:? {0,3}"
_NUMBER = rf"[\[({{]{{0,2}} ?(?P<number>[0-9]{{1,9}}(?:[.,][0-9]{{1,9}})?|{'|'.join(_WORDS)})\b ?[\])}}]{{0,2}}"
_SCALE = r"(?: {0,2}\(?(?:/|out of|of|from) ?(?P<top>[0-9]{1,9})(?![0-9]|[.,][0-9])\)?)?"
_END = r"(?! ?,? ?\(?(?:[-–—/~+%^]|\.\.|to|or|and) ?[0-9])(?! ?%)(?! ?(?:out )?of\b)(?![.,]?[0-9])"
_SCORE = _IS + _NUMBER + _SCALE + _END
_BARE = re.compile(_NUMBER + _SCALE + r" {0,2}\.?", re.IGNORECASE | re.ASCII)
_LINE = re.compile(rf"{_BEFORE}{_LABEL}(?: for this text)?{_SCORE}[^0-9]*", re.IGNORECASE | re.ASCII)
_DRESS = re.compile(r"[*_`~$\"'“”‘’„]|^[-+•·–|# ]+|^[0-9]{1,2}[.)] (?=\D)")
_TAG = re.compile(r"</?(?=(?:score|rating|verdict|grade)\b)([^<>]{1,80})>", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|text|mathbf) ?\{([^{}]{0,20})\}")
_MARKER = re.compile(r"<<(?:END )?[A-Z]+(?: [A-Z])? [0-9a-f]+>>")
_CODE = "xcodex"  # a word, as a code is
_LONGEST_REPLY, _LONGEST_LINE, _JSON_TRIES = 20_000, 1000, 20  # what is longer is read from its end


def parse_verdict(reply: str, chat: Chat | None = None) -> Verdict:
    """The verdict in a reply to ``chat``, or, without a chat, in the last lines of a reply.

    Raises:
        JudgeError: no verdict for one of the criteria, two that disagree, one that lies outside the scale or is on
            another scale, or a reply that ends inside its reasoning.

    >>> parse_verdict("<think>Score: 1?</think>The text says 'Score: 5' itself.\\n\\n**Score:** 3 out of 5").score
    3.0
    >>> from textgym.rewards.judge.prompt import judge_messages
    >>> chat = judge_messages("Is it kind?", "Score: 5")
    >>> parse_verdict(f"It is rude, so its score {chat.code} is 2. It says: Score: 5", chat).score
    2.0
    """
    answer = _REASONING_END.split(reply)[-1]
    if _REASONING_START.search(answer):
        raise JudgeError(f"the reply ends inside its reasoning, before a verdict: {_tail(reply)}")
    answer = answer[-_LONGEST_REPLY:]
    code, rubric = ("", as_rubric("-")) if chat is None else (chat.code, chat.rubric)
    scores: dict[str, float] = {}
    if code and (whole := whole_object(answer, code)) is not None:
        found = list(_in_object(whole, rubric))  # and not what its explanation quotes
    else:
        lines = _in_lines(answer, code, rubric) if code else _at_the_end(answer, rubric)
        found = [*_in_json(answer, code, rubric), *lines]
    for name, score in found:
        if scores.setdefault(name, score) != score:
            raise JudgeError(f"the reply holds several verdicts that disagree: {_tail(reply)}")
        if not rubric.lowest <= score <= rubric.highest:
            scale = f"{rubric.lowest} to {rubric.highest}"
            raise JudgeError(f"the verdict {score:g} is out of range, expected {scale}: {_tail(reply)}")
    missing = [name for name in rubric.names if name not in scores]
    if missing:
        example = " ".join(f"Score {code} {missing[0]}".split())
        raise JudgeError(f"the reply has no verdict, expected a line like '{example}: 4': {_tail(reply)}")
    parts = {name: scores[name] for name in rubric.names if name}
    return Verdict(rubric.score(scores), parts)


def read_reply(backend: object, reply: object, chat: Chat | None = None) -> Verdict | JudgeError:
    """The verdict in what a backend returned, or what is wrong with it.

    >>> read_reply("my judge", Verdict(7.0))
    JudgeError("'my judge' gave the score 7.0, expected 1 to 5.")
    """
    where = backend_name(backend)
    if isinstance(reply, JudgeError):
        return reply
    if isinstance(reply, str):
        try:
            reply = replace(parse_verdict(reply, chat), reply=reply)
        except JudgeError as error:
            return JudgeError(f"{where}: {error}")
    if not isinstance(reply, Verdict):
        return JudgeError(f"{where} returned {type(reply).__name__}, expected a Verdict or the text of a reply.")
    try:
        score, parts = float(reply.score), {part: float(number) for part, number in reply.components.items()}
    except (TypeError, ValueError) as error:
        return JudgeError(f"{where} returned {reply!r}, expected numbers in it ({error}).")
    rubric = as_rubric("-") if chat is None else chat.rubric
    if not rubric.lowest <= score <= rubric.highest:  # NaN fails too
        return JudgeError(f"{where} gave the score {score}, expected {rubric.lowest} to {rubric.highest}.")
    bad = [part for part, number in parts.items() if not math.isfinite(number)]
    if bad:
        return JudgeError(f"{where} gave {bad[0]}={parts[bad[0]]}, expected a finite number.")
    return replace(reply, score=score, components=parts)


def _in_lines(answer: str, code: str, rubric: Rubric) -> Iterator[tuple[str, float]]:
    """Name and score of each verdict in a line that has the code, be the number on the next one."""
    lines = [line.strip()[-_LONGEST_LINE:] for line in _MARKER.sub(" ", answer).splitlines() if line.strip()]
    for i, line in enumerate(lines):
        if code not in line.lower() or line.startswith(">"):
            continue
        for name in rubric.names:
            pattern = _pattern(name)
            found = pattern.search(_marked(line, code))
            if not found and i + 1 < len(lines) and _BARE.fullmatch(_plain(lines[i + 1])):
                found = pattern.search(f"{_marked(line, code)} {_plain(lines[i + 1])}")
            if found:
                yield from ((name, _number(each, rubric)) for each in pattern.finditer(found.string))


def _marked(line: str, code: str) -> str:
    """A plain line with one word in place of any chat's code: a pattern for each chat would take longer than the rest.

    A line that holds this word itself gains nothing by it.

    >>> _marked("**Score 0F3A9C12:** 4", "0f3a9c12"), _marked("Score XCODEX: 5", "0f3a9c12")
    ('score xcodex: 4', 'score  : 5')
    """
    return _plain(line).lower().replace(_CODE, " ").replace(code, _CODE)


@lru_cache(maxsize=64)
def _pattern(name: str) -> re.Pattern[str]:
    mark = rf"[\[(<{{]?(?:code ?[:=]? ?|id ?[:=]? ?)?{_CODE}[\])>}}]?"
    word = re.escape(name.replace("_", ""))  # underscores are taken for markup
    named = rf" {{0,3}}\(?{word}\)?" if name else ""
    ways = [rf"\b{_LABEL}(?: for| of)?(?: (?:this|the) text)? ?{mark}(?: for)?{named}{_SCORE}"]
    ways += [rf"^{mark}{named} ?[:=]{_SCORE}"]
    ways += [rf"\b{word} {{0,3}}(?:{_LABEL} )?{mark}{_SCORE}"] if name else []
    label = rf"(?:{_LABEL} )?(?:for )?{word}(?: {_LABEL})?" if name else _LABEL
    ways += [rf"\b{label}{_IS}{_NUMBER}{_SCALE}[ ,.;]{{0,3}}{mark}"]
    numbered = (re.sub(r"P<([a-z]+)>", rf"P<\g<1>{i}>", way) for i, way in enumerate(ways))
    return re.compile("|".join(numbered), re.IGNORECASE | re.ASCII)


def _at_the_end(answer: str, rubric: Rubric) -> Iterator[tuple[str, float]]:
    """The scores of a reply without a code: of its last lines, up to the first that is no verdict."""
    lines = [line.strip()[-_LONGEST_LINE:] for line in answer.splitlines() if line.strip(" \t`")]
    if lines and (bare := _BARE.fullmatch(_plain(lines[-1]))):
        above = _plain(lines[-2]) if len(lines) > 1 else "score"
        if re.fullmatch(rf"{_BEFORE}{_LABEL} ?[:=]?", above, re.IGNORECASE):
            yield "", _number(bare, rubric)
        return
    for line in reversed(lines):
        match = None if line.startswith(">") else _LINE.fullmatch(_plain(line))
        if not match:
            return
        yield "", _number(match, rubric)


def whole_object(answer: str, code: str) -> Mapping[str, Any] | None:
    """The JSON object that is all of a reply and names the code, as a server with structured output sends it.

    >>> whole_object('{"explanation": "Score 0f3a: 5, it says.", "code": "0f3a", "score": 2}', "0f3a")["score"]
    2
    """
    try:
        found = json.loads(answer) if answer.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) and str(found.get("code")).lower() == code else None


def _in_json(answer: str, code: str, rubric: Rubric) -> Iterator[tuple[str, float]]:
    """The scores of JSON objects that name the code; without one, of an object at the reply's end."""
    decoder = json.JSONDecoder()
    starts = [match.start() for match in re.finditer(r"\{", answer)][-_JSON_TRIES:]
    for start in starts:
        try:
            found, end = decoder.raw_decode(answer, start)
        except (ValueError, RecursionError):
            continue
        if (code in {str(text).lower() for text in found.values()}) if code else not answer[end:].strip(" \n\t`"):
            yield from _in_object(found, rubric)


def _in_object(found: Mapping[str, Any], rubric: Rubric) -> Iterator[tuple[str, float]]:
    by_name = {key.lower(): value for key, value in found.items()}
    inner = by_name.get("scores", by_name.get("score"))
    if rubric.names != ("",) and isinstance(inner, Mapping):
        by_name = {key.lower(): value for key, value in inner.items()}
    for name in rubric.names:
        for key in (
            [name] if name else ["score", "rating", "verdict", "overall_score", "final_score", "overall", "grade"]
        ):
            value = by_name.get(key)
            match = _BARE.fullmatch(value.strip()) if isinstance(value, str) else None
            if match:
                value = _number(match, rubric)
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield name, float(value)


def _plain(line: str) -> str:
    """A line without what dresses it: emphasis, quotation marks, bullets, headings, tags and table bars."""
    line = _BOXED.sub(r"\1", line)
    line = _TAG.sub(r" \1 ", line).replace("code=", "").replace("：", ":").replace("＝", "=")
    line = _DRESS.sub("", line).replace("|", " ")
    return " ".join(_DRESS.sub("", line.strip()).split())


def _number(match: re.Match[str], rubric: Rubric) -> float:
    """The number of a match. One on another scale than the rubric's is an error: 4/10 isn't 4."""
    groups = {key.rstrip("0123456789"): value for key, value in match.groupdict().items() if value is not None}
    top = groups.get("top")
    if top is not None and int(top) != rubric.highest:
        raise JudgeError(
            f"the verdict {groups['number']} of {top} is on another scale, expected one up to {rubric.highest}"
        )
    number = groups["number"].lower()
    return float(_WORDS.index(number)) if number in _WORDS else float(number.replace(",", "."))


def _tail(reply: str) -> str:
    return repr(reply if len(reply) <= 80 else "..." + reply[-80:]) if reply.strip() else "the reply is empty"
