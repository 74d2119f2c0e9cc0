"""What a results file has to pass: its sums recomputed, its hashes compared, runs of it repeated."""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from textgym.errors import ConfigError
from textgym.registration import task_of
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.lines import Line
from textgym_agents.benchmark.analysis.measures import generator
from textgym_agents.benchmark.composites import base, own_arguments
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.benchmark.run import run
from textgym_agents.benchmark.store import key_of
from textgym_agents.evaluation.statistics import PromptStatistics
from textgym_agents.leaderboard.results import Results
from textgym_agents.report.provenance import model_hash

NEEDED = (
    "algo", "task", "seed", "model", "timesteps", "eval_prompts", "evaluations", "curve", "samples", "costs",
    "versions", "model_hash", "config_hash", "command",
)  # fmt: skip
OF_THE_MACHINE = ("costs.seconds", "costs.peak_memory_mb", "versions")  # what a repeated run may differ in
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

    >>> score_of("textgym/Copy-v1", 0.5) is None
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


def hash_problem(config: BenchmarkConfig, one: Line) -> str | None:
    """What is wrong with a run's config_hash, which must follow from its command and its model; None: nothing."""
    stated = one.get("config_hash")
    expected = replace(config, model_hash=one.get("model_hash")).hash_of(key_of(one))
    if stated == expected:
        return None
    return f"{key_of(one)}: config_hash is {stated}, its command gives {expected}."


def choose(results: Results, count: int, seed: int) -> list[Line]:
    """So many finished runs at random, always the same for a seed."""
    done = sorted(lines.finished(results.runs), key=lambda one: str(key_of(one)))
    picked = generator(seed, "repeat").permutation(len(done))[:count]
    return [done[i] for i in sorted(picked.tolist())]


def repeat(config: BenchmarkConfig, one: Line) -> list[str]:
    """Run a run again and say in what it differs; empty: in nothing but what depends on the machine.

    Args:
        config: of the run's command.
        one: the run.
    """
    again = _as_kept(json.loads(json.dumps(run(config, key_of(one)), allow_nan=False)), one)
    return [
        f"{key_of(one)}: {name} is {_short(new)}, the file says {_short(old)}."
        for name, (old, new) in _differences(one, again).items()
        if name not in OF_THE_MACHINE
    ]


def _as_kept(again: dict[str, Any], one: Line) -> dict[str, Any]:
    """A repeated run with no more than a packed file keeps: statistics of few measures, samples of few seeds."""
    for side, evaluation in again["evaluations"].items():
        kept = one["evaluations"].get(side, evaluation)["per_prompt"]
        evaluation["per_prompt"] = {name: rows for name, rows in evaluation["per_prompt"].items() if name in kept}
    return {**again, "samples": again["samples"] if one["samples"] else []}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _differences(old: Any, new: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """By dotted path, where two plain values differ.

    >>> _differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    {'a.c': (2, 3)}
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: dict[str, tuple[Any, Any]] = {}
        for name in dict.fromkeys([*old, *new]):
            inner = f"{path}.{name}" if path else str(name)
            if inner not in OF_THE_MACHINE:
                found |= _differences(old.get(name), new.get(name), inner)
        return found
    return {} if old == new else {path: (old, new)}
