"""How fast the library is: each part against the usual way to do the same thing, in one process, taking turns.

``models`` and ``texts`` make what is worked on, ``contestants`` and ``handwritten`` are who takes turns, ``measure``
times them, ``model_rows`` and ``other_rows`` say what is measured at which sizes, ``report`` and ``picture`` show it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import torch

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.speed import model_rows, other_rows
from textgym_agents.speed.measure import Progress, Result
from textgym_agents.speed.plan import Job, Plan

ROWS: dict[str, Callable[[Plan], Iterator[Job]]] = {
    "rollout": model_rows.rollouts,
    "mixed": model_rows.mixed_rollouts,
    "update": model_rows.updates,
    "seq2seq": model_rows.encoder_decoders,
    "trl": model_rows.trl,
    "sb3": model_rows.stock,
    "environment": other_rows.environment,
    "buffer": other_rows.buffer_bytes,
    "memory": other_rows.peak_memory,
    "scoring": other_rows.scoring,
}

# Told which job runs, which of how many it is, and how many of its turns are done.
Listener = Callable[[Job, int, int, float], None]
FAILED = "failed:"


def nobody(job: Job, number: int, of: int, done: float) -> None:
    """A listener to whom progress means nothing."""


def jobs(plan: Plan, only: Sequence[str] = ()) -> list[Job]:
    """All that shall be measured; ``only`` names rows of the table, none means all.

    Raises:
        ConfigError: there is no such row.
    """
    for name in only:
        if name not in ROWS:
            raise ConfigError(f"No row is called {name!r}. {did_you_mean(name, ROWS)} All: {', '.join(ROWS)}.")
    return [job for name, make in ROWS.items() if not only or name in only for job in make(plan)]


def run(plan: Plan, only: Sequence[str] = (), listener: Listener = nobody) -> Iterator[list[Result]]:
    """Measure, and yield the lines of the table job by job, so that what was measured survives what comes later.

    A job that fails gives a line without a value, whose note says why.

    Args:
        plan: how much.
        only: names of rows; none means all.
        listener: is told of the progress.
    """
    todo = jobs(plan, only)
    before = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        for number, job in enumerate(todo):
            listener(job, number, len(todo), 0.0)
            try:
                yield job.run(_progress(listener, job, number, len(todo)))
            except Exception as error:
                logging.getLogger(__name__).debug("%s", job.what, exc_info=True)
                yield [Result(job.row, job.what, None, (), note=f"{FAILED} {type(error).__name__}: {error}")]
    finally:
        torch.set_num_threads(before)


def complete(results: Sequence[Result]) -> list[Result]:
    """The table of these lines: with those that follow from several others, row by row."""
    return sorted([*results, *model_rows.growth(results)], key=lambda one: list(ROWS).index(one.row))


def _progress(listener: Listener, job: Job, number: int, of: int) -> Progress:
    return lambda done, turns: listener(job, number, of, done / turns)
