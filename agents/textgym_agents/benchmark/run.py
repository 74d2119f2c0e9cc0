"""One run in a process of its own: ``python -m textgym_agents.benchmark.run job.json``.

The job file holds the configuration, the key of the run and where the result shall go. The result depends on the
configuration, the algorithm, the task and the seed, and on nothing else.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from textgym.errors import ConfigError
from textgym_agents.algorithms import make
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.benchmark.statistics import of_metric, of_rewards
from textgym_agents.benchmark.store import write_atomically
from textgym_agents.callbacks import TextLogger
from textgym_agents.evaluation import Evaluation, evaluate
from textgym_agents.provenance import model_hash, versions

NUM_SAMPLES = 3


class _Progress(BaseCallback):
    """A line for the log after each rollout."""

    def __init__(self, texts: TextLogger, timesteps: int) -> None:
        super().__init__()
        self.texts, self.timesteps = texts, timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        reward = self.texts.history[-1].get("reward", float("nan"))
        print(f"{self.num_timesteps} of {self.timesteps} tokens, reward {reward:.4f}", flush=True)


def run(config: BenchmarkConfig, key: Key) -> dict[str, Any]:
    """Evaluate, train, evaluate again on the same prompts. Returns a line for ``results.jsonl``.

    Its keys: algo, task, seed, model, timesteps (tokens trained on), eval_prompts, before and after (reward and metrics
    on the held-out prompts), per_prompt (statistics for intervals), curve (training reward of each rollout), samples,
    command, versions, seconds.

    Raises:
        ConfigError: the model's files have changed since the benchmark began.
    """
    if config.model_hash is not None and model_hash(config.model) != config.model_hash:
        raise ConfigError(
            f"The model {config.model!r} is not the one that this benchmark began with: its files have changed. Put "
            "them back, or start again in a new folder."
        )
    torch.set_num_threads(config.threads)
    started = time.monotonic()
    timesteps = config.tasks[key.task]
    algorithm = make(
        key.algo,
        key.task,
        config.model,
        n_envs=config.n_envs,
        seed=key.seed,
        kl=config.kl,
        lora=config.lora,
        env_kwargs=config.env_kwargs,
        policy_kwargs=config.policy_kwargs,
        **config.for_algorithm(key.algo),
    )
    before = _evaluate(algorithm, config, key)
    texts = TextLogger()
    algorithm.learn(timesteps, callback=CallbackList([texts, _Progress(texts, timesteps)]))
    after = _evaluate(algorithm, config, key)
    history = [row for row in texts.history if "reward" in row]
    return {
        **key._asdict(),
        "model": config.model,
        "timesteps": algorithm.num_timesteps,
        "eval_prompts": config.eval_prompts,
        "before": _rounded(before.summary()),
        "after": _rounded(after.summary()),
        "per_prompt": {"before": _statistics(before), "after": _statistics(after)},
        "curve": {
            "timesteps": [int(row["timesteps"]) for row in history],
            "reward": [round(row["reward"], 6) for row in history],
        },
        "samples": _samples(before, after),
        "command": config.command(),
        "versions": versions(),
        "seconds": round(time.monotonic() - started, 1),
    }


def _evaluate(algorithm: Any, config: BenchmarkConfig, key: Key) -> Evaluation:
    return evaluate(
        algorithm,
        key.task,
        config.eval_prompts,
        seed=key.seed,
        split=config.split,
        env_kwargs=config.env_kwargs,
    )


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in values.items()}


def _statistics(evaluation: Evaluation) -> dict[str, Any]:
    found = {
        "reward": of_rewards(evaluation.rewards),
        "num_tokens": of_rewards([len(sample.token_ids) for sample in evaluation.samples]),
    }
    for name in evaluation.metrics:
        statistics = None if name in found else of_metric(name, evaluation.samples)
        if statistics is not None:
            found[name] = statistics
    return {name: statistics.to_json() for name, statistics in found.items()}


def _samples(before: Evaluation, after: Evaluation) -> list[dict[str, Any]]:
    pairs = zip(before.samples[:NUM_SAMPLES], after.samples[:NUM_SAMPLES], strict=True)
    return [
        {
            "prompt": first.prompt,
            "reference": first.references[0] if first.references else None,
            "before": first.completion,
            "after": second.completion,
        }
        for first, second in pairs
    ]


def _end_with_parent() -> None:
    """End this process when its parent has: nobody would read the result, and another process may be computing it."""

    def wait() -> None:
        # The parent holds the other end and writes nothing: this returns when it is gone. Not sys.stdin.read(), whose
        # lock Python wants when this process ends in the ordinary way.
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(path: str) -> None:
    """Do the job in the file ``path``, a JSON object with config, key (algo, task, seed), result and with_parent."""
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    job = json.loads(Path(path).read_text())
    if job.get("with_parent"):
        _end_with_parent()
    line = run(BenchmarkConfig.from_json(job["config"]), Key(*job["key"]))
    write_atomically(Path(job["result"]), json.dumps(line, ensure_ascii=False, allow_nan=False))


if __name__ == "__main__":
    main(sys.argv[1])
