"""One run: evaluate, train, evaluate again. ``python -m textgym_agents.benchmark.run job.json`` does a single one.

The result depends on the configuration, the algorithm, the task and the seed alone: not on earlier runs of the process,
nor on the folder ``work``, which keeps the evaluation before training for the other algorithms of a task and seed.
"""

import inspect
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from textgym.errors import ConfigError
from textgym.plugins import load_plugins
from textgym.tasks.source import HELD_OUT, NOT_HELD_OUT
from textgym_agents.algorithms import find, make
from textgym_agents.benchmark.composites import base, parts
from textgym_agents.benchmark.config import SECRETS, BenchmarkConfig, Key
from textgym_agents.callbacks.text_logger import TextLogger
from textgym_agents.evaluation.held_out import Evaluation, evaluate, load_policy
from textgym_agents.evaluation.statistics import of_metric, of_rewards
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.report.provenance import model_hash, versions
from textgym_agents.report.secrets import with_secrets
from textgym_agents.storage import write_atomically

NUM_SAMPLES = 3
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

    Its keys: algo, task, seed, model, timesteps (tokens trained on), eval_prompts, before and after (reward and metrics
    on the held-out prompts), per_prompt (statistics for intervals), curve (training reward of each rollout), kl (the
    last of training, in nats per episode; None: the algorithm measures none), samples, command, versions, seconds.

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
    started = time.monotonic()
    before = _before(config, key, work)
    algorithm, history, timesteps = _train(config, key, work)
    after = _findings(evaluate(algorithm, base(key.task), config.eval_prompts, seed=key.seed, **_held_out(config, key)))
    return {
        **key._asdict(),
        "model": config.model,
        "timesteps": timesteps,
        "eval_prompts": config.eval_prompts,
        "before": before["summary"],
        "after": after["summary"],
        "per_prompt": {"before": before["statistics"], "after": after["statistics"]},
        "curve": _curve(history),
        "kl": _last_kl(history),
        "samples": [
            {"prompt": first["prompt"], "reference": first["reference"], "before": first["text"], "after": last["text"]}
            for first, last in zip(before["samples"], after["samples"], strict=True)
        ],
        "command": config.command(),
        "versions": versions(),
        "seconds": round(time.monotonic() - started, 1),
    }


def _before(config: BenchmarkConfig, key: Key, work: str | Path | None) -> dict[str, Any]:
    """The evaluation of the initial model, sampled: the same for every algorithm."""
    path = None if work is None else Path(work) / f"before-{key._replace(algo='any').file_name}.json"
    if path is not None and path.is_file():
        result: dict[str, Any] = json.loads(path.read_text())
        return result
    taken = inspect.signature(LanguageModelPolicy).parameters
    options = {name: value for name, value in config.policy_kwargs.items() if name in taken}
    policy = load_policy(config.model, base(key.task), config.for_task(key.task), **options)
    result = _findings(evaluate(policy, base(key.task), config.eval_prompts, seed=key.seed, **_held_out(config, key)))
    if path is not None:
        write_atomically(path, json.dumps(result, ensure_ascii=False))
    return result


def _train(
    config: BenchmarkConfig, key: Key, work: str | Path | None
) -> tuple[BaseAlgorithm, list[dict[str, float]], int]:
    """Train with each part of the algorithm. Returns the last part, a row for each rollout, and the tokens of all."""
    names = parts(key.algo)
    budget, used, history = config.tasks[key.task], 0, []
    model = config.model
    with tempfile.TemporaryDirectory(dir=work) as folder:
        for number, name in enumerate(names, start=1):
            # A variant may have a coefficient or a rank of its own.
            options = {"kl_coef": config.kl_coef, "lora": config.lora, **config.for_algorithm(name)}
            if find(base(name)).kl_coef is None:
                options["kl_coef"] = None
            algorithm = make(
                base(name),
                base(key.task),
                model,
                n_envs=config.n_envs,
                seed=key.seed,
                env_kwargs={**config.for_task(key.task), **_trained_part(config)},
                policy_kwargs=config.policy_kwargs,
                **options,
            )
            last = number == len(names)
            timesteps = budget - used if last else round(budget * config.warm_share)
            completions = TextLogger()
            progress = _Progress(completions, timesteps)
            algorithm.learn(max(timesteps, 1), callback=CallbackList([completions, progress]))
            history += [{**row, "timesteps": row["timesteps"] + used} for row in completions.history]
            used += algorithm.num_timesteps
            if not last:
                model = str(Path(folder) / "policy")
                algorithm.policy.save_pretrained(model)  # type: ignore[operator]
    return algorithm, history, used


def _trained_part(config: BenchmarkConfig) -> dict[str, Any]:
    """The split to train on where the default, "train", would have the held-out prompts in it."""
    return {"split": NOT_HELD_OUT} if config.eval_split == HELD_OUT else {}


def _held_out(config: BenchmarkConfig, key: Key) -> dict[str, Any]:
    return {"split": config.eval_split, "env_kwargs": config.for_task(key.task)}


def _curve(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Tokens and mean reward of each rollout. Where there are very many, of several rollouts together."""
    rows = [row for row in history if "reward" in row]
    size = 1 if len(rows) <= MAX_POINTS else -(-len(rows) // (MAX_POINTS // 2))
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    rewards = [
        sum(row["reward"] * row["episodes"] for row in group) / sum(row["episodes"] for row in group)
        if len(group) > 1
        else group[0]["reward"]
        for group in groups
    ]
    return {
        "timesteps": [int(group[-1]["timesteps"]) for group in groups],
        "reward": [round(reward, 6) for reward in rewards],
    }


def _last_kl(history: Sequence[Mapping[str, float]]) -> float | None:
    """Mean KL to the reference model, which a warm start has trained, over the last tenth of the rollouts."""
    values = [row["kl/kl"] for row in history if "kl/kl" in row]
    last = values[-max(1, len(values) // 10) :]
    return round(sum(last) / len(last), 4) if last else None


def _findings(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "summary": _rounded(evaluation.summary()),
        "statistics": _statistics(evaluation),
        "samples": [
            {
                "prompt": sample.prompt,
                "reference": sample.references[0] if sample.references else None,
                "text": sample.completion,
            }
            for sample in evaluation.samples[:NUM_SAMPLES]
        ],
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in values.items()}


def _statistics(evaluation: Evaluation) -> dict[str, Any]:
    by_name = {
        "reward": of_rewards(evaluation.rewards),
        "num_tokens": of_rewards([len(sample.token_ids) for sample in evaluation.samples]),
    }
    for name in evaluation.metrics:
        statistics = None if name in by_name else of_metric(name, evaluation.samples)
        if statistics is not None:
            by_name[name] = statistics
    return {name: statistics.to_json() for name, statistics in by_name.items()}


def end_with(descriptor: int) -> None:
    """End this process when the other end of a pipe is closed: its parent is gone, and nobody would read the result."""

    def wait() -> None:
        # This returns when the other end is gone; nothing is ever written. Not a file object's read(), whose lock
        # Python wants when this process ends in the ordinary way.
        os.read(descriptor, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def do(path: str | Path) -> None:
    """Do the job in the file ``path``, a JSON object with config, key (algo, task, seed), result and work.

    Secrets of the configuration come in the environment's variable ``SECRETS``, so that they are in no file.
    """
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    job = json.loads(Path(path).read_text())
    config = with_secrets(job["config"], json.loads(os.environ.get(SECRETS, "[]")))
    line = run(BenchmarkConfig.from_json(config), Key(*job["key"]), job.get("work"))
    write_atomically(Path(job["result"]), json.dumps(line, ensure_ascii=False, allow_nan=False))


if __name__ == "__main__":
    if sys.argv[2:] == ["--with-parent"]:
        end_with(0)
    do(sys.argv[1])
