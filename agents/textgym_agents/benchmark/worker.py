"""A process that does runs, one after another: ``python -m textgym_agents.benchmark.worker``.

It reads jobs from standard input, one line of JSON each, and answers each with its line of results on standard output;
its first line, when it has imported everything, is empty. It ends when its input does, even in the middle of a run:
nobody would read the result, and another process may be computing it.
"""

import json
import os
import queue
import sys
import threading

from textgym_agents.benchmark.run import do


def serve() -> None:
    """Do the jobs that come in until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    _answer(answers, b"")
    while True:
        job = jobs.get()
        log = os.open(json.loads(job)["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):  # what a library prints is no answer
            os.dup2(log, descriptor)
        os.close(log)
        line = do(job)
        sys.stdout.flush()
        sys.stderr.flush()
        _answer(answers, line.encode())


def _answer(answers, line: bytes) -> None:  # type: ignore[no-untyped-def]
    answers.write(line + b"\n")
    answers.flush()


def _read(jobs: "queue.SimpleQueue[bytes]") -> None:
    # Not a file object's read, whose lock Python wants when this process ends in the ordinary way.
    begun = b""
    while read := os.read(0, 65536):
        *lines, begun = (begun + read).split(b"\n")
        for line in lines:
            jobs.put(line)
    os._exit(1)


if __name__ == "__main__":
    serve()
