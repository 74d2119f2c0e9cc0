"""Runs programs that nobody trusts, each in a child process that the kernel holds to a few system calls.

The child is :mod:`textgym.sandbox.child`. It gets a program and inputs, and never an output that would be right: what
it sends back is compared here. A program can write what it likes, and so can only make its own outputs wrong.
"""

import json
import platform
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgym.errors import SandboxError
from textgym.sandbox.child import ALLOWED, READY

CHILD = Path(__file__).with_name("child.py")
MOST_BYTES = 1 << 16  # that a child may send
WALL = 10.0  # seconds of the clock, for a child that waits for what never comes
MEGABYTES = 256


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program.

    Attributes:
        syntax: whether it compiles, as it says itself.
        outputs: of each input the output in a list of its own, which is empty where the program failed.
    """

    syntax: bool
    outputs: tuple[list[Any], ...]


def check_available() -> None:
    """Raise SandboxError where there is no way to hold a child to its limits."""
    if sys.platform != "linux" or platform.machine() not in ALLOWED:
        raise SandboxError(
            f"Programs are run only where the kernel can forbid system calls: on Linux, {' or '.join(ALLOWED)}. This "
            f"is {sys.platform}, {platform.machine()}. Run it in a Linux container or virtual machine."
        )


def run(program: str, function: str, inputs: Sequence[Sequence[Any]], *, seconds: float = 1.0) -> Outcome:
    """Call a function of a program on each of some inputs, in a child process.

    The child may open no file and start no process, and has 256 MiB, ``seconds`` of its processor and ten of the clock.

    Args:
        program: Python that defines the function.
        function: its name.
        inputs: of each call the arguments, plain values.
        seconds: of processor time, for all calls together.

    Raises:
        SandboxError: the child could not be held to its limits, so nothing was run.

    >>> run("def double(n):\\n    return 2 * n", "double", [[4], ["a"], [None]]).outputs
    ([8], ['aa'], [])
    >>> run("import os\\ndef f():\\n    return os.listdir('/')", "f", [[]]).outputs
    ([],)
    """
    check_available()
    # Inputs go as Python writes them, with tuples and keys that JSON doesn't have.
    request = {
        "program": program,
        "function": function,
        "inputs": [repr(list(one)) for one in inputs],
        "seconds": seconds,
        "wall": WALL,
    }
    sent = json.dumps({**request, "megabytes": MEGABYTES}).encode()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )
    with process:
        try:
            data = _ask(process, sent)
        finally:
            process.kill()
    if not data.startswith(READY):
        raise SandboxError(
            "A child process could not give up its rights (seccomp, resource limits), so no program was run in it. "
            "Some containers forbid seccomp: allow it, or score with another reward."
        )
    return _outcome(data.removeprefix(READY), len(inputs))


def _ask(process: "subprocess.Popen[bytes]", sent: bytes) -> bytes:
    """What a child answers, until it ends, has sent too much, or its time is up."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(sent)
        process.stdin.close()
    data, end = b"", time.monotonic() + WALL + 5  # a little more than the child has, for its start
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(data) <= MOST_BYTES and selector.select(max(0.0, end - time.monotonic())):
            chunk = process.stdout.read1(MOST_BYTES)  # type: ignore[attr-defined]
            if not chunk:
                return data
            data += chunk
    return data[: len(READY)]


def _outcome(data: bytes, count: int) -> Outcome:
    """A child's report, of which nothing is believed but that it is JSON of the right form."""
    failed = Outcome(False, ([],) * count)
    try:
        report = json.loads(data)
        syntax, given = report["syntax"] is True, report["outputs"]
        if not isinstance(given, list) or not all(isinstance(one, str | None) for one in given):
            return failed
        outputs = [[] if one is None else [json.loads(one)] for one in given]
    except (ValueError, TypeError, KeyError, RecursionError):
        return failed
    if len(outputs) != count:
        return Outcome(syntax, ([],) * count)
    return Outcome(syntax, tuple(outputs))


def same(output: Any, right: Any) -> bool:
    """Whether an output is the right one: numbers by their value, True and False by themselves, lists item by item.

    >>> same(3.0, 3), same(True, 1), same([1, [2]], (1, (2,))), same("3", 3), same(float("nan"), float("nan"))
    (True, False, True, False, False)
    """
    if isinstance(right, list | tuple):
        same_length = isinstance(output, list) and len(output) == len(right)
        return same_length and all(same(one, other) for one, other in zip(output, right, strict=True))
    if isinstance(right, dict):
        same_keys = isinstance(output, dict) and output.keys() == {str(key) for key in right}
        return same_keys and all(same(output[str(key)], value) for key, value in right.items())
    if isinstance(right, bool) or isinstance(output, bool) or right is None:
        return output is right
    if isinstance(right, int | float):
        return isinstance(output, int | float) and output == right
    return type(output) is type(right) and bool(output == right)
