"""One training run in a folder: what ``textgym train`` does."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from textgym.errors import ConfigError
from textgym.plugins import load_plugins
from textgym.registration import split_argument
from textgym_agents.algorithms import make
from textgym_agents.algorithms.bc import warm_start
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.callbacks.health import HealthCheck
from textgym_agents.callbacks.progress import MetricsFile, TrainingBar
from textgym_agents.callbacks.schedules import Schedules
from textgym_agents.checkpoint import CheckpointCallback, find_checkpoint, load_checkpoint
from textgym_agents.evaluation.held_out import evaluate
from textgym_agents.report.provenance import command_line, model_hash, versions
from textgym_agents.report.secrets import without_secrets
from textgym_agents.runs.folder import TrainConfig, prepare, read_config, store_config
from textgym_agents.runs.loggers import logger_for
from textgym_agents.runs.report import as_plain, plot, samples_page

NUM_SAMPLES = 5
CHECKPOINT = "checkpoint"
MOST_BETWEEN = 100_000  # tokens between checkpoints, by default


@dataclass(frozen=True)
class Outcome:
    """What a run ended with.

    Attributes:
        evaluations: one dict per evaluation on held-out prompts: ``timesteps``, ``reward`` and the metrics.
        timesteps: tokens trained on.
        interrupted: whether Ctrl-C ended it.
        stopped_early: whether it ended early because held-out scores no longer improved.
    """

    evaluations: list[dict[str, float]]
    timesteps: int
    interrupted: bool
    stopped_early: bool = False


def train(
    config: TrainConfig, out: str | Path, *, overwrite: bool = False, command: Sequence[str] = (), progress: bool = True
) -> Outcome:
    """Train, and write everything into ``out``, also when Ctrl-C (or a TERM signal turned into it) ends the run early.

    ``config.json`` (what ran, with which versions), ``metrics.jsonl`` (a line for each rollout and each evaluation, at
    once), ``policy/`` (for ``transformers`` and for ``model=``), ``checkpoint/`` (for :func:`resume`), ``best/`` (with
    ``eval_every``: the policy with the best held-out ``stop_metric``), ``learning_curve.png``, ``samples.md``
    (completions before and after).

    Raises:
        ConfigError: ``out`` is not empty and ``overwrite`` is false, or the configuration makes no sense.
    """
    out = prepare(Path(out), overwrite)
    every = config.checkpoint_every or min(max(config.timesteps // 10, 1), MOST_BETWEEN)
    config = replace(config, checkpoint_every=every, schedule_timesteps=config.schedule_timesteps or config.timesteps)
    store_config(config, out, {"command": command_line(command)})
    return _run(config, out, progress, resumed=False)


def resume(
    out: str | Path, *, timesteps: int | None = None, schedule_timesteps: int | None = None, progress: bool = True
) -> Outcome:
    """Continue a run of :func:`train` from its last checkpoint, however it ended.

    The result equals that of an uninterrupted run to the last digit, on the same machine and with the same versions:
    tokens, losses, weights, and the files, except for seconds and speeds. Lines of ``metrics.jsonl`` after the
    checkpoint are cut off. A run that has no checkpoint yet begins anew.

    Args:
        out: folder of the run.
        timesteps: tokens of the whole run. None: as before.
        schedule_timesteps: tokens over which schedules run. None: as before, so that schedules that have reached their
            end stay there.

    Raises:
        ConfigError: there is no run in ``out``, or its model has changed.
    """
    out = Path(out)
    config, stored = read_config(out)
    if stored["model_hash"] != model_hash(config.model):
        raise ConfigError(f"The model {config.model!r} has changed since this run began: it can't continue exactly.")
    if stored["versions"] != versions():
        changed = [f"{name} {old} -> {versions().get(name)}" for name, old in stored["versions"].items()]
        changed = [text for text in changed if text.split(" ")[1] != text.split(" ")[-1]]
        warnings.warn(f"Versions have changed, so numbers may differ: {', '.join(changed)}.", stacklevel=2)
    longer = replace(
        config,
        timesteps=config.timesteps if timesteps is None else timesteps,
        schedule_timesteps=config.schedule_timesteps if schedule_timesteps is None else schedule_timesteps,
    )
    if longer != config:
        store_config(longer, out, {name: value for name, value in stored.items() if name != "config"})
    return _run(longer, out, progress, resumed=find_checkpoint(out / CHECKPOINT) is not None)


class _Callbacks(NamedTuple):
    """What watches a run, in the order in which SB3 calls it. Health comes first: no checkpoint of broken weights."""

    health: HealthCheck
    schedules: Schedules | None
    completions: TextLogger
    evaluations: EvaluateCallback
    record: MetricsFile

    def named(self) -> dict[str, BaseCallback]:
        return {name: callback for name, callback in self._asdict().items() if callback is not None}


def _run(config: TrainConfig, out: Path, progress: bool, *, resumed: bool) -> Outcome:
    console = Console(stderr=True, quiet=not progress)
    algorithm = _algorithm(config, out)
    callbacks = _callbacks(config, out)
    if resumed:
        kept = load_checkpoint(algorithm, out / CHECKPOINT, callbacks=callbacks.named())
    else:
        kept = {"before": _samples(algorithm, config)}
        if config.warm_start:
            console.print(f"warm start: {config.warm_start:,} tokens of references", highlight=False)
            warm_start(algorithm, config.warm_start)
    assert config.checkpoint_every is not None
    checkpoint = CheckpointCallback(
        out / CHECKPOINT,
        config.checkpoint_every,
        callbacks.named(),
        more={"before": kept["before"]},
        resumed=kept if resumed else None,
    )
    health, *others = callbacks.named().values()
    bar = TrainingBar(config.timesteps, callbacks.completions, callbacks.evaluations, console)
    with closing(bar), closing(callbacks.record):
        interrupted = _learn(algorithm, config, [health, checkpoint, *others, bar], resumed)
    algorithm.policy.save_pretrained(out / "policy")  # type: ignore[operator]
    page = samples_page(config, kept["before"], _samples(algorithm, config), algorithm.num_timesteps)
    (out / "samples.md").write_text(page, encoding="utf-8")
    completions, evaluations = callbacks.completions, callbacks.evaluations
    plot(config, completions.history, evaluations.history, out / "learning_curve.png")
    return Outcome(evaluations.history, algorithm.num_timesteps, interrupted, evaluations.stopped_early)


def _algorithm(config: TrainConfig, out: Path) -> BaseAlgorithm:
    load_plugins(config.plugins)
    made = make(
        config.algo,
        config.task,
        config.model,
        n_envs=config.n_envs,
        seed=config.seed,
        kl_coef=config.kl_coef,
        lora=config.lora,
        env_kwargs={**config.env_kwargs, **split_argument(config.task, config.split)},
        policy_kwargs=config.policy_kwargs,
        reward_transform=config.reward_transform,
        **config.algo_kwargs,
    )
    if config.log:
        # A resumed run writes files of its own: scalars between the checkpoint and its end would come twice.
        folder = out / "logs" / f"from-{len(list((out / 'logs').glob('from-*')))}"
        made.set_logger(logger_for(folder, config.log, config=without_secrets(asdict(config))))
    return made


def _callbacks(config: TrainConfig, out: Path) -> _Callbacks:
    schedules: dict[str, Any] = dict(config.schedules)
    completions = TextLogger()
    evaluations = EvaluateCallback(
        config.task,
        config.eval_every or sys.maxsize,
        config.eval_prompts,
        split=config.eval_split,
        env_kwargs=dict(config.env_kwargs),
        metric=config.stop_metric,
        patience=config.patience,
        best_folder=out / "best" if config.eval_every else None,
    )
    record = MetricsFile(out / "metrics.jsonl", completions, evaluations)
    return _Callbacks(HealthCheck(), Schedules(**schedules) if schedules else None, completions, evaluations, record)


def _learn(algorithm: BaseAlgorithm, config: TrainConfig, callbacks: list[BaseCallback], resumed: bool) -> bool:
    """Train for the tokens that are left. Returns whether Ctrl-C ended it."""
    try:
        with schedules_over(algorithm, config.schedule_timesteps or config.timesteps):
            algorithm.learn(
                max(0, config.timesteps - algorithm.num_timesteps),
                callback=CallbackList(callbacks),
                reset_num_timesteps=not resumed,
            )
    except KeyboardInterrupt:
        return True
    finally:
        if config.log:
            algorithm.logger.close()
    return False


@contextmanager
def schedules_over(algorithm: BaseAlgorithm, timesteps: int) -> Iterator[None]:
    """Within the block, schedules of progress run over so many tokens and stay at their end.

    SB3's run over what ``learn`` was asked for, and a little beyond their end with the last rollout.
    """
    update = algorithm._update_current_progress_remaining

    def over(num_timesteps: int, total_timesteps: int) -> None:
        update(min(num_timesteps, timesteps), timesteps)

    algorithm._update_current_progress_remaining = over  # type: ignore[method-assign]
    try:
        yield
    finally:
        del algorithm._update_current_progress_remaining


def _samples(algorithm: BaseAlgorithm, config: TrainConfig) -> list[dict[str, Any]]:
    """What ``samples.md`` shows of the first held-out prompts."""
    found = evaluate(
        algorithm,
        config.task,
        min(NUM_SAMPLES, config.eval_prompts),
        split=config.eval_split,
        env_kwargs=config.env_kwargs,
        metrics=[],
    )
    return [as_plain(sample) for sample in found.samples]
