"""The row of the table about conversations: what a partner's reply adds to the policy's next step."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from textgym_agents.report.timing import Entry, Result, take_turns
from textgym_agents.speed.entries import touch
from textgym_agents.speed.models import Subject
from textgym_agents.speed.plan import Job, Plan
from textgym_agents.speed.rollouts import Shape, make_env, make_ppo

REPLIES = (8, 32)  # tokens of a reply
STEPS = 4  # of a turn of the measurement, all of them after a reply
NOTE = (
    "In units of a step of one token, whose prompts are as long: the policy reads the replies of all rows, and samples."
)


def conversations(plan: Plan) -> Iterator[Job]:
    """Steps of the policy after a reply in every row, against those of one token."""
    for one in plan.subjects[:1] if plan.quick else plan.subjects:
        for tokens in REPLIES[:1] if plan.quick else REPLIES:
            shape = Shape(plan.batches[0], STEPS * (tokens + 1))
            what = f"step after a reply of {tokens} tokens, {one.short}, {shape.rows} rows"
            yield Job("turns", what, partial(after_replies, plan, one, shape, tokens, what))


def after_replies(plan: Plan, one: Subject, shape: Shape, tokens: int, what: str) -> list[Result]:
    """How many steps of one token a step takes before which each row got so many more."""
    entries = [steps(one, shape, 1 + tokens, "after a reply"), steps(one, shape, 1, "one token")]
    ours, usual = take_turns(entries, plan.repeats)
    ratios = tuple(a / b for a, b in zip(ours.seconds, usual.seconds, strict=True))
    about: dict[str, Any] = {"target": 2 + 0.3 * tokens, "better": "lower", "unit": "ms", "usual_name": usual.name}
    about |= {name: 1000 * float(np.median(of.seconds)) / STEPS for name, of in (("ours", ours), ("usual", usual))}
    about |= {"setting": {"rows": shape.rows, "model": one.short, "reply_tokens": tokens}, "series": (ours, usual)}
    return [Result("turns", what, float(np.median(ratios)), ratios, note=NOTE, **about)]


def steps(one: Subject, shape: Shape, grows: int, name: str) -> Entry:
    """Steps of a policy whose rows get ``grows`` tokens between two of them. What came before is in its cache."""
    env = make_env(one, replace(shape, new_tokens=STEPS * max(grows, 2)))
    policy: Any = make_ppo(one, env, n_steps=2).policy
    first = {key: torch.as_tensor(array).to(policy.device) for key, array in env.reset().items()}
    ids, mask = ("decoder_input_ids", "decoder_attention_mask") if one.seq2seq else ("input_ids", "attention_mask")
    begin = 1 if one.seq2seq else shape.prompt_tokens
    words = torch.as_tensor(np.random.default_rng(0).integers(2, one.vocabulary, first[ids].shape)).to(first[ids])
    words[:, :begin] = first[ids][:, :begin]
    columns = torch.arange(words.shape[1], device=words.device)

    @torch.no_grad()
    def step(number: int) -> None:
        live = (columns < begin + number * grows).expand_as(words) & ((columns >= begin) | (first[mask] > 0))
        policy({**first, ids: words * live, mask: live.to(first[mask].dtype)})

    def before() -> None:
        touch(policy)
        step(0)

    def run() -> int:
        for number in range(1, 1 + STEPS):
            step(number)
        return STEPS

    return Entry(name, run, before)
