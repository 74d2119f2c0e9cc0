"""INT, TERM and HUP: one line and the end, or an exception where there is something to save."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no HUP
Handler = Callable[[int, FrameType | None], Any] | int | None
MESSAGE = b"error: interrupted\n"


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that ends the program as Ctrl-C does, so that whoever has something to save can."""
    raise KeyboardInterrupt


def end(number: int, frame: FrameType | None) -> None:
    """A handler that says so in one line and ends the process at once, whatever it is doing."""
    os.write(2, MESSAGE)
    os._exit(1)


def interrupt_or_end(number: int, frame: FrameType | None) -> None:
    """:func:`end` while a module is being imported, since libraries make other errors of what they see there."""
    inner = frame
    while inner is not None:
        if inner.f_code.co_filename.startswith("<frozen importlib"):
            end(number, frame)
        inner = inner.f_back
    interrupt(number, frame)


def handle(handler: Handler) -> dict[int, Handler]:
    """Give the signals that end a program a handler, those apart that are ignored (nohup). Returns what was there."""
    before: dict[int, Handler] = {}
    if threading.current_thread() is not threading.main_thread():  # others can't set handlers
        return before
    for name in _NAMES:
        number = getattr(signal, name, None)
        there = None if number is None else signal.getsignal(number)
        if number is not None and there not in (None, signal.SIG_IGN):
            before[number] = there
            signal.signal(number, handler)
    return before


@contextmanager
def interrupts() -> Iterator[None]:
    """Within the block, ``kill`` (a job scheduler's time limit) and a lost terminal are what Ctrl-C is."""
    before = handle(interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
