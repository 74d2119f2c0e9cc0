"""One training run in a folder: what ``textgym train`` does."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import CallbackList

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.registration import split_argument
from textgym_agents.algorithms import make
from textgym_agents.algorithms.bc import warm_start
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.callbacks.health import HealthCheck
from textgym_agents.callbacks.progress import MetricsFile, TrainingBar
from textgym_agents.callbacks.schedules import Schedules
from textgym_agents.checkpoint import CheckpointCallback, find_checkpoint, load_checkpoint
from textgym_agents.evaluation.held_out import evaluate
from textgym_agents.report import markdown
from textgym_agents.report.curves import Curve, plot_curves
from textgym_agents.report.provenance import command_line, model_hash, versions
from textgym_agents.runs.folder import TrainConfig, prepare, read_config, store_config
from textgym_agents.runs.loggers import logger_for

NUM_SAMPLES = 5
CHECKPOINT = "checkpoint"
MOST_BETWEEN = 100_000  # tokens between checkpoints, unless told otherwise


@dataclass(frozen=True)
class Outcome:
    """What a run ended with.

    Attributes:
        evaluations: one dict per evaluation on held-out prompts: ``timesteps``, ``reward`` and the metrics.
        timesteps: tokens trained on.
        interrupted: whether Ctrl-C ended it.
        stopped_early: whether it ended for want of improvement.
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
    ``eval_every``: the policy with the best held-out ``stop_metric``), ``learning_curve.png``, ``samples.md`` (texts
    before and after).

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
    """Go on with a run of :func:`train` from its last checkpoint, however it ended.

    What comes is what would have come without the interruption, number for number, on the same machine and with the
    same versions: tokens, losses, weights, and the files, except for seconds and speeds. What ``metrics.jsonl`` has
    beyond the checkpoint is cut off. A run that has no checkpoint yet begins anew.

    Args:
        out: folder of the run.
        timesteps: tokens that the whole run is to have. None: as many as it was begun with.
        schedule_timesteps: tokens over which schedules run. None: as before, so that those of a run that was at its end
            stay there.

    Raises:
        ConfigError: there is no run in ``out``, or its model has changed.
    """
    out = Path(out)
    config, stored = read_config(out)
    if stored["model_hash"] != model_hash(config.model):
        raise ConfigError(f"The model {config.model!r} has changed since this run began: it can't go on exactly.")
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


def _run(config: TrainConfig, out: Path, progress: bool, *, resumed: bool) -> Outcome:
    console = Console(stderr=True, quiet=not progress)
    algorithm = make(
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
        # A run that goes on writes into files of its own: scalars between the checkpoint and its end would come twice.
        folder = out / "logs" / f"from-{len(list((out / 'logs').glob('from-*')))}"
        algorithm.set_logger(logger_for(folder, config.log, config=asdict(config)))
    given: dict[str, Any] = dict(config.schedules)
    schedules = {"schedules": Schedules(**given)} if given else {}
    texts, health = TextLogger(), HealthCheck()
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
    record = MetricsFile(out / "metrics.jsonl", texts, evaluations)
    kept = {"texts": texts, "health": health, "evaluations": evaluations, "record": record, **schedules}
    if resumed:
        more = load_checkpoint(algorithm, out / CHECKPOINT, callbacks=kept)
    else:
        more = {"before": [_texts(sample) for sample in _samples(algorithm, config)]}
        if config.warm_start:
            console.print(f"warm start: {config.warm_start:,} tokens of references", highlight=False)
            warm_start(algorithm, config.warm_start)
    assert config.checkpoint_every is not None
    checkpoint = CheckpointCallback(
        out / CHECKPOINT,
        config.checkpoint_every,
        kept,
        more={"before": more["before"]},
        resumed=more if resumed else None,
    )
    bar = TrainingBar(config.timesteps, texts, evaluations, console)
    interrupted = False
    try:
        with schedules_over(algorithm, config.schedule_timesteps or config.timesteps):
            algorithm.learn(
                max(0, config.timesteps - algorithm.num_timesteps),
                # Health comes first, so that no checkpoint is made of broken weights.
                callback=CallbackList([health, checkpoint, *schedules.values(), texts, evaluations, record, bar]),
                reset_num_timesteps=not resumed,
            )
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
        record.close()
        if config.log:
            algorithm.logger.close()
    algorithm.policy.save_pretrained(out / "policy")  # type: ignore[operator]
    after = _samples(algorithm, config)
    before = [Sample(**{**one, "references": tuple(one["references"])}) for one in more["before"]]
    (out / "samples.md").write_text(samples_page(config, before, after, algorithm.num_timesteps), encoding="utf-8")
    _plot(config, texts, evaluations, out / "learning_curve.png")
    return Outcome(evaluations.history, algorithm.num_timesteps, interrupted, evaluations.stopped_early)


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


def _texts(sample: Sample) -> dict[str, Any]:
    """What ``samples.md`` shows of a sample, as plain values."""
    return {"prompt": sample.prompt, "completion": sample.completion, "references": list(sample.references)}


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
