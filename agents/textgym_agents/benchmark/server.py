"""A process that does runs: it imports the libraries once and forks a copy of itself for each run.

``python -m textgym_agents.benchmark.server`` reads paths of job files from standard input, one a line, and answers each
with its path on standard output when it is over. Every run begins in a fresh copy of a process that has only imported,
so it can't depend on the runs before it, and one that crashes takes no other with it. The server ends when its input
does, and its copies end when it does: nobody would read their results, and another process may be computing them.
"""

import gc
import json
import os
import select
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from textgym_agents.benchmark.run import do, end_with

POLL = 0.02  # seconds between two looks at the copies


def serve() -> None:
    """Do the jobs whose paths come in, as many at once as come in, until the input ends."""
    gc.collect()
    gc.freeze()  # what was imported stays shared with the copies: collecting would write to it
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints here is no answer
    alive, held = os.pipe()  # `held` is open as long as this process lives
    copies: dict[int, bytes] = {}
    begun = b""
    while True:
        if select.select([0], [], [], POLL if copies else None)[0]:
            read = os.read(0, 65536)
            if not read:
                os._exit(0)  # the copies notice
            *paths, begun = (begun + read).split(b"\n")
            for path in paths:
                pid = os.fork()
                if pid == 0:
                    os.close(held)
                    os.close(answers)
                    _do(Path(os.fsdecode(path)), alive)
                copies[pid] = path
        for pid in list(copies):
            if os.waitpid(pid, os.WNOHANG)[0]:
                os.write(answers, copies.pop(pid) + b"\n")


def _do(path: Path, alive: int) -> NoReturn:
    """The life of a copy. It ends without cleaning up what belongs to the server."""
    code = 1
    try:
        log = os.open(json.loads(path.read_text())["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        end_with(alive)
        do(path)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
