"""The rows of the table that are about models: rollouts, updates, buffer and memory, each against its rivals.

Each function yields the measurements of one row, at all sizes that the plan asks for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from textgym_agents.report.timing import Entry, Result, compare, take_turns
from textgym_agents.speed import entries, memory, with_trl
from textgym_agents.speed.models import MADE, Subject, new_model, subject
from textgym_agents.speed.plan import Job, Plan
from textgym_agents.speed.rollouts import MIXED, Shape, random_rollout

STEPS = 128  # of a rollout of short episodes

NOTES = {
    "rollout": "SB3's unmodified collect_rollouts steps the environment, computes values and fills the buffer as well; "
    "equal lengths are the best case for generate, which looks for no end here.",
    "mixed": "generate waits for the longest completion of each batch; only tokens of completions count, for both.",
    "update": "One epoch of SB3's unmodified train in two minibatches, against the same written by hand in plain "
    "PyTorch: whole padded episodes, the head at completion positions only, the same optimizer.",
    "trl": "Both write 8 completions of each prompt and take one gradient step over all their tokens. TRL has no "
    "reference model, dropout or gradient checkpointing here; textgym learns values besides.",
    "sb3": "No cache: every token's whole prefix is read again. Stock buffer: one minibatch of 64 tokens is timed.",
    "memory": "Each in a process of its own: the most it held, less what it held before the update. By hand the "
    "(tokens, vocabulary) matrix exists once in float32.",
}


def describe(row: str, what: str, one: Subject, shape: Shape, target: float | None, note: str) -> dict[str, Any]:
    """What a line of the table says of a model and its episodes, as arguments of ``Result``."""
    sizes = {name: getattr(shape, name) for name in ("rows", "prompt_tokens", "new_tokens", "mean_tokens")}
    setting = {"model": one.short, "title": one.title, **sizes}
    named = {"row": row, "what": f"{what}, {one.short}, {shape}", "target": target}
    return {**named, "setting": setting, "note": NOTES[note]}


def _pair(plan: Plan, about: dict[str, Any], make: Callable[[], tuple[Entry, Entry]], more: str = "") -> Job:
    """A measurement of two entries, which are made when it begins."""
    return Job(about["row"], about["what"] + more, lambda: [compare(*take_turns(make(), plan.repeats), **about)])


def rollouts(plan: Plan) -> Iterator[Job]:
    """Rollouts of completions of equal length against ``model.generate``."""
    for one in plan.causal:
        for shape in plan.rollout_shapes(one):
            yield _rollout(plan, "rollout", one, shape, 1.1)


def mixed_rollouts(plan: Plan) -> Iterator[Job]:
    """Rollouts of completions that end at different times against ``model.generate``."""
    for one in plan.causal:
        for rows in plan.batches if plan.full or one.turn_tokens > 2048 else plan.batches[:1]:
            yield _rollout(plan, "mixed", one, replace(MIXED, rows=rows), 2.0)


def _rollout(plan: Plan, row: str, one: Subject, shape: Shape, target: float) -> Job:
    """A rollout has 128 steps or as many as the longest completion has tokens, fewer for slow models.

    Where completions are equally long and a rollout is one episode a row, half of the prompts that it reads belong to
    the next one: SB3 asks for the values of the observations that it ends with.
    """
    most = max(1, one.turn_tokens // (shape.rows * shape.new_tokens))
    n_steps = shape.new_tokens * min(most, -(-STEPS // shape.new_tokens))
    batches = round(n_steps / (shape.mean_tokens or shape.new_tokens))  # about as many tokens for both
    about = describe(row, "rollout", one, shape, target, "rollout" if shape.mean_tokens is None else "mixed")
    about["setting"]["n_steps"] = n_steps
    return _pair(plan, about, lambda: (entries.rollout(one, shape, n_steps), entries.generate(one, shape, batches)))


def updates(plan: Plan) -> Iterator[Job]:
    """Updates on completions of each length, and of mixed lengths, against the hand-written step."""
    for one in plan.causal:
        for length in plan.lengths:
            yield _update(plan, "update", one, length)
        if one is plan.causal[0]:
            yield _update(plan, "update", one, MIXED.new_tokens, MIXED.mean_tokens)


def _update(plan: Plan, row: str, one: Subject, length: int, mean: float | None = None) -> Job:
    shape = Shape(max(1, one.update_tokens // length), length, mean)
    tokens = shape.rows * length
    batch = max(length, tokens // 2)
    about = describe(row, "update", one, shape, 0.95, "update")
    about["setting"]["minibatch_tokens"] = batch

    def make() -> tuple[Entry, Entry]:
        ppo, episodes, _ = random_rollout(one, shape, batch)
        return entries.update(ppo), entries.handwritten(one, episodes, tokens // batch)

    return _pair(plan, about, make)


def encoder_decoders(plan: Plan) -> Iterator[Job]:
    """Rollouts and updates of encoder-decoder models."""
    few = 1 if plan.quick else None
    for one in plan.subjects:
        if one.seq2seq:
            yield from (_rollout(plan, "seq2seq", one, shape, 1.0) for shape in plan.rollout_shapes(one)[:few])
            yield from (_update(plan, "seq2seq", one, length) for length in plan.lengths[:few])


def trl(plan: Plan) -> Iterator[Job]:
    """TRL's RLOO and GRPO, generation and update timed apart."""
    for one in plan.causal[:1]:
        length = min(plan.lengths) if plan.quick else min(plan.lengths, key=lambda n: abs(n - 128))
        shape = Shape(plan.batches[0], length, group=2 if plan.batches[0] % 8 else 8)
        for algorithm in list(with_trl.TRAINERS)[: 1 if plan.quick else None]:
            yield Job("trl", f"TRL's {algorithm}, {one.name}, {shape}", partial(_trl, plan, algorithm, one, shape))


def _trl(plan: Plan, algorithm: str, one: Subject, shape: Shape) -> list[Result]:
    if not with_trl.installed():
        what = f"update against TRL's {algorithm}"
        return [Result("trl", what, None, (), note="TRL is not installed: pip install trl")]
    series = with_trl.time_trl(algorithm, one, shape, plan.repeats)
    targets = {"update": 1.5, "rollout": None}
    return [compare(*series[part], **describe("trl", part, one, shape, targets[part], "trl")) for part in targets]


def stock(plan: Plan) -> Iterator[Job]:
    """SB3 without textgym's cache, and without its buffer."""
    for one in plan.causal[:1]:
        shape = Shape(plan.batches[0], min(plan.lengths))

        def make_rollout(one: Subject = one, shape: Shape = shape) -> tuple[Entry, Entry]:
            usual = replace(entries.rollout(one, shape, use_cache=False), name="no cache")
            return entries.rollout(one, shape), usual

        def make_update(one: Subject = one, shape: Shape = shape) -> tuple[Entry, Entry]:
            ppo, _, usual = random_rollout(one, shape, min(64, shape.rows * shape.new_tokens), stock=True)
            return entries.update(ppo), entries.stock_update(ppo, usual)

        yield _pair(plan, describe("sb3", "rollout", one, shape, None, "sb3"), make_rollout, ", no cache")
        yield _pair(plan, describe("sb3", "update", one, shape, None, "sb3"), make_update, ", stock buffer")


def buffer_bytes(plan: Plan) -> Iterator[Job]:
    """Bytes that the rollout buffer holds for each token."""
    shapes = [Shape(16, length) for length in plan.lengths] + [MIXED]
    for name in ("gpt2", "llama")[: 1 if plan.quick else 2]:
        lengths = ", ".join(str(length) for length in plan.lengths)
        what = f"rollout buffer, bytes a token, vocabulary {MADE[name].vocabulary:,}"
        what += f": most of completions of {lengths} and mixed lengths"
        yield Job("buffer", what, partial(_buffer_bytes, name, shapes, what))


def _buffer_bytes(name: str, shapes: list[Shape], what: str) -> list[Result]:
    # The buffer holds tokens, not weights: a small model with the vocabulary will do.
    one = replace(subject(name), model=new_model(name, MADE[name].vocabulary, hidden=8, layers=1))
    held: dict[str, float] = {}
    for shape in shapes:
        ppo = random_rollout(one, shape).ppo
        for _ in ppo.rollout_buffer.get(ppo.batch_size):
            pass  # what it keeps after it has been read counts as well
        held[str(shape)] = held_bytes(ppo.rollout_buffer) / (ppo.n_steps * ppo.n_envs)
    most = max(held.values())
    return [Result("buffer", what, most, (most,), target=64.0, better="lower", shown="number", setting={"bytes": held})]


def held_bytes(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes of all arrays and tensors that an object holds, at any depth, each counted once.

    >>> held_bytes({"a": [np.zeros(4)], "b": np.zeros(2, dtype=np.int8)})
    34
    """
    seen = set() if seen is None else seen
    if id(thing) in seen or callable(thing):
        return 0
    seen.add(id(thing))
    if hasattr(thing, "nbytes"):
        base = getattr(thing, "base", None)
        return held_bytes(base, seen) if isinstance(base, np.ndarray) else int(thing.nbytes)
    names = [*getattr(thing, "__dict__", {}), *getattr(type(thing), "__slots__", ())]
    parts: Any = [getattr(thing, name, None) for name in names]
    if isinstance(thing, Mapping):
        parts = thing.values()
    elif isinstance(thing, list | tuple | set | frozenset):
        parts = thing
    return sum(held_bytes(part, seen) for part in parts)


def peak_memory(plan: Plan) -> Iterator[Job]:
    """Peak memory of an update with a large vocabulary."""
    rows, times = (8, 1) if plan.quick else (32, 3)
    job = memory.Update(rows=rows, threads=plan.threads, device=plan.device)
    tokens = f"{rows * job.new_tokens:,}"
    what = f"peak memory of an update, vocabulary {job.vocabulary:,}, minibatch of {tokens} tokens"
    yield Job("memory", what, partial(_peak_memory, job, times, what))


def _peak_memory(job: memory.Update, times: int, what: str) -> list[Result]:
    names = (entries.OURS, entries.HANDWRITTEN)
    turns = [[memory.measure(replace(job, which=name))["peak"] / 2**20 for name in names] for _ in range(times)]
    ours, usual = np.median(turns, axis=0).tolist()
    peaks = {name: list(peak) for name, peak in zip(names, zip(*turns, strict=True), strict=True)}
    about: dict[str, Any] = {"unit": "MiB", "ours": ours, "usual": usual, "usual_name": names[1], "better": "lower"}
    about |= {"target": 1.2, "note": NOTES["memory"], "setting": {**asdict(job), "peaks": peaks}}
    return [Result("memory", what, ours / usual, tuple(a / b for a, b in turns), **about)]
