"""Dialogues of datasets as turns: lists of turns, texts with a line for each, and HH-RLHF's transcripts."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from textgym.errors import DatasetError

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"  # before the turns of HH-RLHF

_LINE = re.compile(r"\s*([A-Z]\w*(?: \w+){0,2}):(?:\s+|$)(.*)", re.DOTALL)  # "Doctor: How are you?"
_SPEAKER = ("speaker", "role", "from")
_TEXT = ("utterance", "text", "content", "value")


class Said(NamedTuple):
    """A turn of a dialogue: who says what, and its dialogue acts, if the dataset has any."""

    speaker: str
    text: str
    acts: tuple[str, ...] = ()


def as_json(turns: Any) -> str:
    """A list of turns as one text, which :func:`turns_of` reads."""
    return json.dumps(turns, ensure_ascii=False, default=str)


def turns_of(dialogue: str) -> list[Said]:
    """The turns of a dialogue that have a text: of JSON's list of turns, or of a text with a line for each.

    A turn of a list has its speaker as "speaker", "role" or "from", and its text as "utterance", "text", "content" or
    "value". A line begins with the speaker and a colon; one that does not goes on with what was said.

    Raises:
        DatasetError: a turn has no speaker or no text, or a text has no line with a speaker.

    >>> turns_of('[{"speaker": "USER", "utterance": "Hi", "acts": ["GREET"]}]')
    [Said(speaker='USER', text='Hi', acts=('GREET',))]
    >>> turns_of("Doctor: How are you?\\nPatient: Well.\\nAnd you?")
    [Said(speaker='Doctor', text='How are you?', acts=()), Said(speaker='Patient', text='Well. And you?', acts=())]
    """
    turns = _listed(dialogue) if dialogue.startswith("[") else _lines(dialogue)
    if not turns:
        raise DatasetError(
            f"The dialogue {dialogue[:80]!r} has no turns, expected lines such as 'Doctor: How are you?', or a list of "
            "turns with 'speaker' and 'utterance'. Map another column with columns={'prompt': ...}."
        )
    return [turn for turn in turns if turn.text]


def _listed(dialogue: str) -> list[Said]:
    try:
        turns = json.loads(dialogue)
    except (ValueError, RecursionError):
        return _lines(dialogue)
    return [_said(turn) for turn in turns]


def _said(turn: Any) -> Said:
    found = [
        next((turn[key] for key in keys if isinstance(turn.get(key), str)), None) if isinstance(turn, Mapping) else None
        for keys in (_SPEAKER, _TEXT)
    ]
    speaker, text = found
    if speaker is None or text is None:
        raise DatasetError(
            f"A turn of a dialogue is {str(turn)[:80]}, expected one with 'speaker' and 'utterance' (or 'role' and "
            "'content'). Map another column with columns={'prompt': ...}."
        )
    acts = turn.get("acts")
    named = isinstance(acts, Iterable) and not isinstance(acts, str | Mapping)
    return Said(speaker.strip(), " ".join(text.split()), tuple(map(str, acts)) if named else ())


def _lines(dialogue: str) -> list[Said]:
    turns: list[Said] = []
    for line in dialogue.splitlines():
        found = _LINE.fullmatch(line)
        text = " ".join((found[2] if found else line).split())
        if found:
            turns.append(Said(found[1], text))
        elif turns and text:
            turns[-1] = turns[-1]._replace(text=f"{turns[-1].text} {text}".strip())
    return turns


def split_transcript(transcript: str) -> tuple[str, str]:
    """The prompt of HH-RLHF's transcript, without what opens and ends it, and the last reply.

    Raises:
        DatasetError: it has no reply.

    >>> split_transcript("\\n\\nHuman: Hi\\n\\nAssistant: Hello.\\n\\nHuman: Where am I?\\n\\nAssistant: Here.")
    ('Hi\\n\\nAssistant: Hello.\\n\\nHuman: Where am I?', 'Here.')
    """
    before, found, reply = transcript.rpartition(ASSISTANT)
    if not found:
        raise DatasetError(
            f"The transcript {transcript[:60]!r} has no {ASSISTANT!r}, as HH-RLHF's have. Where prompts and replies "
            "are in columns of their own: columns={'prompt': ..., 'references': ..., 'rejected': ...}."
        )
    return before.removeprefix(HUMAN).strip(), reply.strip()
