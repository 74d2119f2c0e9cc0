"""What a results file has to pass: its sums recomputed, its hashes compared, runs of it repeated."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from textgym.errors import ConfigError
from textgym.registration import task_of
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.lines import Line
from textgym_agents.benchmark.composites import base, own_arguments
from textgym_agents.benchmark.store import key_of
from textgym_agents.evaluation.statistics import PromptStatistics
from textgym_agents.leaderboard.results import Results
from textgym_agents.report.provenance import model_hash

NEEDED = (
    "algo", "task", "seed", "model", "timesteps", "eval_prompts", "evaluations", "curve", "samples", "costs",
    "versions", "model_hash", "config_hash", "command",
)  # fmt: skip
CLOSE = 6e-4  # rewards of prompts are stored with three decimals


def problems(results: Results) -> list[str]:
    """What is wrong with a results file, a sentence each; empty: nothing.

    All sums are recomputed from the rewards of single prompts, scores of probes from those; models that are on this
    machine must have the hash that the runs say.
    """
    found = [f"{results.repeated} lines are of runs that a later line is of, too."] if results.repeated else []
    hashes = {(str(run.get("model")), run.get("model_hash")) for run in lines.finished(results.runs)}
    for model, said in sorted(hashes, key=str):
        here = _hash(model)
        if said is not None and here is not None and said != here:
            found.append(f"The model {model!r} has the hash {here}, the runs say {said}.")
    hashes_of_runs = [run.get("config_hash") for run in results.runs]
    if len(set(hashes_of_runs)) < len(hashes_of_runs):
        found.append("Several runs have one config_hash, which has algorithm, task and seed in it.")
    for one in lines.finished(results.runs):
        found += [f"{key_of(one)}: {problem}" for problem in _of_run(one)]
    return found


def _hash(model: str) -> str | None:
    try:
        return model_hash(model)
    except (OSError, ConfigError):
        return None


def _of_run(one: Line) -> Iterator[str]:
    missing = [name for name in NEEDED if name not in one]
    if missing:
        yield f"it has no {', '.join(missing)}."
        return
    for side, evaluation in one["evaluations"].items():
        rewards, said = evaluation["per_prompt"]["reward"], evaluation["summary"]["reward"]
        if len(rewards) != one["eval_prompts"]:
            yield f"{side} has {len(rewards)} prompts, expected {one['eval_prompts']}."
        elif abs(float(np.mean(rewards)) - said) > CLOSE:
            yield f"{side} says a reward of {said}, its prompts have {np.mean(rewards):.4f}."
        for name, stored in evaluation["per_prompt"].items():
            if name == "reward" or name not in evaluation["summary"]:
                continue
            value = PromptStatistics.from_json(stored).value
            if abs(value - evaluation["summary"][name]) > CLOSE * max(1.0, abs(value)):
                yield f"{side} says {name} {evaluation['summary'][name]}, its prompts have {value:.4f}."
    for name, side in (("score", "sampled"), ("score_greedy", "greedy")):
        stated = one.get(name)
        expected = None if stated is None else score_of(one["task"], float(lines.summary(one, side)["reward"]))
        if stated is not None and expected is not None and abs(expected - float(stated)) > 1e-4:
            yield f"{name} is {stated}, its reward gives {expected:.4f}."


def score_of(task: str, reward: float) -> float | None:
    """The score that a probe gives to a mean reward; None: this is no probe.

    >>> score_of("textgym/Copy-v0", 0.5) is None
    True
    """
    try:
        cls: Any = task_of(base(task))
    except ConfigError:
        return None
    if not hasattr(cls, "best_reward"):
        return None
    taken = inspect.signature(cls).parameters
    own = {name: value for name, value in own_arguments(task, "task").items() if name in taken}
    return float(cls("test", **own).score(reward))
