"""The script that runs one program that nobody trusts: started by :mod:`textgym.sandbox.runner`, never imported by it.

It reads a request from its standard input, gives up what it may do for good, says ``ready``, and only then compiles the
program and calls its function. What it writes after that is whatever the program makes of it: the parent believes none
of it, and compares outputs with values that this process never had.

What the program can't do: open a file, start a process or a thread, send a signal, use the network, wait, or change any
of these limits: the kernel answers each such call with "not permitted". Of system calls there remain those in
``ALLOWED``: memory, the clock, random numbers, and writing to the pipe that is already open.
"""

import ast
import bisect  # noqa: F401  modules that programs may import: after the limits are set, no file can be read
import collections  # noqa: F401
import copy  # noqa: F401
import ctypes
import functools  # noqa: F401
import heapq  # noqa: F401
import io
import itertools  # noqa: F401
import json
import math  # noqa: F401
import operator  # noqa: F401
import os
import platform
import re  # noqa: F401
import resource
import signal
import string  # noqa: F401
import struct
import sys
import typing

READY = b"ready\n"
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_MODE_FILTER = 2
KILL_PROCESS, NOT_PERMITTED, ALLOW = 0x80000000, 0x00050000 | 1, 0x7FFF0000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # of the kernel's filter language (BPF)

# Machine: the number of its kind in the kernel's audit, then of its system calls.
ALLOWED: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "write": 1, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigreturn": 15, "mremap": 25,
            "madvise": 28, "getpid": 39, "exit": 60, "gettimeofday": 96, "futex": 202, "clock_gettime": 228,
            "exit_group": 231, "getrandom": 318,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "write": 64, "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigreturn": 139, "mremap": 216,
            "madvise": 233, "getpid": 172, "exit": 93, "gettimeofday": 169, "futex": 98, "clock_gettime": 113,
            "exit_group": 94, "getrandom": 278,
        },
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    """``struct sock_fprog``: how the kernel is given a filter."""

    _fields_: typing.ClassVar = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def filter_of(machine: str) -> bytes:
    """The filter of system calls: those of the machine that are allowed pass, all others fail with EPERM.

    >>> len(filter_of("x86_64")) // 8 == 4 + 2 * len(ALLOWED["x86_64"][1]) + 1
    True
    """
    audit, calls = ALLOWED[machine]
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, audit), (RETURN, 0, 0, KILL_PROCESS), (LOAD, 0, 0, 0)]
    for number in calls.values():
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    steps.append((RETURN, 0, 0, NOT_PERMITTED))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def give_up(seconds: float, wall: float, megabytes: int) -> None:
    """Set the limits and the filter, for good. Raises OSError if the kernel refuses one."""
    libc = ctypes.CDLL(None, use_errno=True)

    def control(*arguments: object) -> None:
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")

    control(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    limits = {
        resource.RLIMIT_AS: megabytes * 2**20, resource.RLIMIT_CPU: int(seconds) + 2, resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NPROC: 0, resource.RLIMIT_NOFILE: 0,
    }  # fmt: skip
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))
    for number in (signal.SIGPROF, signal.SIGALRM):  # whose default is the end of the process
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF, signal.SIGALRM])
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, wall)
    code = filter_of(platform.machine())
    control(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
    program = _Program(len(code) // 8, code)
    control(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), 0, 0)


def attempt(program: str, function: str, inputs: typing.Sequence[typing.Sequence[typing.Any]]) -> dict[str, typing.Any]:
    """Whether a program compiles, and its outputs as JSON; None for an input where it fails.

    >>> attempt("def f(n):\\n    return 6 // n", "f", [[2], [0]])
    {'syntax': True, 'outputs': ['3', None]}
    """
    try:
        code = compile(program, "<program>", "exec")
    except BaseException:
        return {"syntax": False, "outputs": []}
    names: dict[str, typing.Any] = {"__name__": "program"}
    outputs: list[str | None] = []
    try:
        exec(code, names)
        called = names[function]
    except BaseException:
        return {"syntax": True, "outputs": []}
    for arguments in inputs:
        try:
            outputs.append(json.dumps(called(*arguments)))
        except BaseException:
            outputs.append(None)
    return {"syntax": True, "outputs": outputs}


def main() -> None:
    """Run what standard input asks for."""
    request = json.loads(sys.stdin.buffer.read())
    inputs = [ast.literal_eval(one) for one in request["inputs"]]
    os.close(0)
    give_up(request["seconds"], request["wall"], request["megabytes"])
    os.write(1, READY)
    sys.stdout = sys.stderr = io.StringIO()  # what a program prints is nobody's business
    report = json.dumps(attempt(request["program"], request["function"], inputs)).encode()
    while report:
        report = report[os.write(1, report) :]
    os._exit(0)


if __name__ == "__main__":
    main()
