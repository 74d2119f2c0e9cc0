"""How fast the library is: each part against the usual way to do the same thing, in one process, taking turns.

``models`` and ``rollouts`` make what is worked on, ``entries``, ``handwritten`` and ``with_trl`` are what takes turns,
``model_rows``, ``environment_rows``, ``judging`` and ``turns`` say what is measured at which sizes, ``report`` and
``chart`` show it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import torch

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.report.timing import Result
from textgym_agents.speed import environment_rows, judging, metric_rows, model_rows, turns
from textgym_agents.speed.plan import Job, Plan

ROWS: dict[str, Callable[[Plan], Iterator[Job]]] = {
    "rollout": model_rows.rollouts,
    "mixed": model_rows.mixed_rollouts,
    "update": model_rows.updates,
    "seq2seq": model_rows.encoder_decoders,
    "trl": model_rows.trl,
    "sb3": model_rows.stock,
    "environment": environment_rows.environment,
    "buffer": model_rows.buffer_bytes,
    "memory": model_rows.peak_memory,
    "scoring": environment_rows.scoring,
    "metrics": metric_rows.metrics,
    "judge": judging.judged,
    "turns": turns.conversations,
}
FAILED = "failed:"
Listener = Callable[[Job, int, int], None]


def jobs(plan: Plan, only: Sequence[str] = ()) -> list[Job]:
    """All measurements; ``only`` names rows of the table, none means all.

    Raises:
        ConfigError: there is no such row.
    """
    for name in only:
        if name not in ROWS:
            raise ConfigError(f"No row is called {name!r}. {did_you_mean(name, ROWS)} All: {', '.join(ROWS)}.")
    return [job for name, make in ROWS.items() if not only or name in only for job in make(plan)]


def run(plan: Plan, only: Sequence[str] = (), listener: Listener | None = None) -> Iterator[list[Result]]:
    """Measure, and yield the lines of the table job by job, so that what was measured survives what comes later.

    A job that fails gives a line without a value, whose note says why. The listener is called with each job when it
    begins, its number (from 0), and the number of all.
    """
    todo = jobs(plan, only)
    before = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        for number, job in enumerate(todo):
            if listener is not None:
                listener(job, number, len(todo))
            try:
                yield job.run()
            except Exception as error:
                logging.getLogger(__name__).debug("%s", job.what, exc_info=True)
                yield [Result(job.row, job.what, None, (), note=f"{FAILED} {type(error).__name__}: {error}")]
    finally:
        torch.set_num_threads(before)
