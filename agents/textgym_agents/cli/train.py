"""``textgym train``."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textgym.errors import ConfigError
from textgym.registration import short_name
from textgym_agents.cli import arguments, options
from textgym_agents.cli.options import ALGORITHM, ENVIRONMENT, EVALUATION, RUN, option
from textgym_agents.cli.signals import interrupts
from textgym_agents.report.provenance import command_line
from textgym_agents.runs.config import TrainConfig, default_folder

if TYPE_CHECKING:
    from textgym_agents.runs.train import Outcome

WITH_RESUME = {"resume", "timesteps", "schedule_timesteps"}


def train(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", show_default=False, help="An id, or its middle: DataToText is textgym/DataToText-v0."
        ),
    ] = None,
    algo: Annotated[str, option("See list --algorithms.", ALGORITHM)] = TrainConfig.algo,
    model: options.Model = None,
    timesteps: Annotated[int, option("Tokens to train on.", min=1)] = TrainConfig.timesteps,
    out: Annotated[
        Path | None,
        option("Where everything goes. Default: runs/TASK-ALGO-SEED and the options that differ.", metavar="FOLDER"),
    ] = None,
    overwrite: Annotated[bool, option("Replace an earlier run in --out.", None, "--overwrite")] = False,
    seed: Annotated[int, option("Of everything random.", min=0, max=options.LARGEST_SEED)] = TrainConfig.seed,
    plugins: options.Plugins = None,
    resume: Annotated[
        Path | None,
        option(
            "Continue the run in this folder, with its settings; --timesteps makes it longer.", RUN, metavar="FOLDER"
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        option("Tokens between checkpoints. Default: a tenth of --timesteps, at most 100,000.", RUN, min=1),
    ] = None,
    schedule_timesteps: Annotated[
        int | None,
        option("Tokens over which schedules run. Default: --timesteps; with --resume, as before.", RUN, min=1),
    ] = None,
    warm_start: Annotated[
        int, option("First learn from so many tokens of the task's references.", RUN, min=0)
    ] = TrainConfig.warm_start,
    pause_at: Annotated[
        float,
        option(
            "Pause while more than this share of the rewards fail, until they don't. 1: never.", RUN, metavar="SHARE"
        ),
    ] = TrainConfig.pause_at,
    average: Annotated[
        float | None,
        option("Keep a moving average of the weights, with this decay; evaluate and save that.", RUN, metavar="DECAY"),
    ] = None,
    log: Annotated[
        str | None, option("Scalars also to csv, tensorboard, wandb (commas).", RUN, metavar="NAMES")
    ] = None,
    reward: options.Reward = None,
    dataset: options.Dataset = None,
    columns: options.Columns = None,
    split: Annotated[str, option("Where the prompts to train on come from.", ENVIRONMENT)] = TrainConfig.split,
    reward_transform: Annotated[
        str | None,
        option(
            "Change training's reward: 'length_penalty=0.01, missing_eos_penalty=0.5, clip=-1:1, whiten'.",
            ENVIRONMENT,
            metavar="TEXT",
        ),
    ] = None,
    max_new_tokens: options.MaxNewTokens = None,
    max_prompt_tokens: options.MaxPromptTokens = None,
    env_kwarg: options.EnvKwargs = None,
    eval_every: Annotated[
        int | None, option("Tokens between evaluations. Default: before and after only.", EVALUATION, min=1)
    ] = None,
    eval_prompts: options.EvalPrompts = TrainConfig.eval_prompts,
    eval_split: options.EvalSplit = TrainConfig.eval_split,
    stop_metric: Annotated[
        str, option("What best/ and --patience go by: reward or a metric.", EVALUATION, metavar="NAME")
    ] = TrainConfig.stop_metric,
    patience: Annotated[
        int | None, option("End after so many evaluations in a row that were no better.", EVALUATION, min=1)
    ] = None,
    n_envs: options.NumEnvs = TrainConfig.n_envs,
    kl_coef: options.KlCoef = None,
    learning_rate: Annotated[float | None, option("Default: the algorithm's own.", ALGORITHM)] = None,
    schedule: Annotated[
        list[str] | None,
        option(
            "In tokens: 'learning_rate=linear(4e-3, 0, 50000)', 'kl_coef=cosine(0.1, 0.01, 50000)'. Can be repeated.",
            ALGORITHM,
            metavar="NAME=SCHEDULE",
        ),
    ] = None,
    algo_kwarg: options.AlgoKwargs = None,
    lora: options.Lora = None,
    temperature: options.Temperature = None,
    policy_kwarg: options.PolicyKwargs = None,
) -> None:
    """Train a language model on a task with reinforcement learning.

    The folder --out gets policy/ (a model for transformers, and for --model), samples.md (completions and rewards
    before, in the middle and after), learning_curve.png, metrics.jsonl, checkpoint/ and config.json.

    Ctrl-C ends the training and keeps what was learnt. --resume continues from the last checkpoint, however it ended.

    [cyan]textgym train SentimentContinuation --timesteps 30000[/cyan]
    [cyan]textgym train DataToText --reward '0.7*bleu + 0.3*coverage' --eval-every 20000 --out runs/tables[/cyan]
    [cyan]textgym train Copy --algo a2c --learning-rate 1e-3 --algo-kwarg n_steps=32 --env-kwarg 'stop=["."]'[/cyan]
    [cyan]textgym train --resume runs/tables --timesteps 100000[/cyan]
    [cyan]textgym evaluate DataToText --model runs/tables/policy[/cyan]
    """
    if resume is not None:
        _refuse_others(context)
        longer = timesteps if options.is_given(context, "timesteps") else None
        _resume(resume, longer, schedule_timesteps)
        return
    if task is None:
        raise ConfigError("Say what to train on: textgym train DataToText. See: textgym list")
    named = options.load_plugins(plugins, task, reward)
    env_kwargs = arguments.env_arguments(
        env_kwarg,
        reward=reward,
        dataset=dataset,
        columns=columns,
        max_new_tokens=max_new_tokens,
        max_prompt_tokens=max_prompt_tokens,
    )
    # Options that bear the name of a setting are that setting.
    resolved = arguments.resolve_id(task)
    chosen = any(options.is_given(context, name) for name in ("split", "eval_split"))
    split, eval_split = arguments.held_out_part(resolved, env_kwargs, split, eval_split, chosen)
    arguments.check_model(model)
    same = {field.name: context.params[field.name] for field in fields(TrainConfig) if field.name in context.params}
    config = TrainConfig(
        **{
            **same,
            "task": resolved,
            "split": split,
            "eval_split": eval_split,
            "env_kwargs": env_kwargs,
            "algo_kwargs": arguments.algo_arguments(algo_kwarg, learning_rate=learning_rate),
            "policy_kwargs": arguments.policy_arguments(policy_kwarg, temperature=temperature),
            "schedules": {name: str(value) for name, value in arguments.pairs("--schedule", schedule).items()},
            "log": arguments.names(log or ""),
            "plugins": named,
        }
    )
    arguments.check_algorithm(config.algo)
    arguments.check_algo_kwargs(config.algo, config.algo_kwargs)
    arguments.check_policy_kwargs(config.policy_kwargs, [config.algo])
    if out is None:
        out = default_folder(config)
    from textgym_agents.runs.train import train as run

    options.quiet_libraries()
    with interrupts(), _short_warnings():
        outcome = run(config, out, overwrite=overwrite, command=sys.argv[1:])
    _report(outcome, config, out)


def _refuse_others(context: typer.Context) -> None:
    """Raise ConfigError for options that the resumed run has already."""
    others = [name for name in context.params if name not in WITH_RESUME and options.is_given(context, name)]
    if others:
        raise ConfigError(
            f"--resume keeps the settings of the run: leave {', '.join(others)} out. Only --timesteps and "
            "--schedule-timesteps can change."
        )


def _resume(out: Path, timesteps: int | None, schedule_timesteps: int | None) -> None:
    from textgym_agents.runs.config import read_config
    from textgym_agents.runs.train import resume

    options.quiet_libraries()
    with interrupts(), _short_warnings():
        outcome = resume(out, timesteps=timesteps, schedule_timesteps=schedule_timesteps)
    _report(outcome, read_config(out)[0], out)


def _report(outcome: "Outcome", config: "TrainConfig", out: Path) -> None:
    """Show the result. Ends the program with 1 after an interruption."""
    console = Console()
    if len(outcome.evaluations) > 1:
        console.print(_before_after(outcome.evaluations, outcome.interval))
    if outcome.stopped_early:
        console.print(
            f"ended after {outcome.timesteps:,} of {config.timesteps:,} tokens: {config.stop_metric} was no better in "
            f"{config.patience} evaluations",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"policy, metrics, curve and samples are in {out}", markup=False, highlight=False, soft_wrap=True)
    if outcome.interrupted:
        where = "its last checkpoint" if (out / "checkpoint").is_dir() else "its beginning, since none was saved yet"
        typer.echo(
            f"error: interrupted after {outcome.timesteps:,} of {config.timesteps:,} tokens; policy/ has what was "
            f"learnt. To continue from {where}: textgym train --resume {out}",
            err=True,
        )
        raise typer.Exit(1)
    words = ["evaluate", short_name(config.task), "--model", str(out / "policy")]
    words += [word for module in config.plugins for word in ("--import", module)]
    console.print(f"next: {command_line(words)}", markup=False, soft_wrap=True)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Within the block, warnings are a line that says what is wrong, not where in the code it was noticed."""

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        typer.echo(f"warning: {options.visible(str(message))}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _before_after(evaluations: list[dict[str, float]], interval: tuple[float, float] | None) -> Table:
    first, last = evaluations[0], evaluations[-1]
    caption = None if interval is None else "95 % bootstrap interval over the prompts"
    table = Table("held out", title_justify="left", caption=caption, caption_justify="left")
    for name in ("before", f"after {last['timesteps']:,.0f} tokens", "difference"):
        table.add_column(name, justify="right")
    for name in first:
        repeats = name == "num_tokens" and last.get("length") == last[name]
        if name != "reward" and (first[name], last.get(name)) == (first["reward"], last["reward"]):
            repeats = True  # the metric that is the reward
        if name != "timesteps" and name in last and not repeats:
            style = "bold" if name == "reward" else ""
            bounds = f" [{interval[0]:+.4f}, {interval[1]:+.4f}]" if interval and name == "reward" else ""
            table.add_row(
                Text(options.visible(name)),
                f"{first[name]:.4f}",
                f"{last[name]:.4f}",
                Text(f"{last[name] - first[name]:+.4f}{bounds}"),
                style=style,
            )
    return table
