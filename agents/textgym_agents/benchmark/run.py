"""One run: evaluate, train, evaluate again.

The result depends on the configuration, the algorithm, the task and the seed alone: not on earlier runs of the process,
nor on the folder ``work``, which keeps the evaluation before training for the other algorithms of a task and seed.
"""

import gc
import json
import math
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from textgym.errors import ConfigError
from textgym.plugins import load_plugins
from textgym.tasks.source import HELD_OUT, NOT_HELD_OUT
from textgym_agents.algorithms import find, make
from textgym_agents.benchmark.composites import base, parts, tokens_of_parts
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.benchmark.held_out import HeldOut, shown
from textgym_agents.benchmark.meter import Front, Meter, peak_memory_mb, reset_peak_memory
from textgym_agents.benchmark.store import failed_line, line_of
from textgym_agents.callbacks.text_logger import TextLogger
from textgym_agents.objectives.kl import AdaptiveKL
from textgym_agents.report.provenance import model_hash
from textgym_agents.storage import write_atomically

# Of a variant with a KL target, tuned on seeds 0 and 1 of the suite "goodhart". The coefficient begins at KL_COEF over
# the target's square root: the reward within a KL grows about as its square root, and the coefficient is its slope.
KL_COEF, KL_HORIZON, KL_DAMPING = 0.11, 300, 1.0
LATER_SEEDS = 1000  # between the seeds of the second part and the third: other prompts, and other partners
MAX_POINTS = 200  # of a learning curve; value-based algorithms have a rollout every few tokens


class _Progress(BaseCallback):
    """A line for the log with each row of the ``TextLogger``."""

    def __init__(self, completions: TextLogger, timesteps: int) -> None:
        super().__init__()
        self.completions, self.timesteps, self.rows = completions, timesteps, 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if len(self.completions.history) == self.rows:
            return
        self.rows = len(self.completions.history)
        reward = self.completions.history[-1].get("reward", float("nan"))
        print(f"{self.num_timesteps} of {self.timesteps} tokens, reward {reward:.4f}", flush=True)


def run(config: BenchmarkConfig, key: Key, work: str | Path | None = None) -> dict[str, Any]:
    """Evaluate the initial model, train, evaluate on the same prompts. Returns a line for ``results.jsonl``.

    Its keys:

    - algo, task, seed; model; timesteps (tokens trained on); eval_prompts.
    - evaluations: before (the initial model, sampled), sampled, greedy, and plain_sampled and plain_greedy where the
      algorithm decodes in a way of its own, without that way. Each has a summary (reward, metrics) and per_prompt (the
      rewards, and statistics of the metrics).
    - score, score_greedy: a probe's own, from 0 to 1; else None.
    - front: evaluations at ``config.front`` points of the training, with the KL.
    - curve: training reward of each rollout.
    - kl: of the trained policy to the initial model, in nats per completion, on held-out prompts; None where the policy
      does not sample.
    - samples; costs; versions, model_hash, config_hash; command (of this run alone); error (None).

    Args:
        config: the benchmark.
        key: which run of it.
        work: a folder for what runs share and for weights between two parts. None: nothing is shared.

    Raises:
        ConfigError: the model's files have changed since the benchmark began.
    """
    if config.model_hash is not None and model_hash(config.model) != config.model_hash:
        raise ConfigError(
            f"The model {config.model!r} is not the one that this benchmark began with: its files have changed. Put "
            "them back, or start again in a new folder."
        )
    load_plugins(config.plugins)
    torch.set_num_threads(config.threads)
    gc.collect()  # the weights of the run before in this process are in cycles
    reset_peak_memory()
    held_out = HeldOut(config, key)
    before = _before(held_out, work)
    trained = _train(config, key, held_out, work)
    evaluations, samples, kl = held_out.of_trained(trained.algorithm, work)
    return {
        **line_of(config, key),
        "timesteps": trained.timesteps,
        "eval_prompts": config.eval_prompts,
        "evaluations": {"before": before["evaluation"], **evaluations},
        "score": held_out.score(evaluations["sampled"]),
        "score_greedy": held_out.score(evaluations["greedy"]),
        "front": trained.front,
        "curve": _curve(trained.history),
        "kl": kl,
        "samples": [
            {"prompt": first["prompt"], "reference": first["reference"], "before": first["text"], "after": last["text"]}
            for first, last in zip(before["samples"], samples, strict=True)
        ],
        "costs": {**trained.costs, "tokens_per_completion": _tokens_per_completion(trained.algorithm, evaluations)},
        "error": None,
    }


def _before(held_out: HeldOut, work: str | Path | None) -> dict[str, Any]:
    """The evaluation of the initial model, sampled: the same for every algorithm."""
    path = None if work is None else Path(work) / f"before-{held_out.key._replace(algo='any').file_name}.json"
    if path is not None and path.is_file():
        result: dict[str, Any] = json.loads(path.read_text())
        return result
    evaluation = held_out.evaluate(held_out.initial)
    result = {"evaluation": held_out.findings(evaluation), "samples": shown(evaluation)}
    if path is not None:
        write_atomically(path, json.dumps(result, ensure_ascii=False))
    return result


class _Trained(NamedTuple):
    """What a training has left: the last part of the algorithm, a row for each rollout, tokens of all parts, ..."""

    algorithm: BaseAlgorithm
    history: list[dict[str, float]]
    timesteps: int
    front: list[dict[str, Any]]
    costs: dict[str, Any]


def _train(config: BenchmarkConfig, key: Key, held_out: HeldOut, work: str | Path | None) -> _Trained:
    """Train with each part of the algorithm."""
    names = parts(key.algo)
    budget, used, history = config.tasks[key.task], 0, []
    model = config.model
    front: list[dict[str, Any]] = []
    costs = dict.fromkeys(("tokens_written", "tokens_learned", "forward_tokens", "seconds"), 0.0)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        ends = tokens_of_parts(key.algo, budget, config.warm_share)
        for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
            # A variant may have a coefficient or a rank of its own.
            options = {"kl_coef": config.kl_coef, "lora": config.lora, **config.for_algorithm(name)}
            if find(base(name)).kl_coef is None:
                options["kl_coef"] = None
            options.pop("policy_kwargs", None)
            target = options.pop("kl_target", None)
            if target is not None:
                coef = options["kl_coef"] or KL_COEF / math.sqrt(target)
                options["kl_coef"] = AdaptiveKL(coef, target, KL_HORIZON, KL_DAMPING)
            algorithm = make(
                base(name),
                base(key.task),
                model,
                n_envs=config.n_envs,
                seed=key.seed + LATER_SEEDS * max(0, number - 2),
                env_kwargs={**config.for_task(key.task), **_trained_part(config)},
                policy_kwargs=config.policy_of(name),
                **options,
            )
            last = number == len(names)
            timesteps = max(end - used, 1)  # a part before it may have gone on to the end of its rollout
            completions, meter = TextLogger(), Meter()
            points = Front(round(config.front * timesteps / budget), timesteps, held_out.point, meter)
            callbacks = [meter, completions, _Progress(completions, timesteps), points]
            algorithm.learn(timesteps, callback=CallbackList(callbacks))
            history += [{**row, "timesteps": row["timesteps"] + used} for row in completions.history]
            front += [{**row, "timesteps": row["timesteps"] + used} for row in points.rows]
            played = any("reward" in row for row in completions.history)
            costs["tokens_written"] += algorithm.num_timesteps if played else 0
            costs["tokens_learned"] += getattr(algorithm.policy, "packed_tokens", 0)
            costs["forward_tokens"] += meter.forward_tokens
            costs["seconds"] += meter.seconds
            used += algorithm.num_timesteps
            if not last:
                model = str(Path(folder) / "policy")
                algorithm.policy.save_pretrained(model)  # type: ignore[operator]
    counted = {name: round(value, 2) if name == "seconds" else int(value) for name, value in costs.items()}
    return _Trained(algorithm, history, used, front, {**counted, "peak_memory_mb": peak_memory_mb()})


def _tokens_per_completion(algorithm: BaseAlgorithm, evaluations: Mapping[str, Any]) -> float:
    """What is written for one completion of a prompt, of which best-of-n throws most away."""
    best_of: int = getattr(algorithm.policy, "best_of", 1)
    return round(best_of * float(evaluations["sampled"]["summary"]["num_tokens"]), 3)


def _trained_part(config: BenchmarkConfig) -> dict[str, Any]:
    """The split to train on where the default, "train", would have the held-out prompts in it."""
    return {"split": NOT_HELD_OUT} if config.eval_split == HELD_OUT else {}


def _curve(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Tokens and mean reward of each rollout. Where there are very many, of several rollouts together."""
    rows = [row for row in history if "reward" in row]
    size = 1 if len(rows) <= MAX_POINTS else -(-len(rows) // (MAX_POINTS // 2))
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    rewards = [
        float(np.average([row["reward"] for row in group], weights=[_scored(row) for row in group]))
        if len(group) > 1
        else group[0]["reward"]
        for group in groups
    ]
    return {
        "timesteps": [int(group[-1]["timesteps"]) for group in groups],
        "reward": [round(reward, 6) for reward in rewards],
    }


def _scored(row: Mapping[str, float]) -> float:
    """The completions that a rollout's mean reward is of."""
    return row["episodes"] * (1 - row.get("text/abstained", 0.0))


def do(job: str | bytes) -> str:
    """Do a job, JSON with config, key (algo, task, seed) and work (or none). Returns its line of results as JSON.

    A run that raises has a line with its error.
    """
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    content = json.loads(job)
    config, key = BenchmarkConfig.from_json(content["config"]), Key(*content["key"])
    try:
        return json.dumps(run(config, key, content.get("work")), ensure_ascii=False, allow_nan=False)
    except Exception as error:
        traceback.print_exc()  # into the log
        return json.dumps(failed_line(config, key, f"{type(error).__name__}: {error}"), ensure_ascii=False)
