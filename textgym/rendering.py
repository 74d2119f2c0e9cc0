"""How an episode looks in a terminal."""

import math
import os
import sys
from collections.abc import Mapping
from typing import Any

# What a terminal obeys instead of showing: C0 and C1 controls, DEL, and what turns the direction of writing.
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"}
_CONTROLS |= {0x7F: "\u2421"} | dict.fromkeys(range(128, 160), "�")
_CONTROLS |= dict.fromkeys((*range(8234, 8239), *range(8294, 8298)), "�")


def visible(text: str) -> str:
    """Text of others for the terminal: no control character, C1, DEL or change of direction reaches it.

    Controls become their pictures, the others U+FFFD. Line breaks and tabs stay.

    >>> visible("a\\x1b[2Jb\\x7f\\n"), visible("\\x9b2J") == visible("\\u202e2J") == "\\ufffd2J"
    ('a␛[2Jb␡\\n', True)
    """
    # A lone surrogate can't be written to any terminal.
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode("utf-8")


def frame(prompt: str, text: str, score: float | None) -> str:
    """Prompt, text so far and, once it has ended, the score: NaN where the reward abstained.

    >>> print(frame("Say hi:", "hi", 1.0))
    Prompt: Say hi:
    Text:   hi
    Score:  1.000
    """
    lines = [f"Prompt: {prompt}", f"Text:   {text}"]
    return "\n".join(lines if score is None else [*lines, f"Score:  {_worth(score)}"])


class Printer:
    """Prints an episode as it grows: the prompt, each new piece of text, the score."""

    def __init__(self) -> None:
        self._shown = ""

    def begin(self, prompt: str) -> None:
        """Print the prompt."""
        self._shown = ""
        print(f"{_styled('Prompt:', '2')} {visible(prompt)}\n{_styled('Text:', '2')}   ", end="", flush=True)

    def show(self, text: str, score: float | None, info: Mapping[str, Any]) -> None:
        """Print what is new in the completion and, at the end, the reward and the finish reason."""
        if text.endswith("\ufffd") and score is None:
            return  # half a character: the next token completes it
        if text.startswith(self._shown):
            print(_styled(visible(text[len(self._shown) :]), "36"), end="", flush=True)
        self._shown = text
        if score is not None:
            print(f"\n{_styled('Score:', '2')}  {_styled(_worth(score), '1')} ({info['finish_reason']})")


def _worth(score: float) -> str:
    return "none, the reward abstained" if math.isnan(score) else f"{score:.3f}"


def _styled(text: str, code: str) -> str:
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{code}m{text}\x1b[0m" if color and text else text
