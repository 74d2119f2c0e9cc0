"""The processes that do runs, in one of two ways with one interface.

On Linux a server imports the libraries once and forks for each run. They take some six seconds of a core, and the suite
"small" with all algorithms has over two hundred runs. Forking after these imports is safe on Linux alone; elsewhere
each run is a process of its own. The results are the same.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from textgym.errors import TextGymError
from textgym_agents.benchmark.config import SECRETS

RUN = (sys.executable, "-m", "textgym_agents.benchmark.run")
SERVER = (sys.executable, "-m", "textgym_agents.benchmark.server")
FORKS = sys.platform == "linux"


class BenchmarkError(TextGymError, RuntimeError):
    """Some runs of a benchmark failed; the others are kept."""


class Processes(Protocol):
    """What does runs. A run is named by the path of its job file."""

    def begin(self, job: Path, log: Path) -> None: ...

    def ended(self) -> list[Path]:
        """The runs that have ended since the last call, with or without a result."""

    def close(self) -> None:
        """End those that still run."""


def start(logs: Path, threads: int, secrets: str = "[]") -> Processes:
    """What this system can use. ``threads``: of torch in each process. ``secrets``: for the variable ``SECRETS``."""
    return (Forks if FORKS else Separate)(logs, threads, secrets)


class Separate:
    """A process for each run, which imports everything again."""

    def __init__(self, logs: Path, threads: int, secrets: str) -> None:
        self.threads, self.secrets = threads, secrets
        self.running: dict[Path, subprocess.Popen[bytes]] = {}

    def begin(self, job: Path, log: Path) -> None:
        with open(log, "wb") as file:
            command = [*RUN, str(job), "--with-parent"]
            self.running[job] = _popen(command, self.threads, self.secrets, stdout=file, stderr=file)

    def ended(self) -> list[Path]:
        ended = [job for job, process in self.running.items() if process.poll() is not None]
        for job in ended:
            _end(self.running.pop(job))
        return ended

    def close(self) -> None:
        for process in self.running.values():  # only when interrupted
            _end(process)


class Forks:
    """One process that forks a copy of itself for each run, see ``benchmark.server``."""

    def __init__(self, logs: Path, threads: int, secrets: str) -> None:
        self.log = logs / "server.log"
        self.running: set[Path] = set()
        self.begun = b""
        with open(self.log, "wb") as file:
            self.process = _popen(SERVER, threads, secrets, stdout=subprocess.PIPE, stderr=file)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.jobs, self.answers = self.process.stdin, self.process.stdout
        os.set_blocking(self.answers.fileno(), False)

    def begin(self, job: Path, log: Path) -> None:
        log.unlink(missing_ok=True)
        self.running.add(job)
        try:
            self.jobs.write(os.fsencode(job) + b"\n")
            self.jobs.flush()
        except OSError as error:
            raise self._gone() from error

    def ended(self) -> list[Path]:
        read = self.answers.read()
        if read == b"" and self.running:
            raise self._gone()
        *lines, self.begun = (self.begun + (read or b"")).split(b"\n")
        ended = [Path(os.fsdecode(line)) for line in lines]
        self.running -= set(ended)
        return ended

    def close(self) -> None:
        self.answers.close()
        _end(self.process)

    def _gone(self) -> BenchmarkError:
        self.process.wait()
        text = self.log.read_text(errors="replace").strip().splitlines()
        said = text[-1] if text else f"it said nothing, exit code {self.process.returncode}"
        return BenchmarkError(
            f"The process that does the runs has ended ({said}; all of it: {self.log}). Finished runs are kept; run "
            "the same command again to continue."
        )


def _popen(command: Sequence[str], threads: int, secrets: str, **streams: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # it closes when this process dies, and the other ends too
        env={**_environment(threads), SECRETS: secrets},
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others
        **streams,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):  # what was not read yet can't be written any more
            process.stdin.close()


def _environment(threads: int) -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",  # results must not depend on the order of a set
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),  # a checkout that isn't installed works too
    }
