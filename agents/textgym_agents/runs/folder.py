"""The folder of a training run: what is in it, and the configuration that it was made with."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError
from textgym.tokenizer import BUILTIN_MODEL
from textgym_agents.report.provenance import model_hash, versions
from textgym_agents.report.secrets import without_hidden, without_secrets

# What `overwrite` may delete: nothing that a training run didn't write.
FILES = ("config.json", "metrics.jsonl", "samples.md", "learning_curve.png")
FOLDERS = ("policy", "best", "checkpoint", "checkpoint.new", "checkpoint.old", "logs")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and how.

    Attributes:
        task: id of the environment.
        algo: name from ``textgym_agents.ALGORITHMS``.
        model: name or folder.
        timesteps: tokens to train on.
        seed: of everything random.
        n_envs: rows, episodes played at once.
        kl_coef: coefficient of the KL to the reference model; None: the algorithm's default.
        lora: rank, or None to train all weights.
        split: prompts to train on.
        eval_split: held-out prompts, by default those for choices such as ``patience``.
        eval_every: tokens between evaluations; None: before and after only.
        eval_prompts: how many held-out prompts.
        stop_metric: what the best policy is chosen by, and ``patience`` looks at: "reward" or a metric of the task.
        patience: end after so many evaluations in a row without an improvement; None: never. Needs ``eval_every``.
        warm_start: tokens of the task's references to learn from first.
        checkpoint_every: tokens between checkpoints; None: a tenth of ``timesteps``, at most 100,000.
        schedule_timesteps: tokens over which schedules run, such as that of a learning rate; None: ``timesteps``.
        reward_transform: what training adds to the reward, such as "length_penalty=0.01"; evaluations are without it.
        schedules: arguments of ``Schedules``, such as {"learning_rate": "linear(4e-3, 0, 50000)"}.
        log: where scalars go beside metrics.jsonl: "csv", "tensorboard", "wandb", ...
        env_kwargs, policy_kwargs, algo_kwargs: arguments of the environment, the policy, the algorithm.
        plugins: modules that register tasks, rewards or algorithms, see ``textgym.plugins``. Imported first, also by
            a resumed run.
    """

    task: str
    algo: str = "ppo"
    model: str = BUILTIN_MODEL
    timesteps: int = 50_000
    seed: int = 0
    n_envs: int = 32
    kl_coef: float | None = None
    lora: int | None = None
    split: str = "train"
    eval_split: str = "validation"
    eval_every: int | None = None
    eval_prompts: int = 200
    stop_metric: str = "reward"
    patience: int | None = None
    warm_start: int = 0
    checkpoint_every: int | None = None
    schedule_timesteps: int | None = None
    reward_transform: str | None = None
    schedules: Mapping[str, str] = field(default_factory=dict)
    log: Sequence[str] = ()
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    algo_kwargs: Mapping[str, Any] = field(default_factory=dict)
    plugins: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("timesteps", "n_envs", "eval_prompts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if self.eval_every is not None and self.eval_every < 1:
            raise ConfigError(f"eval_every is {self.eval_every}, expected at least 1 token between two evaluations.")
        for name in ("checkpoint_every", "schedule_timesteps", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}, expected at least 1, or None.")
        if self.warm_start < 0:
            raise ConfigError(f"warm_start is {self.warm_start}, expected a number of tokens, 0 for none.")
        if self.patience is not None and self.eval_every is None:
            raise ConfigError(f"patience={self.patience} counts evaluations: say with eval_every when they take place.")


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


def read_config(out: Path) -> tuple[TrainConfig, dict[str, Any]]:
    """The configuration of a run, and all of its ``config.json``.

    Raises:
        ConfigError: there is no run.
    """
    try:
        stored: dict[str, Any] = json.loads((out / "config.json").read_text(encoding="utf-8"))
        return TrainConfig(**without_hidden(stored["config"])), stored
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"There is no training run in {str(out)!r}: no usable config.json ({error}).") from None


def store_config(config: TrainConfig, out: Path, stored: Mapping[str, Any]) -> None:
    """Write config.json; versions and hash are those of the beginning."""
    known = {
        "versions": versions(),
        "model_hash": model_hash(config.model),
        **stored,
        "config": without_secrets(asdict(config)),
    }
    ordered = {name: known[name] for name in ("command", "versions", "model_hash", "config")}
    (out / "config.json").write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
