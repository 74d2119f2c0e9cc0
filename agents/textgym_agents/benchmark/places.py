"""Where the runs of a benchmark are done: in this process, in local processes, or by Ray (``benchmark.on_ray``).

All three have one interface. A job goes in as an object of JSON with the configuration and the key of a run, and its
line of results comes out. The numbers are the same everywhere: a run depends on neither the place nor on other runs.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from textgym.errors import TextGymError
from textgym_agents.benchmark.config import BenchmarkConfig, Key

WORKER = (sys.executable, "-m", "textgym_agents.benchmark.worker")
RUNS = 100  # of one worker, after which a new one takes its place: what libraries keep can't grow without bound


class BenchmarkError(TextGymError, RuntimeError):
    """Runs of a benchmark failed, or what does them; those that have finished are kept."""


class Job(NamedTuple):
    """What a run needs.

    Attributes:
        config: of the benchmark, secrets included: it is never written to a file.
        key: which run.
        work: a folder that the runs of this machine share.
        log: a file for what the run prints.
    """

    config: BenchmarkConfig
    key: Key
    work: Path
    log: Path

    def to_json(self) -> str:
        """One line."""
        content = {"config": self.config.to_json(), "key": self.key, "work": str(self.work), "log": str(self.log)}
        return json.dumps(content)


# A run that has ended: its job and its line; a text in place of the line says why there is none.
Ended = tuple[Job, dict[str, Any] | str]


class Place(Protocol):
    """What does runs, so many at once as it has room for."""

    @property
    def has_room(self) -> bool:
        """Whether another run can begin."""

    def begin(self, job: Job) -> None: ...

    def ended(self) -> list[Ended]:
        """The runs that have ended since the last call."""

    def close(self) -> None:
        """End those that still run."""


class Here:
    """This process, for debuggers and profilers. A crash of a run ends the benchmark, which a restart continues."""

    def __init__(self) -> None:
        self._ended: list[Ended] = []

    @property
    def has_room(self) -> bool:
        return not self._ended

    def begin(self, job: Job) -> None:
        from textgym_agents.benchmark.run import do  # it imports torch

        self._ended.append((job, json.loads(do(job.to_json()))))

    def ended(self) -> list[Ended]:
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Nothing runs between two calls."""


class Workers:
    """Local processes, each of which does one run after another and imports the libraries once.

    One that dies takes its own run with it alone; a new one takes its place.

    Args:
        count: of processes.
        threads: of torch in each.
        log: a file for what a process says before its first run.
    """

    def __init__(self, count: int, threads: int, log: Path) -> None:
        self.count, self.threads, self.log = count, threads, log
        self.idle: list[_Worker] = []
        self.busy: list[_Worker] = []

    @property
    def has_room(self) -> bool:
        return len(self.busy) < self.count

    def begin(self, job: Job) -> None:
        worker = None
        while self.idle and worker is None:
            worker = self.idle.pop()
            if worker.process.poll() is not None:  # it was killed meanwhile
                worker.end()
                worker = None
        worker = worker or _Worker(self.threads, self.log)
        worker.begin(job)
        self.busy.append(worker)

    def ended(self) -> list[Ended]:
        ended: list[Ended] = []
        for worker in [*self.busy]:
            result = worker.result()
            if result is None:
                continue
            self.busy.remove(worker)
            assert worker.job is not None
            ended.append((worker.job, result))
            if isinstance(result, str) and not worker.ready:
                self.close()
                raise BenchmarkError(
                    f"A process for runs can't start ({last_words(self.log)}; all of it: {self.log}). Runs that have "
                    "finished are kept; run the same command again to continue."
                )
            if isinstance(result, str) or worker.runs >= RUNS:
                worker.end()
            else:
                self.idle.append(worker)
        return ended

    def close(self) -> None:
        for worker in [*self.idle, *self.busy]:
            worker.end()
        self.idle, self.busy = [], []


class _Worker:
    """One process, see ``benchmark.worker``. It ends when this one does."""

    def __init__(self, threads: int, log: Path) -> None:
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment(threads),
                start_new_session=True,  # Ctrl-C reaches the benchmark alone, which then ends this one
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.jobs, self.answers = self.process.stdin, self.process.stdout
        os.set_blocking(self.answers.fileno(), False)
        self.job: Job | None = None
        self.ready = False  # whether it has said that it has imported everything
        self.runs = 0
        self.begun = b""

    def begin(self, job: Job) -> None:
        self.job = job
        job.log.unlink(missing_ok=True)
        with suppress(OSError):  # it has died, which result() notices
            self.jobs.write(job.to_json().encode() + b"\n")
            self.jobs.flush()

    def result(self) -> dict[str, Any] | str | None:
        """The line of the run that has ended, or why there is none; None: it goes on."""
        assert self.job is not None
        read = self.answers.read()
        *lines, self.begun = (self.begun + (read or b"")).split(b"\n")
        for line in lines:
            if self.ready:
                self.runs += 1
                found: dict[str, Any] = json.loads(line)
                return found
            self.ready = True  # its first line is empty
        if read != b"":  # not the end of the stream
            return None
        self.process.wait()
        return f"Ended: {last_words(self.job.log) or f'exit code {self.process.returncode}'}"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.answers, self.jobs):
            with suppress(OSError):  # what was not read yet can't be written any more
                stream.close()


def last_words(log: Path) -> str:
    """The last line of a file, if it has one."""
    text: Sequence[str] = log.read_text(errors="replace").strip().splitlines() if log.is_file() else ()
    return text[-1] if text else ""


def environment(threads: int) -> dict[str, str]:
    """Variables of a process that does runs."""
    return {**os.environ, **settings(threads)}


def settings(threads: int) -> dict[str, str]:
    """Those that a run needs, whose process may be on another machine."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",  # results must not depend on the order of a set
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),  # a checkout that isn't installed works too
    }
