"""``textgym train``."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from textgym.errors import ConfigError
from textgym.tokenizer import BUILTIN_MODEL
from textgym_agents.cli import options

if TYPE_CHECKING:
    from textgym_agents.runs.folder import TrainConfig
    from textgym_agents.runs.train import Outcome


RUN = "Run"
WITH_RESUME = {"resume", "timesteps", "schedule_timesteps"}


def train(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", show_default=False, help="An id, or its middle: DataToText is textgym/DataToText-v0."
        ),
    ] = None,
    algo: Annotated[str, typer.Option(rich_help_panel="Algorithm", help="See list --algorithms.")] = "ppo",
    model: options.Model = BUILTIN_MODEL,
    timesteps: Annotated[int, typer.Option(min=1, help="Tokens to train on.")] = 50_000,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where everything goes. Default: runs/TASK-ALGO-SEED.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel=RUN,
            help="Go on with the run in this folder, whose settings hold; --timesteps makes it longer.",
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=RUN,
            help="Tokens between checkpoints. Default: a tenth of --timesteps, at most 100,000.",
        ),
    ] = None,
    schedule_timesteps: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=RUN,
            help="Tokens over which schedules run. Default: --timesteps; with --resume, as before.",
        ),
    ] = None,
    warm_start: Annotated[
        int,
        typer.Option(min=0, rich_help_panel=RUN, help="First learn from so many tokens of the task's references."),
    ] = 0,
    reward: options.Reward = None,
    dataset: options.Dataset = None,
    split: Annotated[str, typer.Option(rich_help_panel="Environment", help="Prompts to train on.")] = "train",
    eval_split: Annotated[str, typer.Option(rich_help_panel="Evaluation", help="Held-out prompts.")] = "validation",
    eval_every: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel="Evaluation", help="Tokens between evaluations. Default: before and after only."
        ),
    ] = None,
    eval_prompts: Annotated[
        int, typer.Option(min=1, rich_help_panel="Evaluation", help="How many held-out prompts.")
    ] = 200,
    stop_metric: Annotated[
        str,
        typer.Option(
            metavar="NAME", rich_help_panel="Evaluation", help="What best/ and --patience go by: reward or a metric."
        ),
    ] = "reward",
    patience: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel="Evaluation", help="End after so many evaluations in a row that were no better."
        ),
    ] = None,
    n_envs: options.NumEnvs = 32,
    kl_coef: options.Kl = None,
    lora: options.Lora = None,
    learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel="Algorithm", help="Default: the algorithm's own.")
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SCHEDULE",
            rich_help_panel="Algorithm",
            help="In tokens: 'learning_rate=linear(4e-3, 0, 50000)', 'kl_coef=cosine(0.1, 0.01, 50000)'. "
            "Can be repeated.",
        ),
    ] = None,
    reward_transform: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            rich_help_panel="Environment",
            help="Change training's reward: 'length_penalty=0.01, missing_eos_penalty=0.5, clip=-1:1, whiten'.",
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(metavar="NAMES", rich_help_panel=RUN, help="Scalars also to csv, tensorboard, wandb (commas)."),
    ] = None,
    temperature: options.Temperature = None,
    max_new_tokens: options.MaxNewTokens = None,
    max_prompt_tokens: options.MaxPromptTokens = None,
    env_kwarg: options.EnvKwargs = None,
    algo_kwarg: options.AlgoKwargs = None,
    policy_kwarg: options.PolicyKwargs = None,
) -> None:
    """Train a language model on a task with reinforcement learning.

    The folder --out gets policy/ (a model for transformers, and for --model), samples.md (texts before and after),
    learning_curve.png, metrics.jsonl, checkpoint/ and config.json.

    Ctrl-C ends the training and keeps what was learnt. However a run ended, --resume goes on from its last checkpoint.

    [cyan]textgym train SentimentContinuation --timesteps 30000[/cyan]
    [cyan]textgym train DataToText --reward '0.7*bleu + 0.3*coverage' --eval-every 20000 --out runs/tables[/cyan]
    [cyan]textgym train Copy --algo a2c --learning-rate 1e-3 --algo-kwarg n_steps=32 --env-kwarg 'stop=["."]'[/cyan]
    [cyan]textgym train --resume runs/tables --timesteps 100000[/cyan]
    [cyan]textgym evaluate DataToText --model runs/tables/policy[/cyan]
    """
    if resume is not None:
        _refuse_others(context)
        longer = timesteps if _given(context, "timesteps") else None
        _go_on(resume, longer, schedule_timesteps)
        return
    if task is None:
        raise ConfigError("Say what to train on: textgym train DataToText. See: textgym list")
    env_id = options.resolve_id(task)
    env_kwargs = options.env_arguments(
        env_kwarg,
        reward=reward,
        dataset=dataset,
        max_new_tokens=max_new_tokens,
        max_prompt_tokens=max_prompt_tokens,
    )
    algo_kwargs = _with(options.pairs("--algo-kwarg", algo_kwarg), learning_rate=learning_rate)
    policy_kwargs = _with(options.pairs("--policy-kwarg", policy_kwarg), temperature=temperature)
    options.check_model(model)
    options.check_algorithm(algo)
    options.check_algo_kwargs(algo, algo_kwargs)
    options.check_policy_kwargs(policy_kwargs)
    schedules = {name: str(value) for name, value in options.pairs("--schedule", schedule).items()}

    from textgym_agents.benchmark.config import short_name
    from textgym_agents.runs.folder import TrainConfig
    from textgym_agents.runs.train import train as run

    if out is None:
        out = Path("runs") / f"{short_name(env_id).replace('/', '_')}-{algo}-{seed}"
    config = TrainConfig(
        task=env_id,
        algo=algo,
        model=model,
        timesteps=timesteps,
        seed=seed,
        n_envs=n_envs,
        kl_coef=kl_coef,
        lora=lora,
        split=split,
        eval_split=eval_split,
        eval_every=eval_every,
        eval_prompts=eval_prompts,
        stop_metric=stop_metric,
        patience=patience,
        warm_start=warm_start,
        checkpoint_every=checkpoint_every,
        schedule_timesteps=schedule_timesteps,
        reward_transform=reward_transform,
        schedules=schedules,
        log=options.names(log or ""),
        env_kwargs=env_kwargs,
        policy_kwargs=policy_kwargs,
        algo_kwargs=algo_kwargs,
    )
    options.quiet_libraries()
    with _term_is_interrupt(), _short_warnings():
        outcome = run(config, out, overwrite=overwrite, command=sys.argv[1:])
    _report(outcome, config, out)


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _refuse_others(context: typer.Context) -> None:
    """Raise ConfigError for options that a run that goes on has already."""
    others = [name for name in context.params if name not in WITH_RESUME and _given(context, name)]
    if others:
        raise ConfigError(
            f"--resume goes on with the settings of the run: leave {', '.join(others)} out. Only --timesteps and "
            "--schedule-timesteps can change."
        )


def _go_on(out: Path, timesteps: int | None, schedule_timesteps: int | None) -> None:
    from textgym_agents.runs.folder import read_config
    from textgym_agents.runs.train import resume

    options.quiet_libraries()
    with _term_is_interrupt(), _short_warnings():
        outcome = resume(out, timesteps=timesteps, schedule_timesteps=schedule_timesteps)
    _report(outcome, read_config(out)[0], out)


def _report(outcome: "Outcome", config: "TrainConfig", out: Path) -> None:
    """What came of it. Ends the program with 1 after an interruption."""
    from textgym_agents.benchmark.config import short_name

    console = Console()
    if len(outcome.evaluations) > 1:
        console.print(_before_after(outcome.evaluations))
    if outcome.stopped_early:
        console.print(
            f"ended after {outcome.timesteps:,} of {config.timesteps:,} tokens: {config.stop_metric} was no better in "
            f"{config.patience} evaluations",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"policy, metrics, curve and samples are in {out}", highlight=False, soft_wrap=True)
    if outcome.interrupted:
        where = "its last checkpoint" if (out / "checkpoint").is_dir() else "its beginning, since none was saved yet"
        typer.echo(
            f"error: interrupted after {outcome.timesteps:,} of {config.timesteps:,} tokens; policy/ has what was "
            f"learnt. To go on from {where}: textgym train --resume {out}",
            err=True,
        )
        raise typer.Exit(1)
    console.print(f"go on with: textgym evaluate {short_name(config.task)} --model {out / 'policy'}", soft_wrap=True)


def _with(values: dict[str, Any], **given: Any) -> dict[str, Any]:
    return values | {name: value for name, value in given.items() if value is not None}


@contextmanager
def _term_is_interrupt() -> Iterator[None]:
    """Within the block, ``kill`` (and a job scheduler's time limit) saves the run as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # others can't set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Within the block, warnings are a line that says what is wrong, not where in the code it was noticed."""

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        typer.echo(f"warning: {message}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _before_after(evaluations: list[dict[str, float]]) -> Table:
    first, last = evaluations[0], evaluations[-1]
    table = Table("held out", title_justify="left")
    for name in ("before", f"after {last['timesteps']:,.0f} tokens", "difference"):
        table.add_column(name, justify="right")
    for name in first:
        repeats = name == "num_tokens" and last.get("length") == last[name]
        if name != "timesteps" and name in last and not repeats:
            style = "bold" if name == "reward" else ""
            table.add_row(
                name, f"{first[name]:.4f}", f"{last[name]:.4f}", f"{last[name] - first[name]:+.4f}", style=style
            )
    return table
