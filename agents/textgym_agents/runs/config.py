"""The configuration of a training run, and the file ``config.json`` that keeps it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from textgym.border import existing, sentence
from textgym.errors import ConfigError
from textgym.plugins import load_plugins
from textgym.registration import default_model, short_name
from textgym.tokenizer import BUILTIN_MODELS
from textgym_agents.report.provenance import model_hash, versions
from textgym_agents.report.secrets import without_hidden, without_secrets
from textgym_agents.storage import write_atomically

STORED = ("command", "versions", "model_hash", "directory", "config")  # in config.json
# A resumed run may have another length, and the model another place: its hash is compared.
# Not in the name of a run's folder, or at its beginning.
NOT_NAMED = {"task", "algo", "seed", "timesteps", "plugins", "checkpoint_every", "log", "split", "eval_split"}
NOT_NAMED |= {"eval_every", "eval_prompts", "stop_metric", "pause_at"}
LONGEST_NAME = 120
MAY_CHANGE = ("timesteps", "schedule_timesteps", "log", "model")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and how.

    Attributes:
        task: id of the environment.
        algo: name from ``textgym_agents.ALGORITHMS``.
        model: name or folder; empty: the task's default model, whose name is then here.
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
        average: decay of an average of the weights, which is evaluated and saved as the policy; None: none is kept.
        pause_at: share of rewards that failed lately above which training pauses, see ``CircuitBreaker``; 1: never.
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
    model: str = ""
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
    average: float | None = None
    pause_at: float = 0.5
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
        if not self.model:
            load_plugins(self.plugins, installed=False)  # one may register the task
            object.__setattr__(self, "model", default_model(self.task, self.env_kwargs))
        for name in ("timesteps", "n_envs", "eval_prompts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if self.eval_every is not None and self.eval_every < 1:
            raise ConfigError(f"eval_every is {self.eval_every}, expected at least 1 token between two evaluations.")
        for name in ("checkpoint_every", "schedule_timesteps", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}, expected at least 1, or None.")
        if self.average is not None and not 0 <= self.average < 1:
            raise ConfigError(f"average is {self.average}, expected at least 0 and less than 1, or None.")
        if not 0 < self.pause_at <= 1:
            raise ConfigError(f"pause_at is {self.pause_at}, expected a share above 0, or 1 for never.")
        if self.warm_start < 0:
            raise ConfigError(f"warm_start is {self.warm_start}, expected a number of tokens, 0 for none.")
        if self.patience is not None and self.eval_every is None:
            raise ConfigError(f"patience={self.patience} counts evaluations: say with eval_every when they take place.")


def with_whole_paths(config: TrainConfig) -> TrainConfig:
    """The same with absolute paths of the model and the data, so that a run can be resumed from any directory."""
    env_kwargs, algo_kwargs = dict(config.env_kwargs), dict(config.algo_kwargs)
    if "dataset" in env_kwargs:
        env_kwargs["dataset"] = _whole(env_kwargs["dataset"])
    load_kwargs = env_kwargs.get("load_kwargs")
    if isinstance(load_kwargs, Mapping):
        paths = {name: _whole(load_kwargs[name]) for name in ("data_files", "data_dir") if name in load_kwargs}
        env_kwargs["load_kwargs"] = {**load_kwargs, **paths}
    if "episodes" in algo_kwargs:  # a log
        algo_kwargs["episodes"] = _whole(algo_kwargs["episodes"])
    return replace(
        config,
        model=config.model if config.model in BUILTIN_MODELS else _whole(config.model),
        env_kwargs=env_kwargs,
        algo_kwargs=algo_kwargs,
        plugins=[_whole(name) if name.endswith(".py") else name for name in config.plugins],
    )


def _whole(value: Any) -> Any:
    """A path that is there as an absolute one, also several in a list, a dict or one text; any other value as it is."""
    if isinstance(value, Mapping):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(one) for one in value]
    if not isinstance(value, str | Path):
        return value
    if existing(value):
        return str(Path(value).expanduser().absolute())
    parts = str(value).split(",")  # parallel texts
    return ",".join(map(_whole, parts)) if len(parts) > 1 and all(map(existing, parts)) else value


def read_config(out: Path) -> tuple[TrainConfig, dict[str, Any]]:
    """The configuration of a run, and all of its ``config.json``.

    Raises:
        ConfigError: there is no run.
    """
    path = out / "config.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        config = TrainConfig(**without_hidden(stored["config"]))
        missing = [name for name in STORED if name not in stored]
        wrong = [name for name, kinds in _kinds().items() if not isinstance(getattr(config, name), kinds)]
    except FileNotFoundError:
        raise ConfigError(f"There is no training run in {str(out)!r}: no usable config.json (it has none).") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"There is no training run in {str(out)!r}: no usable config.json. {sentence(error)}"
        ) from None
    if missing or wrong or not isinstance(stored["versions"], Mapping):
        what = ", ".join([f"{name} is missing" for name in missing] + [f"{name} is of a wrong kind" for name in wrong])
        raise ConfigError(f"{str(path)!r} is not as a run wrote it: {what or 'versions are no object'}.")
    return config, stored


def _kinds() -> dict[str, Any]:
    """What ``isinstance`` may ask of each setting."""
    hints = get_type_hints(TrainConfig)
    return {name: get_origin(hint) if get_origin(hint) in (Mapping, Sequence) else hint for name, hint in hints.items()}


def store_config(config: TrainConfig, out: Path, stored: Mapping[str, Any]) -> None:
    """Write config.json; versions, hash and directory are those of the beginning.

    Raises:
        ConfigError: it holds something that JSON can't.
    """
    begun = {"versions": versions(), "model_hash": model_hash(config.model), "directory": str(Path.cwd())}
    known = {**begun, **stored, "config": without_secrets(asdict(config))}
    text = json.dumps({name: known[name] for name in STORED}, indent=2, default=_refuse) + "\n"
    write_atomically(out / "config.json", text, "the configuration")


def _refuse(value: object) -> None:
    raise ConfigError(
        f"A {type(value).__name__} can't be stored in a run's config.json, so the run could not be resumed. Pass its "
        "name, or text and numbers."
    )


def as_json(config: TrainConfig) -> dict[str, Any]:
    """A configuration as JSON brings it back, without secrets."""
    plain: dict[str, Any] = json.loads(json.dumps(without_secrets(asdict(config)), default=_refuse))
    return plain


def differences(config: TrainConfig, saved: Mapping[str, Any]) -> list[str]:
    """What differs between a configuration and that of a checkpoint, as lines; its length may, and where it logs to."""
    here, saved = without_hidden(as_json(config)), without_hidden(saved)
    return [
        f"{name}: {saved.get(name)!r} in the checkpoint, {value!r} in config.json"
        for name, value in here.items()
        if name not in MAY_CHANGE and saved.get(name) != value
    ]


def default_folder(config: TrainConfig) -> Path:
    """Where a run goes if nobody says: ``runs/TASK-ALGO-SEED``, and the options that differ from their defaults.

    >>> str(default_folder(TrainConfig("textgym/Copy-v1", "rloo", timesteps=100)))
    'runs/Copy-rloo-0'
    >>> str(default_folder(TrainConfig("textgym/Copy-v1", lora=4, algo_kwargs={"learning_rate": 1e-3})))
    'runs/Copy-ppo-0-lora=4-learning_rate=0.001'
    """
    usual = TrainConfig(config.task)
    found: dict[str, Any] = {}
    for one in fields(TrainConfig):
        value = getattr(config, one.name)
        if one.name not in NOT_NAMED and value != getattr(usual, one.name):
            found |= without_secrets(value if isinstance(value, Mapping) else {one.name: value})
    words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in found.items()]
    name = "-".join([short_name(config.task), config.algo, str(config.seed), *words])
    plain = re.sub(r"[^\w.,=+-]+", "_", name)
    if len(plain) > LONGEST_NAME:
        plain = f"{plain[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return Path("runs") / plain
