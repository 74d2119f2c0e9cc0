"""``textgym train`` and ``textgym pretrain``."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_MODELS
from textgym_agents.cli import options


def train(
    task: options.Task,
    algo: Annotated[str, typer.Option(rich_help_panel="Algorithm", help="See list --algorithms.")] = "ppo",
    model: options.Model = BUILTIN_MODEL,
    timesteps: Annotated[int, typer.Option(min=1, help="Tokens to train on.")] = 50_000,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where everything goes. Default: runs/TASK-ALGO-SEED.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
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
    ] = 100,
    n_envs: options.NumEnvs = 32,
    kl: options.Kl = None,
    lora: options.Lora = None,
    learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel="Algorithm", help="Default: the algorithm's own.")
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
    learning_curve.png, metrics.jsonl, checkpoint.zip and config.json.

    Ctrl-C ends the training and keeps what was learnt.

    [cyan]textgym train SentimentContinuation --timesteps 30000[/cyan]
    [cyan]textgym train DataToText --reward '0.7*bleu + 0.3*coverage' --eval-every 20000 --out runs/tables[/cyan]
    [cyan]textgym train Copy --algo a2c --learning-rate 1e-3 --algo-kwarg n_steps=32 --env-kwarg 'stop=["."]'[/cyan]
    [cyan]textgym evaluate DataToText --model runs/tables/policy[/cyan]
    """
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

    from textgym_agents.benchmark.config import short_name
    from textgym_agents.training import TrainConfig
    from textgym_agents.training import train as run

    if out is None:
        out = Path("runs") / f"{short_name(env_id).replace('/', '_')}-{algo}-{seed}"
    config = TrainConfig(
        task=env_id,
        algo=algo,
        model=model,
        timesteps=timesteps,
        seed=seed,
        n_envs=n_envs,
        kl=kl,
        lora=lora,
        split=split,
        eval_split=eval_split,
        eval_every=eval_every,
        eval_prompts=eval_prompts,
        env_kwargs=env_kwargs,
        policy_kwargs=policy_kwargs,
        algo_kwargs=algo_kwargs,
    )
    options.quiet_libraries()
    with _term_is_interrupt():
        outcome = run(config, out, overwrite=overwrite, command=sys.argv[1:])
    console = Console()
    if len(outcome.evaluations) > 1:
        console.print(_before_after(outcome.evaluations))
    console.print(f"policy, metrics, curve and samples are in {out}", highlight=False, soft_wrap=True)
    if outcome.interrupted:
        typer.echo(
            f"error: interrupted after {outcome.timesteps:,} of {timesteps:,} tokens; nothing is lost.", err=True
        )
        raise typer.Exit(1)
    console.print(f"go on with: textgym evaluate {short_name(env_id)} --model {out / 'policy'}", soft_wrap=True)


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


def pretrain(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the model goes.")],
    model: Annotated[
        str, typer.Option(metavar="NAME", help=f"Make one like this: {' or '.join(BUILTIN_MODELS)}.")
    ] = BUILTIN_MODEL,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps. Default: those of --model.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of data, weights and order.")] = 0,
    vocabulary: Annotated[
        int | None, typer.Option(min=258, help="Train a new tokenizer of so many tokens. Default: as --model.")
    ] = None,
    hidden_size: Annotated[int | None, typer.Option(min=8, help="Width of the model.")] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Depth of the model, of its encoder and decoder each if it has both.")
    ] = None,
    eval_prompts: Annotated[int, typer.Option(min=1, help="Held-out prompts of each task for the model card.")] = 200,
) -> None:
    """Make a model like a built-in one: train tokenizer and weights on the small world's texts, then write its card.

    Takes about half an hour on two CPU cores with the default steps.

    [cyan]textgym pretrain --out models/mine[/cyan]
    [cyan]textgym pretrain --model textgym/small-seq2seq --out models/mine-seq2seq[/cyan]
    [cyan]textgym pretrain --out models/wide --hidden-size 256 --steps 6000[/cyan]
    [cyan]textgym train Copy --model models/mine[/cyan]
    """
    from dataclasses import replace

    from textgym.errors import ConfigError, did_you_mean
    from textgym_agents.model_card import write_model_card
    from textgym_agents.pretrain import RECIPES
    from textgym_agents.pretrain import pretrain as run

    if model not in RECIPES:
        raise ConfigError(f"There is no recipe for --model {model!r}. {did_you_mean(model, RECIPES)}")
    given: dict[str, Any] = {"steps": steps, "hidden_size": hidden_size, "layers": layers}
    given = {name: value for name, value in given.items() if value is not None}
    if vocabulary is not None:
        given |= {"vocabulary": vocabulary, "tokenizer": None}
    options.quiet_libraries()
    result = run(out, replace(RECIPES[model], seed=seed, **given))
    console = Console()
    console.print(f"loss {result['loss']:.3f}, {result['parameters']:,.0f} parameters, {result['minutes']:.1f} minutes")
    card = write_model_card(out, num_prompts=eval_prompts, progress=True)
    console.print(f"model in {out}, its card in {card}", soft_wrap=True)
