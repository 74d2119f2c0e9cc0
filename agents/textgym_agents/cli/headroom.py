"""``textgym headroom``: what the tasks leave a model to learn."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textgym_agents.cli import arguments, options
from textgym_agents.cli.options import ENVIRONMENT, MODEL, option


def headroom(
    context: typer.Context,
    tasks: Annotated[
        str | None, typer.Argument(metavar="IDS", help="Ids joined by commas. Default: all built-in tasks.")
    ] = None,
    model: options.Model = None,
    num_prompts: Annotated[int, option("How many, from the first of the split on.", min=1)] = 200,
    samples: Annotated[int, option("Of each prompt; the last column is the best of them all.", MODEL, min=1)] = 64,
    split: Annotated[str, option("Where the prompts come from.", ENVIRONMENT)] = "validation",
    seed: Annotated[int, option("Of the sampling.", min=0, max=2**31)] = 0,
    plugins: options.Plugins = None,
    markdown: Annotated[bool, option("Print the table as Markdown.", None, "--markdown")] = False,
    signal: Annotated[
        bool,
        option(
            "Instead, how many completions a gradient needs until its signal is as large as its noise, and the tokens "
            "of ten times as many, the least that a benchmark should train on.",
            None,
            "--signal",
        ),
    ] = False,
    suite: Annotated[str | None, option("The tasks of a benchmark's suite, and its model.")] = None,
    tokens: Annotated[int, option("To measure the signal with.", min=1)] = 20_000,
    file: Annotated[Path | None, option("Write the rewards to a file.", None, "--json", metavar="FILE")] = None,
) -> None:
    """Show what tasks leave a model to learn: the reward sampled, greedy, of the best of many samples, of references.

    [cyan]textgym headroom[/cyan]
    [cyan]textgym headroom Copy,Summarization --model textgym/tiny --samples 16[/cyan]
    [cyan]textgym headroom --suite text --signal[/cyan]
    """
    options.load_plugins([*_plugins(suite), *(plugins or ())], tasks)
    from textgym.registration import default_model, env_id
    from textgym.tasks import TASKS
    from textgym_agents.benchmark.composites import base, names, own_arguments, short_task
    from textgym_agents.benchmark.signal import signal as measure_signal
    from textgym_agents.benchmark.suites import find_suite

    ids = [env_id(name) for name in TASKS] if tasks is None else [*map(arguments.resolve_task, names(tasks))]
    if suite is not None:
        chosen = find_suite(suite)
        ids = [*chosen.tasks] if tasks is None else ids
        model = model if options.is_given(context, "model") else chosen.settings.get("model", model)
    arguments.check_model(model)
    options.quiet_libraries()
    from textgym_agents.evaluation.headroom import BEST_OF
    from textgym_agents.evaluation.headroom import headroom as measure
    from textgym_agents.report import markdown as md

    best_of = [k for k in BEST_OF if k < samples] + [samples]
    found: dict[str, dict[str, float]] = {}
    models: dict[str, str] = {}
    for one in ids:
        own = own_arguments(one, "task")
        models[one] = model or default_model(base(one), own)
        if signal:
            found[one] = measure_signal(models[one], base(one), tokens, seed=seed, env_kwargs=own)
        else:
            how: dict[str, Any] = {"best_of": best_of, "split": split, "seed": seed, "env_kwargs": own}
            found[one] = measure(models[one], base(one), num_prompts, progress=True, **how)
    header = ("task", *max(found.values(), key=len))
    cells = [
        (short_task(one), *(_number(row[name]) if name in row else "" for name in header[1:]))
        for one, row in found.items()
    ]
    several = len(set(models.values())) > 1
    if several:
        header = (header[0], "model", *header[1:])
        cells = [(row[0], models[one], *row[1:]) for one, row in zip(ids, cells, strict=True)]
    shown = "each task's default model" if several else models[ids[0]]
    console = Console()
    if markdown:
        typer.echo(md.table(header, cells))
    else:
        table = Table(*header, title=f"{shown}, {num_prompts} prompts of {split}")
        for line in cells:
            table.add_row(*(Text(options.visible(cell)) for cell in line))
        console.print(table)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"models": models, "split": split, "num_prompts": num_prompts, "samples": samples, "rewards": found}
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        Console(stderr=True).print(f"written to {file}", markup=False, soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def _plugins(suite: str | None) -> tuple[str, ...]:
    """The modules that register a suite's tasks."""
    from textgym_agents.benchmark.suites import find_suite

    return () if suite is None else tuple(find_suite(suite).settings.get("plugins", ()))
