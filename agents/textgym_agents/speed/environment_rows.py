"""The rows of the table that are not about the model: steps of the environment alone, and the rewards of a rollout."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv

from textgym.core import Reward, Sample
from textgym.env import TextGenerationEnv
from textgym.registration import env_id
from textgym.rewards import parse_reward
from textgym.tokenizer import BUILTIN_MODEL
from textgym.vector import TextGenerationVectorEnv
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.report.timing import Entry, Result, Series, compare, take_turns
from textgym_agents.speed.entries import begin, collect, touch
from textgym_agents.speed.models import number_tokenizer, prompts, subject
from textgym_agents.speed.plan import Job, Plan
from textgym_agents.speed.rollouts import PROMPT, make_ppo

ENVS, TASK = 256, "DataToText"
NOTES = {
    "environment": "Random tokens, no reward. Steps: within episodes of 32 + 512 tokens, none of which ends. Episodes: "
    "of 32 + at most 128 tokens, which end, are decoded and reset as they come. DataToText makes every prompt anew.",
    "scoring": "The built-in model writes its own completions and ends them itself.",
}


def environment(plan: Plan) -> Iterator[Job]:
    """Steps of the vector environment alone."""
    for kind in ("steps", "episodes", TASK):
        yield Job("environment", f"environment, {ENVS} rows, {kind}", partial(_environment, plan, kind))


def _environment(plan: Plan, kind: str) -> list[Result]:
    """Steps alone, for which there is a target in steps a second, or whole episodes, or those of a built-in task."""
    if kind == TASK:
        vector, sync = built_in(ENVS)
        turns = take_turns([steps(vector, "textgym", 200), steps(sync, "SyncVectorEnv", 20)], plan.repeats)
        return [compare(*turns, unit="steps/s", **_line(TASK))]
    new_tokens, count, first_token = (512, 500, 2) if kind == "steps" else (128, 1000, 0)
    copied, sync = prompts_in_memory(ENVS, new_tokens)
    views, _ = prompts_in_memory(ENVS, new_tokens, copy=False)
    envs = {"copied observations": copied, "copy=False": views, "SyncVectorEnv": sync}
    entries = [steps(env, name, 20 if env is sync else count, first_token) for name, env in envs.items()]
    *ours, usual = take_turns(entries, plan.repeats)
    lines = []
    for series in ours:
        what, median = f"{kind}, {series.name}", float(np.median(series.speeds))
        lines.append(compare(series, usual, target=10.0, unit="steps/s", **_line(what)))
        about: dict[str, Any] = {"shown": "number", "target": 3e6 if kind == "steps" else None}
        lines.append(Result(value=median, repeats=series.speeds, **about, **_line(f"{what}, steps/s")))
    return lines


def _line(what: str) -> dict[str, Any]:
    about = {"row": "environment", "what": f"environment, {ENVS} rows, {what}"}
    return {**about, "setting": {"rows": ENVS}, "note": NOTES["environment"]}


def steps(env: Any, name: str, count: int, first_token: int = 0) -> Entry:
    """Steps of a Gymnasium vector environment, with random tokens. Episodes end and rows are reset as they come.

    With ``first_token`` above the end token no episode ends before it is full.
    """
    actions = np.random.default_rng(0).integers(first_token, env.single_action_space.n, size=(count, env.num_envs))

    def run() -> int:
        for row in actions:
            env.step(row)
        return count * int(env.num_envs)

    return Entry(name, run, before=lambda: env.reset(seed=0))


def prompts_in_memory(n_envs: int, new_tokens: int = 128, **options: Any) -> tuple[Any, Any]:
    """The vector environment, and as many single ones, over prompts that need no making."""
    shared, tokenizer = prompts(5000, PROMPT), number_tokenizer(5000)
    given: Any = {"max_prompt_tokens": PROMPT, "max_new_tokens": new_tokens}
    sync = SyncVectorEnv([lambda: TextGenerationEnv(shared, None, tokenizer, **given)] * n_envs)
    return TextGenerationVectorEnv(n_envs, shared, None, tokenizer, **given, **options), sync


def built_in(n_envs: int) -> tuple[Any, Any]:
    """The same of a built-in task, whose prompts are drawn from the small world and rendered as they are played."""
    make = partial(gym.make_vec, env_id(TASK), n_envs, reward=None)
    return make(vectorization_mode="vector_entry_point"), make(vectorization_mode="sync")


def scoring(plan: Plan) -> Iterator[Job]:
    """The share of a rollout's time that goes into its rewards."""
    for formula in ("bleu", "rougeL", "chrf"):
        what = f"share of {formula} in a rollout, {TASK}, textgym/small, 16 episodes"
        yield Job("scoring", what, partial(score_share, plan, formula, what))


class TimedReward:
    """A reward that counts the seconds spent in it."""

    def __init__(self, reward: Reward) -> None:
        self.reward, self.seconds = reward, 0.0

    def __call__(self, samples: Sequence[Sample]) -> Any:
        started = time.perf_counter()
        try:
            return self.reward(samples)
        finally:
            self.seconds += time.perf_counter() - started


def score_share(plan: Plan, formula: str, what: str, rows: int = 16, n_steps: int = 128) -> list[Result]:
    """Which share of a rollout's time is spent in a reward, with the built-in model writing its own completions."""
    one, reward = subject(BUILTIN_MODEL, plan.device), TimedReward(parse_reward(formula))
    env = make_vec_env(env_id(TASK), rows, seed=0, tokenizer=one.tokenizer, reward=reward)
    ppo = make_ppo(one, env, n_steps=n_steps)
    callback = begin(ppo)
    turns = []
    for _ in range(plan.repeats + 1):
        touch(ppo.policy)
        reward.seconds, started = 0.0, time.perf_counter()
        collect(ppo, callback)
        turns.append((reward.seconds, time.perf_counter() - started))
    spent, seconds = zip(*turns[1:], strict=True)
    work = (float(rows * n_steps),) * plan.repeats
    ours, usual = float(np.median(spent)), float(np.median(seconds))
    about: dict[str, Any] = {"target": 0.05, "better": "lower", "shown": "share", "note": NOTES["scoring"]}
    about |= {"unit": "ms", "ours": 1000 * ours, "usual": 1000 * usual, "usual_name": "rollout"}
    about |= {"setting": {"rows": rows}, "series": (Series(formula, work, spent), Series("rollout", work, seconds))}
    return [Result("scoring", what, ours / usual, tuple(a / b for a, b in turns[1:]), **about)]
