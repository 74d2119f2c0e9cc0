"""Start the processes of a benchmark, a few at a time, and keep what they find."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from textgym.errors import ConfigError, TextGymError
from textgym_agents.benchmark.config import Key
from textgym_agents.benchmark.store import LOGS, WORK, ResultStore, key_of

# Told about each event: "skipped", "started", "finished" or "failed", the key, and the run's line if it has finished.
Listener = Callable[[str, Key, dict[str, Any] | None], None]

COMMAND = (sys.executable, "-m", "textgym_agents.benchmark.run")


class BenchmarkError(TextGymError, RuntimeError):
    """Some runs of a benchmark failed; the others are kept."""


@dataclass
class _Running:
    key: Key
    process: subprocess.Popen[bytes]
    result: Path
    log: IO[bytes]

    def close(self) -> None:
        self.log.close()
        if self.process.stdin is not None:
            self.process.stdin.close()


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
    running: list[_Running] = []
    failed: list[Key] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                key = waiting.pop(0)
                running.append(_start(store, key))
                listener("started", key, None)
            time.sleep(0.05)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                one.close()
                run = _result(one)
                if run is None:
                    failed.append(one.key)
                else:
                    store.append(run)
                listener("failed" if run is None else "finished", one.key, run)
    finally:
        for one in running:  # only when interrupted
            one.process.kill()
            one.process.wait()
            one.close()
    return failed


def _start(store: ResultStore, key: Key) -> _Running:
    # A name of its own for each start: what an orphan of a killed benchmark still writes is never read.
    stem = f"{key.file_name}.{secrets.token_hex(4)}"
    job, result = store.folder / WORK / f"{stem}.job.json", store.folder / WORK / f"{stem}.result.json"
    content = {"config": store.config.to_json(), "key": list(key), "result": str(result.resolve()), "with_parent": True}
    job.write_text(json.dumps(content))
    log = open(_log_path(store, key), "wb")  # noqa: SIM115  (closed when the process has ended)
    process = subprocess.Popen(
        [*COMMAND, str(job)],
        stdin=subprocess.PIPE,  # never written to: it closes when this process dies, and the child ends too
        stdout=log,
        stderr=subprocess.STDOUT,
        env=_environment(store.config.threads),
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends its children
    )
    return _Running(key, process, result, log)


def _environment(threads: int) -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",  # results must not depend on the order of a set
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),  # a checkout that isn't installed works too
    }


def _result(one: _Running) -> dict[str, Any] | None:
    if not one.result.is_file():  # it appears as a whole or not at all
        return None
    run: dict[str, Any] = json.loads(one.result.read_text())
    return run


def _log_path(store: ResultStore, key: Key) -> Path:
    return store.folder / LOGS / f"{key.file_name}.log"


def _describe(store: ResultStore, failed: list[Key]) -> str:
    lines = [f"{len(failed)} of {len(store.config.run_keys())} runs failed; the others are kept."]
    for key in failed[:3]:
        log = _log_path(store, key)
        text = log.read_text(errors="replace").strip().splitlines()
        lines.append(f"  {key}: {text[-1] if text else 'ended without a message'} (all of it: {log})")
    lines.append("Run the same command again to retry only what failed.")
    return "\n".join(lines)
