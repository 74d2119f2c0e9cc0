"""The search: ask Optuna for settings, train with them, tell it the mean reward on validation prompts.

What was tried is in ``trials.jsonl``, a line for each run. Optuna's study is made anew from it before each trial, with
a sampler whose seed is that of the search and the trial's number: so a search that was killed goes on as if it hadn't.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textgym.border import sentence
from textgym.errors import ConfigError, MissingExtraError, TextGymError
from textgym.plugins import load_plugins
from textgym_agents.algorithms import make
from textgym_agents.callbacks.text_logger import TextLogger
from textgym_agents.evaluation.held_out import evaluate, load_policy
from textgym_agents.storage import append_line, cut_unfinished_line, locked, read_lines
from textgym_agents.tuning.config import TuneConfig, check_folder
from textgym_agents.tuning.report import write_report
from textgym_agents.tuning.result import Trial, Tuning
from textgym_agents.tuning.study import suggestion

TRIALS = "trials.jsonl"
Run = dict[str, Any]
Listener = Callable[[Run], None]


def tune(config: TuneConfig, out: str | Path, *, test: bool = False, listen: Listener = lambda run: None) -> Tuning:
    """Search, and write every run into ``out/trials.jsonl`` and a table into ``out/results.md``.

    Args:
        config: the search.
        out: a new folder, or one in which this search has begun.
        test: at the end, train with the defaults and with the best settings with as many new seeds, and evaluate once
            on the test split.
        listen: is called with each new run.

    Raises:
        ConfigError: the folder holds something else, the defaults can't be trained, or another version of Optuna
            suggests something else than is recorded.
        MissingExtraError: Optuna isn't installed.

    >>> import tempfile
    >>> config = TuneConfig("rloo", "textgym/Copy-v1", 2, 64, model="textgym/tiny", eval_prompts=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = tune(config, folder)
    >>> [trial.number for trial in found.trials], found.trials[0].settings
    ([0, 1], {})
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("textgym tune", "tune") from error
    load_plugins(config.plugins)
    torch.set_num_threads(config.threads)
    config.space()
    out = Path(out)
    with locked(out):
        check_folder(config, out)
        record = _Record(config, out / TRIALS, listen)
        initial = record.once("initial", lambda: _initial(config, config.eval_split))
        trials: list[Trial] = []
        for number in range(config.trials):
            trials.append(_trial(config, number, trials, record))
            write_report(out, config, Tuning(initial, trials))
        found = Tuning(initial, trials)
        if test or "test" in record.kinds():
            found = Tuning(initial, trials, record.once("test", lambda: _test(config, found.best)))
        write_report(out, config, found)
    return found


class _Record:
    """The file of runs: what is there is not run again."""

    def __init__(self, config: TuneConfig, path: Path, listen: Listener) -> None:
        self.config, self.path, self.listen = config, path, listen
        cut_unfinished_line(path)
        self.lines = read_lines(path, ("kind",))
        self.runs = {(line["trial"], line["seed"]): line for line in self.lines if line["kind"] == "run"}

    def kinds(self) -> set[str]:
        return {line["kind"] for line in self.lines}

    def once(self, kind: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was measured before, or is measured now."""
        for line in self.lines:
            if line["kind"] == kind:
                return line
        line = {"kind": kind, **measure()}
        append_line(self.path, line)
        self.lines.append(line)
        return line

    def run(self, number: int, seed: int, settings: Mapping[str, Any]) -> Run:
        """A run with one seed."""
        if (number, seed) in self.runs:
            there = self.runs[number, seed]
            if there["settings"] != settings:
                raise ConfigError(
                    f"Trial {number} in {str(self.path)!r} was made with {there['settings']!r}, and this version of "
                    f"Optuna suggests {dict(settings)!r}. Continue with the version of the first start, or begin anew."
                )
            return there
        line = {"kind": "run", "trial": number, "seed": seed, "settings": dict(settings)}
        line |= _run(self.config, settings, seed, number > 0)
        append_line(self.path, line)
        self.listen(line)
        return line


def _trial(config: TuneConfig, number: int, earlier: list[Trial], record: _Record) -> Trial:
    """One setting with every seed, or with fewer where it fails or is pruned."""
    settings, pruned = ({}, lambda rewards: False) if number == 0 else suggestion(config, number, earlier)
    runs: list[Run] = []
    for seed in range(config.seeds):
        runs.append(record.run(number, seed, settings))
        if runs[-1]["reward"] is None:
            break
        if config.prune and seed + 1 < config.seeds and pruned([run["reward"] for run in runs]):
            break
    return Trial(number, settings, runs, config.seeds)


def _run(config: TuneConfig, settings: Mapping[str, Any], seed: int, may_fail: bool) -> dict[str, Any]:
    """Train and evaluate on the validation prompts."""
    started = time.monotonic()
    try:
        algorithm, kl = _trained(config, settings, seed)
        rewards = _rewards(config, algorithm, config.eval_split)
    except (TextGymError, ValueError, ArithmeticError, RuntimeError) as error:
        if not may_fail:
            raise
        return {"reward": None, "error": sentence(error)}
    return {
        "reward": rewards["sampled"],
        "greedy": rewards["greedy"],
        "kl": kl,
        "tokens": algorithm.num_timesteps,
        "seconds": round(time.monotonic() - started, 1),
    }


def _trained(config: TuneConfig, settings: Mapping[str, Any], seed: int) -> tuple[Any, float | None]:
    """An algorithm after its training, and the last KL to the reference model that it logged, in nats an episode."""
    algorithm = make(
        config.algo,
        config.task,
        config.model,
        n_envs=config.n_envs,
        seed=seed,
        env_kwargs=dict(config.env_kwargs),
        policy_kwargs=dict(config.policy_kwargs),
        **{**config.algo_kwargs, **settings},
    )
    completions = TextLogger()
    algorithm.learn(config.tokens, callback=completions)
    measured = [row["kl/kl"] for row in completions.history if "kl/kl" in row]
    return algorithm, round(measured[-1], 4) if measured else None


def _rewards(config: TuneConfig, policy: Any, split: str) -> dict[str, float]:
    """Mean rewards of a policy, sampled and greedy."""
    how: dict[str, Any] = {"split": split, "env_kwargs": config.env_kwargs, "metrics": ()}
    both = (evaluate(policy, config.task, config.eval_prompts, deterministic=one, **how) for one in (False, True))
    rewards = [round(one.reward, 6) for one in both]
    if not np.isfinite(rewards).all():
        raise ArithmeticError("The reward is no finite number.")
    return dict(zip(("sampled", "greedy"), rewards, strict=True))


def _initial(config: TuneConfig, split: str) -> dict[str, float]:
    return _rewards(config, load_policy(config.model, config.task, config.env_kwargs), split)


def _test(config: TuneConfig, best: Trial) -> dict[str, Any]:
    """Rewards on the test split, of runs with seeds that the search hasn't used."""
    found: dict[str, Any] = {"trial": best.number, "settings": dict(best.settings), "initial": _initial(config, "test")}
    for name, settings in (("defaults", {}), ("best", best.settings)):
        if name == "best" and not best.settings:
            found[name] = found["defaults"]
            continue
        seeds = range(config.seeds, 2 * config.seeds)
        found[name] = [_rewards(config, _trained(config, settings, seed)[0], "test") for seed in seeds]
    return found
