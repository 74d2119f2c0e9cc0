"""Start the runs of a benchmark, a few at a time, and keep their results."""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

from textgym.errors import ConfigError
from textgym_agents.benchmark.config import Key
from textgym_agents.benchmark.places import Here, Job, Place, Workers
from textgym_agents.benchmark.store import LOGS, WORK, ResultStore, failed_line, key_of

# Called at each event: "skipped", "started", "finished" or "failed"; the key; the run's line if it has ended.
POLL = 0.02  # seconds between two looks
Listener = Callable[[str, Key, dict[str, Any] | None], None]


def launch(
    store: ResultStore,
    jobs: int | None = 1,
    listener: Listener = lambda event, key, run: None,
    *,
    retry: bool = False,
    ray: str | None = None,
    earlier: Iterable[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Do every run of ``store.config`` that has no line yet. Returns the lines of all runs, failed ones too.

    Args:
        store: the folder. Its lock is held meanwhile.
        jobs: runs at once, each in a process of its own; 0: one after another in this process. None, with ``ray``: as
            many as the cluster has room for.
        listener: called at each event.
        retry: also do those again that have failed.
        earlier: runs of another results file; those of this benchmark aren't done again, see ``ResultStore.take_over``.
        ray: do them on this Ray cluster: "local", or an address, see ``on_ray.OnRay``.

    Raises:
        BenchmarkError: no process for runs can start.
        ConfigError: ``jobs`` makes no sense, another process works in the folder, or there is no such cluster.
        MissingExtraError: Ray isn't installed.
    """
    least = 0 if ray is None else 1
    if (jobs is None and ray is None) or (jobs is not None and jobs < least):
        raise ConfigError(f"jobs is {jobs}, expected a whole number of at least {least}.")
    with store.locked():
        store.repair()
        store.take_over(earlier)
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
        if waiting:
            with closing(_place(store, jobs, ray)) as place:
                _work_off(store, waiting, place, listener)
        shutil.rmtree(work, ignore_errors=True)
        return store.runs()


def _place(store: ResultStore, jobs: int | None, ray: str | None) -> Place:
    threads = store.config.threads
    if ray is not None:
        from textgym_agents.benchmark.on_ray import OnRay

        return OnRay(ray, threads, jobs)
    return Workers(jobs, threads, store.folder / LOGS / "worker.log") if jobs else Here()


def _work_off(store: ResultStore, waiting: list[Key], place: Place, listener: Listener) -> None:
    """Run all of ``waiting``."""
    running = 0
    while waiting or running:
        while waiting and place.has_room:
            key = waiting.pop(0)
            place.begin(_job(store, key))
            running += 1
            listener("started", key, None)
        ended = place.ended()
        for job, run in ended:
            line = failed_line(store.config, job.key, run) if isinstance(run, str) else run
            store.append(line)
            listener("finished" if line["error"] is None else "failed", job.key, line)
        running -= len(ended)
        if not ended:
            time.sleep(POLL)


def _job(store: ResultStore, key: Key) -> Job:
    work, log = (store.folder / WORK).resolve(), (store.folder / LOGS / f"{key.file_name}.log").resolve()
    return Job(store.config, key, work, log)
