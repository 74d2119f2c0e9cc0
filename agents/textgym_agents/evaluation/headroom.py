"""What a task leaves a model to learn: its reward by decoding alone, from sampling to the best of many samples."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from textgym.core import Sample
from textgym.registration import split_argument
from textgym.scoring import score_samples
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.evaluation.held_out import evaluate, load_policy

TEMPERATURES = (0.7, 0.5)
BEST_OF = (4, 16, 64)


def headroom(
    model: str | Path,
    env_id: str,
    num_prompts: int = 200,
    *,
    best_of: Sequence[int] = BEST_OF,
    temperatures: Sequence[float] = TEMPERATURES,
    split: str = "validation",
    seed: int = 0,
    n_envs: int = 256,
    env_kwargs: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """Mean rewards of a model with several ways to decode, on the same prompts.

    All of ``best_of`` are read off the same samples, the largest number of each prompt: the best of k is the mean over
    all choices of k of them. "sampled" is their mean. Lower temperatures get four samples of each prompt.

    Args:
        model: a name or a folder, as for ``textgym_agents.make``.
        env_id: of the environment, with its own reward.
        num_prompts: the first of the split.
        best_of: of so many samples the reward picks the best.
        temperatures: besides 1.
        split: where the prompts come from.
        seed: of the sampling.
        n_envs: episodes played at once.
        env_kwargs: of the environment.
        progress: show a bar.

    Returns:
        Rewards by name: "sampled", "T=0.7", "T=0.5", "greedy", "best of 4", "best of 16", "best of 64" and
        "references": the first reference of each prompt as the completion; without it where prompts have none. Where
        the reward abstained there is nothing to average: "abstained" is the share of samples where it did, if any.

    >>> list(headroom("textgym/tiny", "textgym/Copy-v1", 2, best_of=(2,), temperatures=(0.5,)))
    ['sampled', 'T=0.5', 'greedy', 'best of 2', 'references']
    """
    policies = {t: load_policy(model, env_id, env_kwargs, temperature=t) for t in (1.0, *temperatures)}

    def rewards(temperature: float, samples: int = 1, **how: Any) -> NDArray[np.float64]:
        """(samples, prompts)."""
        env = make_vec_env(
            env_id,
            min(n_envs, num_prompts),
            model=model,
            env_kwargs={**split_argument(env_id, split), **(env_kwargs or {}), "sampling": "sequential"},
        )
        what = f"{env_id}, {'greedy' if how else f'temperature {temperature:g}'}"
        console = Console(stderr=True)
        shown = progress and console.is_terminal
        seeds = track(range(seed, seed + samples), what, disable=not shown, transient=True, console=console)
        plays = [evaluate(policies[temperature], env, num_prompts, metrics=(), seed=one, **how) for one in seeds]
        return np.array([play.rewards for play in plays])

    sampled = rewards(1.0, max(best_of, default=1))
    found = {"sampled": _mean(sampled)}
    found |= {f"T={one:g}": _mean(rewards(one, 4)) for one in temperatures}
    found["greedy"] = _mean(rewards(1.0, deterministic=True))
    found |= {f"best of {k}": _mean(best_of_k(sampled, k)) for k in best_of}
    references = _rewards_of_references(env_id, num_prompts, {**split_argument(env_id, split), **(env_kwargs or {})})
    abstained = {"abstained": float(np.isnan(sampled).mean())} if np.isnan(sampled).any() else {}
    return {**found, **({"references": float(np.mean(references))} if references else {}), **abstained}


def _mean(rewards: NDArray[np.float64]) -> float:
    """Of those that are not NaN, as rewards that abstained are; NaN where all are."""
    scored = rewards[~np.isnan(rewards)]
    return float(scored.mean()) if scored.size else math.nan


def best_of_k(rewards: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """The expected largest of ``k`` of n samples, drawn without replacement.

    Args:
        rewards: (n, prompts).
        k: 1 to n. Of prompts with NaN, where the reward abstained, the best of k of the others, or of all if fewer.

    Returns:
        (prompts,). NaN for a prompt without a reward.

    >>> best_of_k(np.array([[0.0], [1.0], [2.0]]), 2).round(3).tolist()  # of the pairs (0, 1), (0, 2), (1, 2)
    [1.667]
    """
    if np.isnan(rewards).any():
        scored = [column[~np.isnan(column)] for column in rewards.T]
        best = [best_of_k(one[:, None], min(k, len(one)))[0] if len(one) else math.nan for one in scored]
        return np.array(best)
    n = len(rewards)
    weight = np.zeros(n)  # of the i-th smallest: the share of choices in which it is the largest
    weight[n - 1] = k / n
    for i in range(n - 2, k - 2, -1):
        weight[i] = weight[i + 1] * (i - k + 2) / (i + 1)
    return np.asarray(weight @ np.sort(rewards, axis=0))


def _rewards_of_references(env_id: str, num_prompts: int, env_kwargs: dict[str, Any]) -> list[float]:
    """The scores of the first references as completions, of the prompts that have one."""
    env: Any = make_vec_env(env_id, 1, env_kwargs=env_kwargs)
    task, reward = env.env.unwrapped.task, env.env.unwrapped.reward
    prompts = [task[index] for index in range(num_prompts)]
    samples = [
        Sample(one.text, f" {one.references[0]}", one.references, metadata=one.metadata)
        for one in prompts
        if one.references
    ]
    return [score.value for score in score_samples(reward, samples) if score.value is not None]
