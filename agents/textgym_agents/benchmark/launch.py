"""Start the runs of a benchmark, a few at a time, and keep what they find."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError, TextGymError
from textgym_agents.benchmark.config import Key
from textgym_agents.benchmark.store import LOGS, WORK, ResultStore, key_of

# Told about each event: "skipped", "started", "finished" or "failed", the key, and the run's line if it has finished.
Listener = Callable[[str, Key, dict[str, Any] | None], None]

RUN = (sys.executable, "-m", "textgym_agents.benchmark.run")
SERVER = (sys.executable, "-m", "textgym_agents.benchmark.server")
FORKS = sys.platform == "linux"  # elsewhere each run is a process that imports everything again


class BenchmarkError(TextGymError, RuntimeError):
    """Some runs of a benchmark failed; the others are kept."""


def launch(
    store: ResultStore, jobs: int = 1, listener: Listener = lambda event, key, run: None
) -> list[dict[str, Any]]:
    """Do every run of ``store.config`` that has no result yet. Returns the lines of all runs.

    Args:
        store: the folder. Its lock is held meanwhile.
        jobs: processes at once.
        listener: is told what happens.

    Raises:
        BenchmarkError: some runs failed. The others are finished first; a restart tries only the failed ones.
        ConfigError: ``jobs`` is below 1, or another process works in the folder.
    """
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}, expected at least 1.")
    with store.locked():
        store.repair()
        work = store.folder / WORK
        shutil.rmtree(work, ignore_errors=True)  # left by a process that was killed
        work.mkdir(exist_ok=True)
        (store.folder / LOGS).mkdir(exist_ok=True)
        done = {key_of(run) for run in store.runs()}
        waiting = []
        for key in store.config.run_keys():
            if key in done:
                listener("skipped", key, None)
            else:
                waiting.append(key)
        failed = _work_off(store, waiting, jobs, listener)
        shutil.rmtree(work, ignore_errors=True)
        if failed:
            raise BenchmarkError(_describe(store, failed))
        return store.runs()


def _work_off(store: ResultStore, waiting: list[Key], jobs: int, listener: Listener) -> list[Key]:
    """Run all of ``waiting``; returns those that failed."""
    running: dict[Path, Key] = {}
    failed: list[Key] = []
    processes: _Server | _Processes = (_Server if FORKS else _Processes)(store)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                key = waiting.pop(0)
                job = _write_job(store, key)
                running[job] = key
                processes.start(job, _log_path(store, key))
                listener("started", key, None)
            time.sleep(0.05)
            for job in processes.ended():
                key, run = running.pop(job), _result(job)
                if run is None:
                    failed.append(key)
                else:
                    store.append(run)
                listener("failed" if run is None else "finished", key, run)
    finally:
        processes.close()
    return failed


def _write_job(store: ResultStore, key: Key) -> Path:
    # A name of its own for each start: what an orphan of a killed benchmark still writes is never read.
    work = (store.folder / WORK).resolve()
    job = work / f"{key.file_name}.{secrets.token_hex(4)}.job.json"
    content = {
        "config": store.config.to_json(),
        "key": list(key),
        "result": str(_result_path(job)),
        "work": str(work),
        "log": str(_log_path(store, key).resolve()),
    }
    job.write_text(json.dumps(content))
    return job


class _Processes:
    """A process for each run."""

    def __init__(self, store: ResultStore) -> None:
        self.threads = store.config.threads
        self.running: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, job: Path, log: Path) -> None:
        with open(log, "wb") as file:
            self.running[job] = _popen([*RUN, str(job), "--with-parent"], self.threads, stdout=file, stderr=file)

    def ended(self) -> list[Path]:
        found = [job for job, process in self.running.items() if process.poll() is not None]
        for job in found:
            _end(self.running.pop(job))
        return found

    def close(self) -> None:
        for process in self.running.values():  # only when interrupted
            _end(process)


class _Server:
    """One process that forks a copy of itself for each run, see ``benchmark.server``."""

    def __init__(self, store: ResultStore) -> None:
        self.log = store.folder / LOGS / "server.log"
        self.running: set[Path] = set()
        self.begun = b""
        with open(self.log, "wb") as file:
            self.process = _popen(SERVER, store.config.threads, stdout=subprocess.PIPE, stderr=file)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.jobs, self.answers = self.process.stdin, self.process.stdout
        os.set_blocking(self.answers.fileno(), False)

    def start(self, job: Path, log: Path) -> None:
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
        found = [Path(os.fsdecode(line)) for line in lines]
        self.running -= set(found)
        return found

    def close(self) -> None:
        self.answers.close()
        _end(self.process)

    def _gone(self) -> BenchmarkError:
        self.process.wait()
        text = self.log.read_text(errors="replace").strip().splitlines()
        said = text[-1] if text else f"it said nothing, exit code {self.process.returncode}"
        return BenchmarkError(
            f"The process that does the runs has ended ({said}; all of it: {self.log}). Finished runs are kept; run "
            "the same command again to go on."
        )


def _popen(command: Sequence[str], threads: int, **streams: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # it closes when this process dies, and the other ends too
        env=_environment(threads),
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


def _result_path(job: Path) -> Path:
    return job.with_name(job.name.removesuffix(".job.json") + ".result.json")


def _result(job: Path) -> dict[str, Any] | None:
    if not _result_path(job).is_file():  # it appears as a whole or not at all
        return None
    run: dict[str, Any] = json.loads(_result_path(job).read_text())
    return run


def _log_path(store: ResultStore, key: Key) -> Path:
    return store.folder / LOGS / f"{key.file_name}.log"


def _describe(store: ResultStore, failed: list[Key]) -> str:
    lines = [f"{len(failed)} of {len(store.config.run_keys())} runs failed; the others are kept."]
    for key in failed[:3]:
        log = _log_path(store, key)
        text = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
        lines.append(f"  {key}: {text[-1] if text else 'ended without a message'} (all of it: {log})")
    lines.append("Run the same command again to retry only what failed.")
    return "\n".join(lines)
