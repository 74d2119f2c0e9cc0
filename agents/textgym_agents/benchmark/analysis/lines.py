"""Lines of ``results.jsonl``, read: which evaluations they hold, and what a task or an algorithm is called.

A line has algo, task, seed, model, timesteps (tokens trained on), eval_prompts, evaluations, score, front, curve, kl,
samples, costs, versions, hashes, command and error; ``benchmark.run`` writes it.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textgym_agents.benchmark.analysis.measures import Floats
from textgym_agents.benchmark.composites import base, own_arguments

Line = Mapping[str, Any]
Runs = Sequence[Line]
# How a trained policy completes held-out prompts; the plain ways leave out a decoder that its algorithm brings.
SIDES = ("sampled", "greedy", "plain_sampled", "plain_greedy")
PLAIN = {"sampled": "plain_sampled", "greedy": "plain_greedy"}


def finished(runs: Runs) -> list[Line]:
    """Runs that came to an end."""
    return [run for run in runs if run.get("error") is None]


def failed(runs: Runs) -> list[Line]:
    """Runs that ended with an error."""
    return [run for run in runs if run.get("error") is not None]


def rewards(run: Line, side: str) -> Floats | None:
    """Reward of each held-out prompt (prompts,); None: this was not evaluated."""
    evaluation = run["evaluations"].get(side)
    return None if evaluation is None else np.asarray(evaluation["per_prompt"]["reward"], dtype=np.float64)


def summary(run: Line, side: str) -> Mapping[str, float]:
    """Reward and metrics over all held-out prompts; empty: this was not evaluated."""
    found: Mapping[str, float] = (run["evaluations"].get(side) or {}).get("summary", {})
    return found


def tasks_of(runs: Runs) -> list[str]:
    """Tasks in the order in which they first appear."""
    return list(dict.fromkeys(run["task"] for run in runs))


def algos_of(runs: Runs) -> list[str]:
    """Algorithms in the order in which they first appear."""
    return list(dict.fromkeys(run["algo"] for run in runs))


def select(runs: Runs, *, algo: str | None = None, task: str | None = None) -> list[Line]:
    """Runs of an algorithm, a task or both, by seed."""
    chosen = [run for run in runs if algo in (None, run["algo"]) and task in (None, run["task"])]
    return sorted(chosen, key=lambda run: int(run["seed"]))


def is_trained(run: Line) -> bool:
    """Whether anything was learnt from tokens."""
    return int(run["timesteps"]) > 0


def is_decoding(algo: str) -> bool:
    """Whether this is the initial model with one completion of a prompt: a decode-only baseline.

    >>> is_decoding("zero_shot[temperature=0.5]"), is_decoding("greedy"), is_decoding("best_of_n"), is_decoding("ppo")
    (True, True, False, False)
    """
    return base(algo) in ("zero_shot", "greedy")


def samples_of(algo: str) -> int | None:
    """The n of best-of-n; 1 for sampling without arguments; None for other algorithms.

    >>> samples_of("best_of_n[n=64]"), samples_of("best_of_n"), samples_of("zero_shot"), samples_of("greedy")
    (64, 4, 1, None)
    """
    if algo == "zero_shot":
        return 1
    return int(own_arguments(algo).get("n", 4)) if base(algo) == "best_of_n" else None


def command(runs: Runs) -> str:
    """One command for runs of one algorithm: that of the last seed, with all of their tasks.

    >>> one = "textgym benchmark --suite probe --algos ppo --seeds {} --tasks {}"
    >>> command([{"seed": 0, "command": one.format(1, "A[n=2]")}, {"seed": 1, "command": one.format(2, "A[n=4]")}])
    "textgym benchmark --suite probe --algos ppo --seeds 2 --tasks 'A[n=2],A[n=4]'"
    """
    words = [shlex.split(run.get("command") or "") for run in sorted(runs, key=lambda run: int(run["seed"]))]
    last = list(words[-1]) if words else []
    for option in ("--tasks", "--timesteps"):
        values = [one[one.index(option) + 1] for one in words if option in one[:-1]]
        if option in last[:-1] and values:
            last[last.index(option) + 1] = ",".join(dict.fromkeys(values))
    return shlex.join(last)
