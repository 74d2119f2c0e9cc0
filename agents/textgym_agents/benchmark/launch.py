"""Start the runs of a benchmark, a few at a time, and keep their results."""

import json
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError
from textgym_agents.benchmark import processes
from textgym_agents.benchmark.config import Key
from textgym_agents.benchmark.store import LOGS, WORK, ResultStore, failed_line, key_of
from textgym_agents.report.secrets import secrets_of, without_secrets

# Called at each event: "skipped", "started", "finished" or "failed"; the key; the run's line if it has ended.
Listener = Callable[[str, Key, dict[str, Any] | None], None]


def launch(
    store: ResultStore, jobs: int = 1, listener: Listener = lambda event, key, run: None, *, retry: bool = False
) -> list[dict[str, Any]]:
    """Do every run of ``store.config`` that has no line yet. Returns the lines of all runs, failed ones too.

    Args:
        store: the folder. Its lock is held meanwhile.
        jobs: processes at once.
        listener: called at each event.
        retry: also do those again that have failed.

    Raises:
        BenchmarkError: the process that does the runs has ended.
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
        done = {key_of(run) for run in store.runs() if run["error"] is None or not retry}
        waiting = []
        for key in store.config.run_keys():
            if key in done:
                listener("skipped", key, None)
            else:
                waiting.append(key)
        _work_off(store, waiting, jobs, listener)
        shutil.rmtree(work, ignore_errors=True)
        return store.runs()


def _work_off(store: ResultStore, waiting: list[Key], jobs: int, listener: Listener) -> None:
    """Run all of ``waiting``."""
    running: dict[Path, Key] = {}
    hidden = json.dumps(secrets_of(store.config.to_json()))  # files have *** in their place
    runner = processes.start(store.folder / LOGS, store.config.threads, hidden)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                key = waiting.pop(0)
                job = _write_job(store, key)
                running[job] = key
                runner.begin(job, _log_path(store, key))
                listener("started", key, None)
            time.sleep(0.05)
            for job in runner.ended():
                key, run = running.pop(job), _result(job)
                if run is None:
                    run = failed_line(store.config, key, f"Ended: {_last_words(_log_path(store, key))}")
                store.append(run)
                listener("finished" if run["error"] is None else "failed", key, run)
    finally:
        runner.close()


def _write_job(store: ResultStore, key: Key) -> Path:
    # A name of its own for each start: what an orphan of a killed benchmark still writes is never read.
    work = (store.folder / WORK).resolve()
    job = work / f"{key.file_name}.{secrets.token_hex(4)}.job.json"
    content = {
        "config": without_secrets(store.config.to_json()),
        "key": list(key),
        "result": str(_result_path(job)),
        "work": str(work),
        "log": str(_log_path(store, key).resolve()),
    }
    job.write_text(json.dumps(content))
    return job


def _result_path(job: Path) -> Path:
    return job.with_name(job.name.removesuffix(".job.json") + ".result.json")


def _result(job: Path) -> dict[str, Any] | None:
    if not _result_path(job).is_file():  # it appears as a whole or not at all
        return None
    run: dict[str, Any] = json.loads(_result_path(job).read_text())
    return run


def _log_path(store: ResultStore, key: Key) -> Path:
    return store.folder / LOGS / f"{key.file_name}.log"


def _last_words(log: Path) -> str:
    text = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    return text[-1] if text else "without a message"
