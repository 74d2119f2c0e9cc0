"""The rows of the table that are about what is not the model: environment, buffer, memory, scores.

Each function yields the measurements of one row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from textgym_agents.speed import contestants, environments, memory
from textgym_agents.speed.measure import Progress, Result, compare, take_turns
from textgym_agents.speed.models import MADE, subject
from textgym_agents.speed.plan import MIXED, Job, Plan
from textgym_agents.speed.texts import Shape, random_rollout

ENVS = 256
NOTES = {
    "environment": "Random tokens, no reward. Steps: within texts of 32 + 512 tokens, none of which ends. Texts: of 32 "
    "+ at most 128 tokens, which end, are decoded and reset as they come. DataToText makes every prompt anew.",
    "memory": "Each in a process of its own: the most it held, less what it held before the update. By hand the "
    "(tokens, vocabulary) matrix exists once in float32.",
    "scoring": "The built-in model writes its own texts and ends them itself.",
}


def environment(plan: Plan) -> Iterator[Job]:
    """Steps of the vector environment alone."""
    yield Job("environment", f"environment, {ENVS} rows, steps", partial(_environment, plan, "steps"))
    yield Job("environment", f"environment, {ENVS} rows, texts", partial(_environment, plan, "texts"))
    yield Job("environment", f"environment, {ENVS} rows, {environments.TASK}", partial(_built_in, plan))


def _environment(plan: Plan, what: str, progress: Progress) -> list[Result]:
    """Steps alone, for which there is a target in steps a second, or whole texts."""
    alone = what == "steps"
    new_tokens, count, first_token = (512, 500, 2) if alone else (128, 1000, 0)
    copied, sync = environments.prompts_in_memory(ENVS, new_tokens)
    views, _ = environments.prompts_in_memory(ENVS, new_tokens, copy=False)
    turns = [
        environments.steps(copied, "copied observations", count, first_token),
        environments.steps(views, "copy=False", count, first_token),
        environments.steps(sync, "SyncVectorEnv", 20, first_token),
    ]
    *ours, usual = take_turns(turns, plan.repeats, progress)
    lines = []
    for series in ours:
        about = _environment_line(f"{what}, {series.name}")
        lines.append(compare(series, usual, target=10.0, unit="steps/s", **about))
        about["what"] += ", steps/s"
        median = float(np.median(series.speeds))
        target = 3e6 if alone else None
        lines.append(Result(value=median, repeats=series.speeds, shown="number", target=target, **about))
    return lines


def _built_in(plan: Plan, progress: Progress) -> list[Result]:
    vector, sync = environments.built_in(ENVS)
    turns = [environments.steps(vector, "textgym", 200), environments.steps(sync, "SyncVectorEnv", 20)]
    ours, usual = take_turns(turns, plan.repeats, progress)
    return [compare(ours, usual, unit="steps/s", **_environment_line(environments.TASK))]


def _environment_line(what: str) -> dict[str, Any]:
    setting = {"rows": ENVS}
    note = NOTES["environment"]
    return {"row": "environment", "what": f"environment, {ENVS} rows, {what}", "setting": setting, "note": note}


def buffer_bytes(plan: Plan) -> Iterator[Job]:
    """Bytes that the rollout buffer holds for each token."""
    shapes = [Shape(16, length) for length in plan.lengths] + [MIXED]
    for name in ("gpt2", "llama")[: 1 if plan.quick else 2]:
        lengths = ", ".join(str(length) for length in plan.lengths)
        what = f"rollout buffer, bytes a token, vocabulary {MADE[name].vocabulary:,}"
        what += f": most of texts of {lengths} and mixed lengths"
        yield Job("buffer", what, partial(_buffer_bytes, name, shapes, what))


def _buffer_bytes(name: str, shapes: list[Shape], what: str, progress: Progress) -> list[Result]:
    # The buffer sees tokens, not weights: a small model with the vocabulary will do.
    small: Any = MADE[name].make
    one = replace(subject(name), model=small(hidden=8, layers=1))
    held: dict[str, float] = {}
    for i, shape in enumerate(shapes):
        ppo = random_rollout(one, shape).ppo
        for _ in ppo.rollout_buffer.get(ppo.batch_size):
            pass  # what it keeps after it has been read counts as well
        held[str(shape)] = held_bytes(ppo.rollout_buffer) / (ppo.n_steps * ppo.n_envs)
        progress(i + 1, len(shapes))
    most = max(held.values())
    return [Result("buffer", what, most, (most,), target=64.0, better="lower", shown="number", setting={"bytes": held})]


def held_bytes(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes of all arrays and tensors that an object holds, at any depth, each counted once.

    >>> held_bytes({"a": [np.zeros(4)], "b": np.zeros(2, dtype=np.int8)})
    34
    """
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type) or callable(thing):
        return 0
    seen.add(id(thing))
    if hasattr(thing, "nbytes"):
        base = getattr(thing, "base", None)
        return held_bytes(base, seen) if isinstance(base, np.ndarray) else int(thing.nbytes)
    if isinstance(thing, Mapping):
        return sum(held_bytes(value, seen) for value in thing.values())
    if isinstance(thing, list | tuple | set | frozenset):
        return sum(held_bytes(value, seen) for value in thing)
    names = [*getattr(thing, "__dict__", {}), *getattr(type(thing), "__slots__", ())]
    return sum(held_bytes(getattr(thing, name, None), seen) for name in names)


def peak_memory(plan: Plan) -> Iterator[Job]:
    """Peak memory of an update with a large vocabulary."""
    rows, times = (8, 1) if plan.quick else (32, 3)
    tokens = f"{rows * 128:,}"
    what = f"peak memory of an update, vocabulary {memory.Job.vocabulary:,}, minibatch of {tokens} tokens"
    yield Job(
        "memory",
        what,
        partial(_peak_memory, memory.Job(rows=rows, threads=plan.threads, device=plan.device), times, what),
    )


def _peak_memory(job: memory.Job, times: int, what: str, progress: Progress) -> list[Result]:
    names = (contestants.OURS, contestants.HANDWRITTEN)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(times):
        for i, name in enumerate(names):
            found[name].append(memory.measure(replace(job, which=name))["peak"] / 2**20)
            progress(2 * turn + i + 1, 2 * times)
    ours, usual = (float(np.median(found[name])) for name in names)
    return [
        Result(
            "memory",
            what,
            ours / usual,
            tuple(a / b for a, b in zip(*found.values(), strict=True)),
            unit="MiB",
            ours=ours,
            usual=usual,
            usual_name=contestants.HANDWRITTEN,
            target=1.2,
            better="lower",
            note=NOTES["memory"],
            setting={**asdict(job), "peaks": found},
        )
    ]


def scoring(plan: Plan) -> Iterator[Job]:
    """The share of a rollout's time that goes into its scores."""
    for formula in ("bleu", "rougeL", "chrf"):
        what = f"share of {formula} in a rollout, {environments.TASK}, textgym/small, 16 texts"
        yield Job("scoring", what, partial(_scoring, plan, formula, what))


def _scoring(plan: Plan, formula: str, what: str, progress: Progress) -> list[Result]:
    about: dict[str, Any] = {"row": "scoring", "what": what, "target": 0.05, "note": NOTES["scoring"]}
    return [
        environments.scoring(
            formula, plan.repeats, device=plan.device, progress=progress, setting={"rows": 16}, **about
        )
    ]
