"""The rows of the table that are about models: rollouts and updates, each against its rivals.

Each function yields the measurements of one row, at all sizes that the plan asks for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from textgym_agents.speed import contestants, with_trl
from textgym_agents.speed.measure import Contestant, Progress, Result, compare, take_turns
from textgym_agents.speed.models import Subject
from textgym_agents.speed.plan import MIXED, Job, Plan, describe
from textgym_agents.speed.texts import Shape, random_rollout

STEPS = 128  # of a rollout of short texts

NOTES = {
    "rollout": "SB3's unmodified collect_rollouts steps the environment, computes values and fills the buffer as well; "
    "equal lengths are the best case for generate, which looks for no end here.",
    "mixed": "generate waits for the longest text of each batch; only tokens of texts count, for both.",
    "update": "One epoch of SB3's unmodified train in two minibatches, against the same written by hand in plain "
    "PyTorch: whole padded texts, the head at completion positions only, the same optimiser.",
    "growth": "It falls when something of our own grows with the length, but also when we are ahead and what both pay "
    "alike, attention, grows.",
    "trl": "Both write 8 completions of each prompt and take one optimiser step over all their tokens. TRL has no "
    "reference model, dropout or gradient checkpointing here; textgym learns values besides.",
    "sb3": "No cache: every token's whole prefix is read again. Stock buffer: one minibatch of 64 tokens is timed.",
}


def _duel(
    plan: Plan, make: Callable[[], tuple[Contestant, Contestant]], about: Mapping[str, Any], progress: Progress
) -> list[Result]:
    ours, usual = take_turns(make(), plan.repeats, progress, plan.device)
    return [compare(ours, usual, **about)]


def rollouts(plan: Plan) -> Iterator[Job]:
    """Rollouts of texts of equal length against ``model.generate``."""
    for one in plan.causal:
        for shape in plan.rollout_shapes(one):
            yield _rollout_job(plan, "rollout", one, shape, 1.1)


def mixed_rollouts(plan: Plan) -> Iterator[Job]:
    """Rollouts of texts that end at different times against ``model.generate``."""
    for one in plan.causal:
        for rows in plan.batches if plan.full or one.turn_tokens > 2048 else plan.batches[:1]:
            yield _rollout_job(plan, "mixed", one, replace(MIXED, rows=rows), 2.0)


def _rollout_job(plan: Plan, row: str, one: Subject, shape: Shape, target: float) -> Job:
    mixed = shape.mean_tokens is not None
    about = describe(row, "rollout", one, shape, target, note=NOTES["mixed" if mixed else "rollout"])
    about["setting"]["n_steps"] = n_steps = _steps(one, shape)

    def make() -> tuple[Contestant, Contestant]:
        batches = round(n_steps / (shape.mean_tokens or shape.new_tokens))  # about as many tokens for both
        return contestants.rollout(one, shape, n_steps), contestants.generate(one, shape, batches)

    return Job(row, about["what"], partial(_duel, plan, make, about))


def _steps(one: Subject, shape: Shape) -> int:
    """Of a rollout: 128 or as many as the longest text has tokens, fewer for slow models.

    Where texts are equally long and a rollout is one text a row, half of the prompts that it reads belong to the next
    one: SB3 asks for the values of the observations that it ends with.
    """
    most = max(1, one.turn_tokens // (shape.rows * shape.new_tokens))
    return shape.new_tokens * min(most, -(-STEPS // shape.new_tokens))


def updates(plan: Plan) -> Iterator[Job]:
    """Updates of texts of each length, and of mixed lengths, against the hand-written step."""
    for one in plan.causal:
        for length in plan.lengths:
            yield _update_job(plan, "update", one, _update_shape(one, length), 0.95)
        if one is plan.causal[0]:
            rows = max(1, one.update_tokens // MIXED.new_tokens)
            yield _update_job(plan, "update", one, replace(MIXED, rows=rows), 0.95)


def _update_shape(one: Subject, length: int) -> Shape:
    return Shape(max(1, one.update_tokens // length), length)


def _update_job(plan: Plan, row: str, one: Subject, shape: Shape, target: float) -> Job:
    tokens = shape.rows * shape.new_tokens
    batch = max(shape.new_tokens, tokens // 2)
    about = describe(row, "update", one, shape, target, note=NOTES["update"])
    about["setting"]["minibatch_tokens"] = batch

    def make() -> tuple[Contestant, Contestant]:
        ppo, texts, _ = random_rollout(one, shape, batch)
        return contestants.update(ppo), contestants.handwritten(one, texts, tokens // batch)

    return Job(row, about["what"], partial(_duel, plan, make, about))


def encoder_decoders(plan: Plan) -> Iterator[Job]:
    """Rollouts and updates of encoder-decoder models."""
    for one in plan.subjects:
        if one.seq2seq:
            for shape in plan.rollout_shapes(one)[: 1 if plan.quick else None]:
                yield _rollout_job(plan, "seq2seq", one, shape, 1.0)
            for length in plan.lengths[: 1 if plan.quick else None]:
                yield _update_job(plan, "seq2seq", one, _update_shape(one, length), 0.95)


def trl(plan: Plan) -> Iterator[Job]:
    """TRL's RLOO and GRPO, generation and update timed apart."""
    if not plan.causal:
        return
    length = min(plan.lengths) if plan.quick else min(plan.lengths, key=lambda n: abs(n - 128))
    one, shape = plan.causal[0], Shape(plan.batches[0], length, group=2 if plan.batches[0] % 8 else 8)
    for algorithm in list(with_trl.TRAINERS)[: 1 if plan.quick else None]:
        yield Job("trl", f"TRL's {algorithm}, {one.name}, {shape}", partial(_trl, plan, algorithm, one, shape))


def _trl(plan: Plan, algorithm: str, one: Subject, shape: Shape, progress: Progress) -> list[Result]:
    if not with_trl.installed():
        what = f"update against TRL's {algorithm}"
        return [Result("trl", what, None, (), note="TRL is not installed: pip install trl")]
    found = with_trl.time_trl(algorithm, one, shape, plan.repeats, progress)
    targets = {"update": 1.5, "rollout": None}
    return [
        compare(*found[part], **describe("trl", part, one, shape, target, note=NOTES["trl"]))
        for part, target in targets.items()
    ]


def stock(plan: Plan) -> Iterator[Job]:
    """SB3 without textgym's buffer and cache."""
    if not plan.causal:
        return
    one, length = plan.causal[0], min(plan.lengths)
    shape = Shape(plan.batches[0], length)
    about = describe("sb3", "rollout", one, shape, None, note=NOTES["sb3"])

    def make_rollout() -> tuple[Contestant, Contestant]:
        usual = contestants.rollout(one, shape, use_cache=False)
        return contestants.rollout(one, shape), replace(usual, name="no cache")

    yield Job("sb3", f"{about['what']}, no cache", partial(_duel, plan, make_rollout, about))
    about = describe("sb3", "update", one, shape, None, note=NOTES["sb3"])

    def make_update() -> tuple[Contestant, Contestant]:
        ppo, _, usual = random_rollout(one, shape, min(64, shape.rows * length), stock=True)
        return contestants.update(ppo), contestants.stock_update(ppo, usual)

    yield Job("sb3", f"{about['what']}, stock buffer", partial(_duel, plan, make_update, about))


def growth(results: Sequence[Result]) -> list[Result]:
    """How the update's ratio to the hand-written step changes from the shortest texts to the longest."""
    found = []
    updates = [one for one in results if one.setting.get("minibatch_tokens") and not one.setting["mean_tokens"]]
    for title in dict.fromkeys(one.setting["title"] for one in updates):
        same = [one for one in updates if one.setting["title"] == title]
        short, long = (choose(same, key=lambda one: one.setting["new_tokens"]) for choose in (min, max))
        if short is not long and short.value and long.value:
            ends = f"{long.setting['new_tokens']} new tokens over that at {short.setting['new_tokens']}"
            found.append(
                Result(
                    short.row,
                    f"update, {short.setting['model']}, the ratio at {ends}",
                    long.value / short.value,
                    tuple(a / b for a, b in zip(long.repeats, short.repeats, strict=True)),
                    target=0.9,
                    note=NOTES["growth"],
                    setting={"model": short.setting["model"]},
                )
            )
    return found
