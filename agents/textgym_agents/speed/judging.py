"""The row of the table about a judge: what it adds to a rollout, asked in the background and in the foreground."""

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from textgym.rewards.judge import LLMJudge
from textgym.rewards.judge.prompt import Chat
from textgym_agents.algorithms.binding import bind_policy
from textgym_agents.report.timing import Entry, Result, take_turns
from textgym_agents.speed.entries import begin, collect, touch
from textgym_agents.speed.models import Subject, subject
from textgym_agents.speed.plan import Job, Plan
from textgym_agents.speed.rollouts import Shape, make_env, make_ppo

SECONDS = 0.5  # that the judge takes for a text
ROLLOUT = 5.0  # seconds that a rollout takes without a judge, at least
SHORT = Shape(16, 64, mean_tokens=9)  # a text ends with most of its steps


def judged(plan: Plan) -> Iterator[Job]:
    """A rollout with a slow judge against one without a judge."""
    for place in ("background",) if plan.quick else ("background", "foreground"):
        what = f"rollout with a judge of {1000 * SECONDS:.0f} ms in the {place}, llama, {SHORT}"
        yield Job("judge", what, partial(judge_time, plan, place, what))


def waiting_judge(seconds: float) -> LLMJudge:
    """A judge that takes so long for a text, as one behind a server does, and remembers none."""

    def backend(chat: Chat) -> str:
        time.sleep(seconds)
        return f"Score {chat.code}: {1 + sum(map(ord, chat[1]['content'])) % 5}"

    return LLMJudge("Is it fluent?", backend, cache_size=0)


def judge_time(
    plan: Plan, place: str, what: str, shape: Shape = SHORT, least: float = ROLLOUT, wait: float = SECONDS
) -> list[Result]:
    """How many times as long a rollout takes whose rewards come from such a judge, in the background or foreground.

    Both have as many steps as take ``least`` seconds without a judge, by a first rollout.
    """
    one, judge = subject("llama", plan.device, plan.dtype), waiting_judge(wait)
    if place == "foreground":
        judge.background = 0
    first = rollout(one, shape, shape.new_tokens, None)
    first.run()  # to warm up
    started = time.perf_counter()
    first.run()
    n_steps = math.ceil(shape.new_tokens * max(1.0, 1.1 * least / (time.perf_counter() - started)))
    entries = [rollout(one, shape, n_steps, None), rollout(one, shape, n_steps, judge)]
    usual, ours = take_turns(entries, plan.repeats if place == "background" else 1)
    ratios = tuple(a / b for a, b in zip(ours.seconds, usual.seconds, strict=True))
    texts = judge.calls / (len(ours.seconds) + 1)
    about: dict[str, Any] = {"target": 1.15 if place == "background" else None, "better": "lower", "unit": "s"}
    about |= {"ours": float(np.median(ours.seconds)), "usual": float(np.median(usual.seconds))}
    about |= {"usual_name": usual.name, "setting": {"rows": shape.rows, "n_steps": n_steps}, "series": (ours, usual)}
    about["note"] = f"{n_steps} steps; {texts:.0f} texts end, of which {judge.max_concurrency} are judged at a time."
    return [Result("judge", what, float(np.median(ratios)), ratios, **about)]


def rollout(one: Subject, shape: Shape, n_steps: int, judge: LLMJudge | None) -> Entry:
    """SB3's unmodified ``PPO.collect_rollouts``, up to its advantages."""
    env: Any = make_env(one, shape)
    env.set_attr("reward", judge)
    ppo = make_ppo(one, env, n_steps=n_steps)
    bind_policy(ppo)
    callback = begin(ppo)
    return Entry("no judge" if judge is None else "judge", partial(collect, ppo, callback), partial(touch, ppo.policy))
