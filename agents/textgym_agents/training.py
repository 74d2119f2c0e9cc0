"""One training run in a folder: what ``textgym train`` does."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import CallbackList

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.registration import split_argument
from textgym.tokenizer import BUILTIN_MODEL
from textgym_agents import markdown
from textgym_agents.algorithms import make
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.curves import Curve, plot_curves
from textgym_agents.evaluation import evaluate
from textgym_agents.provenance import command_line, model_hash, versions
from textgym_agents.run_log import MetricsFile, TrainingBar

NUM_SAMPLES = 5
# What `overwrite` may delete: nothing that a training run didn't write.
FILES = ("config.json", "metrics.jsonl", "samples.md", "learning_curve.png", "checkpoint.zip")
FOLDERS = ("policy", "best")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and how.

    Attributes:
        task: id of the environment.
        algo: name from ``textgym_agents.ALGORITHMS``.
        model: name or folder.
        timesteps: tokens to train on.
        seed: of everything random.
        n_envs: prompts played at once.
        kl: coefficient of the KL to the initial model; None: the algorithm's default.
        lora: rank, or None to train all weights.
        split: prompts to train on.
        eval_split: held-out prompts.
        eval_every: tokens between evaluations; None: before and after only.
        eval_prompts: how many held-out prompts.
        env_kwargs, policy_kwargs, algo_kwargs: arguments of the environment, the policy, the algorithm.
    """

    task: str
    algo: str = "ppo"
    model: str = BUILTIN_MODEL
    timesteps: int = 50_000
    seed: int = 0
    n_envs: int = 32
    kl: float | None = None
    lora: int | None = None
    split: str = "train"
    eval_split: str = "validation"
    eval_every: int | None = None
    eval_prompts: int = 100
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    algo_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("timesteps", "n_envs", "eval_prompts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if self.eval_every is not None and self.eval_every < 1:
            raise ConfigError(f"eval_every is {self.eval_every}, expected at least 1 token between two evaluations.")


@dataclass(frozen=True)
class Outcome:
    """What a run ended with.

    Attributes:
        evaluations: one dict per evaluation on held-out prompts: ``timesteps``, ``reward`` and the metrics.
        timesteps: tokens trained on.
        interrupted: whether Ctrl-C ended it.
    """

    evaluations: list[dict[str, float]]
    timesteps: int
    interrupted: bool


def train(
    config: TrainConfig, out: str | Path, *, overwrite: bool = False, command: Sequence[str] = (), progress: bool = True
) -> Outcome:
    """Train, and write everything into ``out``, also when Ctrl-C (or a TERM signal turned into it) ends the run early.

    ``config.json`` (what ran, with which versions), ``metrics.jsonl`` (a line for each rollout and each evaluation, at
    once), ``policy/`` (for ``transformers`` and for ``model=``), ``checkpoint.zip`` (for ``textgym_agents.load``; a
    pickle), ``best/`` (with ``eval_every``: the policy with the best held-out reward), ``learning_curve.png``,
    ``samples.md`` (texts before and after).

    Raises:
        ConfigError: ``out`` is not empty and ``overwrite`` is false, or the configuration makes no sense.
    """
    out = prepare(Path(out), overwrite)
    console = Console(stderr=True, quiet=not progress)
    algorithm = make(
        config.algo,
        config.task,
        config.model,
        n_envs=config.n_envs,
        seed=config.seed,
        kl=config.kl,
        lora=config.lora,
        env_kwargs={**config.env_kwargs, **split_argument(config.task, config.split)},
        policy_kwargs=config.policy_kwargs,
        **config.algo_kwargs,
    )
    stored = {
        "command": command_line(command),
        "versions": versions(),
        "model_hash": model_hash(config.model),
        "config": asdict(config),
    }
    (out / "config.json").write_text(json.dumps(stored, indent=2) + "\n")
    before = _samples(algorithm, config)
    texts = TextLogger()
    evaluations = EvaluateCallback(
        config.task,
        config.eval_every or sys.maxsize,
        config.eval_prompts,
        split=config.eval_split,
        env_kwargs=dict(config.env_kwargs),
        best_folder=out / "best" if config.eval_every else None,
    )
    with open(out / "metrics.jsonl", "w", encoding="utf-8") as file:
        record = MetricsFile(file, texts, evaluations)
        bar = TrainingBar(config.timesteps, texts, evaluations, console)
        interrupted = False
        try:
            algorithm.learn(config.timesteps, callback=CallbackList([texts, evaluations, record, bar]))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            bar.close()
    algorithm.policy.save_pretrained(out / "policy")  # type: ignore[operator]
    algorithm.save(out / "checkpoint.zip")
    after = _samples(algorithm, config)
    (out / "samples.md").write_text(samples_page(config, before, after, algorithm.num_timesteps), encoding="utf-8")
    _plot(config, texts, evaluations, out / "learning_curve.png")
    return Outcome(evaluations.history, algorithm.num_timesteps, interrupted)


def prepare(out: Path, overwrite: bool) -> Path:
    """An empty folder ``out``. With ``overwrite``, what an earlier training run wrote there is deleted first.

    Raises:
        ConfigError: there is something in it that may not be deleted.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {str(out)!r} is a file, expected a folder.")
    there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    foreign = [name for name in there if name not in (*FILES, *FOLDERS)]
    if there and not overwrite:
        raise ConfigError(
            f"The folder {str(out)!r} is not empty ({', '.join(there[:3])}). Name another with --out, or replace what "
            "is there with --overwrite."
        )
    if foreign:
        raise ConfigError(
            f"The folder {str(out)!r} holds {', '.join(foreign[:3])}, which no training run wrote: it stays as it is. "
            "Name another with --out."
        )
    for name in there:
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    out.mkdir(parents=True, exist_ok=True)
    return out


def _samples(algorithm: BaseAlgorithm, config: TrainConfig) -> list[Sample]:
    found = evaluate(
        algorithm,
        config.task,
        min(NUM_SAMPLES, config.eval_prompts),
        split=config.eval_split,
        env_kwargs=config.env_kwargs,
        metrics=[],
    )
    return found.samples


def samples_page(config: TrainConfig, before: Sequence[Sample], after: Sequence[Sample], timesteps: int) -> str:
    """The text of ``samples.md``."""
    parts = [
        f"# {config.task} by {config.model}, before and after {timesteps:,} tokens of {config.algo}",
        f"The first {len(before)} prompts of the {config.eval_split} split, sampled.",
    ]
    for number, (first, second) in enumerate(zip(before, after, strict=True), start=1):
        reference = {"Reference": first.references[0]} if first.references else {}
        texts = {**reference, "Before": first.completion, "After": second.completion}
        parts.append(markdown.sample_block(f"Prompt {number}", first.prompt, texts))
    return "\n\n".join(parts) + "\n"


def _plot(config: TrainConfig, texts: TextLogger, evaluations: EvaluateCallback, path: Path) -> None:
    rows = [row for row in texts.history if "reward" in row]
    held_out = [(row["timesteps"], row["reward"], float("nan"), float("nan")) for row in evaluations.history]
    curve = Curve(
        label=config.algo,
        runs=[([row["timesteps"] for row in rows], [row["reward"] for row in rows])],
        before=held_out[0][1] if held_out else None,
        held_out=held_out,
    )
    plot_curves({config.task: [curve]}, path)
