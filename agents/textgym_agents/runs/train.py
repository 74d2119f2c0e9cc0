"""One training run in a folder: what ``textgym train`` does."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from textgym.border import reading, writing
from textgym.errors import ConfigError
from textgym.plugins import load_plugins
from textgym.registration import split_argument
from textgym_agents.algorithms import make
from textgym_agents.algorithms.bc import warm_start
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.callbacks.averaging import WeightAveraging
from textgym_agents.callbacks.circuit_breaker import CircuitBreaker
from textgym_agents.callbacks.evaluation import MODEL_FILES
from textgym_agents.callbacks.health import HealthCheck
from textgym_agents.callbacks.noise_scale import NoiseScale
from textgym_agents.callbacks.progress import MetricsFile, TrainingBar
from textgym_agents.callbacks.schedules import Schedules
from textgym_agents.checkpoint import CheckpointCallback, find_checkpoint, load_checkpoint, read_state
from textgym_agents.checkpoint.plain_state import unpack
from textgym_agents.evaluation.held_out import evaluate
from textgym_agents.evaluation.statistics import intervals
from textgym_agents.report.provenance import command_line, model_hash, versions
from textgym_agents.report.secrets import without_secrets
from textgym_agents.runs.config import TrainConfig, as_json, differences, read_config, store_config, with_whole_paths
from textgym_agents.runs.folder import check_free, clear, leaving_nothing, tidy
from textgym_agents.runs.judge_costs import judge_costs
from textgym_agents.runs.loggers import logger_for
from textgym_agents.runs.report import SamplesOnTheWay, Shown, after, as_plain, plot, samples_page
from textgym_agents.storage import locked, replacing_folder, write_atomically

NUM_SAMPLES = 5
CHECKPOINT, METRICS = "checkpoint", "metrics.jsonl"
MOST_BETWEEN = 100_000  # tokens between checkpoints, by default


@dataclass(frozen=True)
class Outcome:
    """What a run ended with.

    Attributes:
        evaluations: one dict per evaluation on held-out prompts: ``timesteps``, ``reward`` and the metrics.
        timesteps: tokens trained on.
        interrupted: whether Ctrl-C ended it.
        stopped_early: whether it ended early because held-out scores no longer improved.
        interval: 95 % bootstrap interval, over the prompts, of the difference of the reward from the first evaluation
            to the last; None: there was one evaluation.
    """

    evaluations: list[dict[str, float]]
    timesteps: int
    interrupted: bool
    stopped_early: bool = False
    interval: tuple[float, float] | None = None


def train(
    config: TrainConfig, out: str | Path, *, overwrite: bool = False, command: Sequence[str] = (), progress: bool = True
) -> Outcome:
    """Train, and write everything into ``out``, also when Ctrl-C (or a TERM signal turned into it) ends the run early.

    ``config.json`` (what ran, with which versions), ``metrics.jsonl`` (a line for each rollout and each evaluation, at
    once), ``policy/`` (for ``transformers`` and for ``model=``), ``checkpoint/`` (for :func:`resume`), ``best/`` (with
    ``eval_every``: the policy with the best held-out ``stop_metric``), ``learning_curve.png``, ``samples.md``
    (completions and their rewards before, in the middle and after). With ``average``, policy, best policy, evaluations
    and samples are of the averaged weights.

    Raises:
        ConfigError: ``out`` is not empty and ``overwrite`` is false, another process works in it, or the configuration
            makes no sense. A run that fails before its first rollout leaves no folder.
        StorageError: the disk is full. The last checkpoint stays.
    """
    out = Path(out)
    check_free(out, overwrite)
    every = config.checkpoint_every or min(max(config.timesteps // 10, 1), MOST_BETWEEN)
    config = replace(config, checkpoint_every=every, schedule_timesteps=config.schedule_timesteps or config.timesteps)
    config = with_whole_paths(config)
    begun = False

    def has_begun() -> bool:
        saved = (out / CHECKPOINT).is_dir()
        return not begun or _num_rollouts(out) > 0 or (saved and (config.warm_start > 0 or _num_saved(out) > 0))

    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    with locked(out), leaving_nothing(out, made, has_begun):
        check_free(out, overwrite)  # another run may have ended meanwhile
        algorithm = _algorithm(config)  # what is wrong with the arguments shows before anything is deleted
        begun = True
        clear(out)
        store_config(config, out, {"command": command_line(command)})
        return _run(config, algorithm, out, progress, resumed=False)


def resume(
    out: str | Path, *, timesteps: int | None = None, schedule_timesteps: int | None = None, progress: bool = True
) -> Outcome:
    """Continue a run of :func:`train` from its last checkpoint, however it ended.

    The result equals that of an uninterrupted run to the last digit, on the same machine and with the same versions:
    tokens, losses, weights, and the files, except for seconds and speeds. Lines of ``metrics.jsonl`` after the
    checkpoint are cut off. A run that was ended before its first rollout, and so its first checkpoint, begins anew.

    Args:
        out: folder of the run.
        timesteps: tokens of the whole run. None: as before.
        schedule_timesteps: tokens over which schedules run. None: as before, so that schedules that have reached their
            end stay there.

    Raises:
        ConfigError: there is no run in ``out``, another process works in it, its checkpoint is gone or isn't as it was
            saved, or its model or its configuration has changed.
        StorageError: the disk is full. The last checkpoint stays.
    """
    out = Path(out)
    read_config(out)  # no lock where no run is
    with locked(out):
        tidy(out)
        return _resume(out, timesteps, schedule_timesteps, progress)


def _resume(out: Path, timesteps: int | None, schedule_timesteps: int | None, progress: bool) -> Outcome:
    config, stored = read_config(out)
    _check_unchanged(config, stored)
    resumed = find_checkpoint(out / CHECKPOINT) is not None
    if resumed:
        _check_config(config, out)
    elif _num_rollouts(out):
        raise ConfigError(
            f"The run in {str(out)!r} has rollouts and no checkpoint: to begin anew would erase them. Put its folder "
            f"{CHECKPOINT!r} back, or begin again with --overwrite."
        )
    longer = replace(
        config,
        timesteps=config.timesteps if timesteps is None else timesteps,
        schedule_timesteps=config.schedule_timesteps if schedule_timesteps is None else schedule_timesteps,
    )
    if longer != config:
        store_config(longer, out, {name: value for name, value in stored.items() if name != "config"})
    if config.plugins and Path(stored["directory"]).is_dir() and stored["directory"] not in sys.path:
        sys.path.append(stored["directory"])  # where modules were found when the run began
    return _run(longer, _algorithm(longer), out, progress, resumed=resumed)


def _check_unchanged(config: TrainConfig, stored: Mapping[str, Any]) -> None:
    """Raises ConfigError for another model; other versions are warned of."""
    now = model_hash(config.model)
    if stored["model_hash"] is not None and now is None:
        raise ConfigError(
            f"The model {config.model!r} isn't there any more. Put it back, or write its new place into config.json."
        )
    if stored["model_hash"] != now:
        raise ConfigError(f"The model {config.model!r} has changed since this run began: it can't continue exactly.")
    if stored["versions"] != versions():
        changed = [f"{name} {old} -> {versions().get(name)}" for name, old in stored["versions"].items()]
        changed = [text for text in changed if text.split(" ")[1] != text.split(" ")[-1]]
        warnings.warn(f"Versions have changed, so numbers may differ: {', '.join(changed)}.", stacklevel=2)


def _check_config(config: TrainConfig, out: Path) -> None:
    """Raises ConfigError where config.json isn't that of the checkpoint."""
    with reading("checkpoint", out / CHECKPOINT, ConfigError):
        saved: dict[str, Any] = unpack(read_state(out / CHECKPOINT)["more"]["config"], {})
        changed = differences(config, saved)
    if changed:
        listed = "\n  ".join(changed)
        raise ConfigError(
            f"config.json in {str(out)!r} has changed since the checkpoint was saved:\n  {listed}\n"
            "Undo that to resume the run, or begin another one."
        )


def _num_rollouts(out: Path) -> int:
    """How many rollouts are in a run's metrics."""
    try:
        lines = (out / METRICS).read_bytes().splitlines()
    except OSError:
        return 0
    return sum(line.startswith(b'{"kind": "rollout"') for line in lines)


def _num_saved(out: Path) -> int:
    """The tokens of a run's checkpoint, which a replay buffer may have before the first row of metrics."""
    try:
        return int(read_state(out / CHECKPOINT)["num_timesteps"])
    except (ConfigError, OSError, ValueError, KeyError):
        return 0


class _Callbacks(NamedTuple):
    """What watches a run, in the order in which SB3 calls it.

    The first three come before checkpoints: what they take from an update is saved with it, and no broken weights are.
    The breaker comes right after them: evaluations need a reward that answers too.
    """

    noise: NoiseScale
    health: HealthCheck
    averaging: WeightAveraging | None
    breaker: CircuitBreaker
    schedules: Schedules | None
    completions: TextLogger
    evaluations: EvaluateCallback
    samples: SamplesOnTheWay
    record: MetricsFile

    def named(self) -> dict[str, BaseCallback]:
        return {name: callback for name, callback in self._asdict().items() if callback is not None}


def _run(config: TrainConfig, algorithm: BaseAlgorithm, out: Path, progress: bool, *, resumed: bool) -> Outcome:
    console = Console(stderr=True, quiet=not progress)
    if config.log:
        # A resumed run writes files of its own: scalars between the checkpoint and its end would come twice.
        folder = out / "logs" / f"from-{len(list((out / 'logs').glob('from-*')))}"
        algorithm.set_logger(logger_for(folder, config.log, config=without_secrets(asdict(config))))
    callbacks = _callbacks(config, out, lambda: _samples(algorithm, config))
    kept = load_checkpoint(algorithm, out / CHECKPOINT, callbacks=callbacks.named()) if resumed else {}
    if progress and (costs := judge_costs(algorithm, config)) is not None:
        console.print(f"judge: {costs}", highlight=False, markup=False, soft_wrap=True)
    if not resumed:
        kept = {"before": _samples(algorithm, config)}
        if config.warm_start:
            console.print(f"warm start: {config.warm_start:,} tokens of references", highlight=False)
            warm_start(algorithm, config.warm_start)
    assert config.checkpoint_every is not None
    checkpoint = CheckpointCallback(
        out / CHECKPOINT,
        config.checkpoint_every,
        callbacks.named(),
        more={"before": kept["before"], "config": as_json(config)},
        resumed=kept if resumed else None,
    )
    callbacks.breaker.checkpoint = checkpoint
    first = [callback for callback in callbacks[:3] if callback is not None]
    others = [callback for callback in callbacks[3:] if callback is not None]
    bar = TrainingBar(config.timesteps, callbacks.completions, callbacks.evaluations, console)
    with writing("logs", out / "logs"), closing(bar), closing(callbacks.record):
        interrupted = _learn(algorithm, config, [*first, checkpoint, *others, bar], resumed)
    answers = {"Before": kept["before"], **callbacks.samples.midway(algorithm.num_timesteps)}
    with nullcontext() if callbacks.averaging is None else callbacks.averaging.applied():
        with replacing_folder(out / "policy", "the policy", MODEL_FILES) as new:
            algorithm.policy.save_pretrained(new)  # type: ignore[operator]
        answers[after(algorithm.num_timesteps)] = _samples(algorithm, config)
    page = samples_page(config, algorithm.num_timesteps, answers)
    write_atomically(out / "samples.md", page, "the samples")
    completions, evaluations = callbacks.completions, callbacks.evaluations
    plot(config, completions.history, evaluations.history, out / "learning_curve.png")
    interval = None
    if len(evaluations.history) > 1:
        differences = np.subtract(evaluations.last_rewards, evaluations.first_rewards)
        interval = intervals(differences, [], [])["reward"]
    return Outcome(evaluations.history, algorithm.num_timesteps, interrupted, evaluations.stopped_early, interval)


def _algorithm(config: TrainConfig) -> BaseAlgorithm:
    load_plugins(config.plugins)
    return make(
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


def _callbacks(config: TrainConfig, out: Path, take: Callable[[], Shown]) -> _Callbacks:
    schedules: dict[str, Any] = dict(config.schedules)
    completions = TextLogger()
    averaging = None if config.average is None else WeightAveraging(config.average)
    evaluations = EvaluateCallback(
        config.task,
        config.eval_every or sys.maxsize,
        config.eval_prompts,
        split=config.eval_split,
        env_kwargs=dict(config.env_kwargs),
        metric=config.stop_metric,
        patience=config.patience,
        best_folder=out / "best" if config.eval_every else None,
        averaging=averaging,
    )
    record = MetricsFile(out / METRICS, completions, evaluations)
    scheduled = Schedules(**schedules) if schedules else None

    def take_averaged() -> Shown:
        with nullcontext() if averaging is None else averaging.applied():
            return take()

    samples = SamplesOnTheWay(take_averaged)
    breaker = CircuitBreaker(config.pause_at)
    return _Callbacks(
        NoiseScale(), HealthCheck(), averaging, breaker, scheduled, completions, evaluations, samples, record
    )


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


def _samples(algorithm: BaseAlgorithm, config: TrainConfig) -> Shown:
    """What ``samples.md`` shows of the first held-out prompts."""
    evaluation = evaluate(
        algorithm,
        config.task,
        min(NUM_SAMPLES, config.eval_prompts),
        split=config.eval_split,
        env_kwargs=config.env_kwargs,
        metrics=[],
    )
    return as_plain(evaluation)
