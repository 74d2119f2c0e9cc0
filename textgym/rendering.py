"""How an episode looks in a terminal."""

import os
import sys
from collections.abc import Mapping
from typing import Any


def frame(prompt: str, text: str, score: float | None) -> str:
    """Prompt, text so far and, once there is one, the score.

    >>> print(frame("Say hi:", "hi", 1.0))
    Prompt: Say hi:
    Text:   hi
    Score:  1.000
    """
    lines = [f"Prompt: {prompt}", f"Text:   {text}"]
    return "\n".join(lines if score is None else [*lines, f"Score:  {score:.3f}"])


class Printer:
    """Prints an episode as it grows: the prompt, each new piece of text, the score."""

    def __init__(self) -> None:
        self._shown = ""

    def begin(self, prompt: str) -> None:
        """Print the prompt."""
        self._shown = ""
        print(f"{_styled('Prompt:', '2')} {prompt}\n{_styled('Text:', '2')}   ", end="", flush=True)

    def show(self, text: str, score: float | None, info: Mapping[str, Any]) -> None:
        """Print what is new in the completion and, at the end, the reward and the finish reason."""
        if text.endswith("\ufffd") and score is None:
            return  # half a character: the next token completes it
        if text.startswith(self._shown):
            print(_styled(text[len(self._shown) :], "36"), end="", flush=True)
        self._shown = text
        if score is not None:
            print(f"\n{_styled('Score:', '2')}  {_styled(f'{score:.3f}', '1')} ({info['finish_reason']})")


def _styled(text: str, code: str) -> str:
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{code}m{text}\x1b[0m" if colour and text else text
