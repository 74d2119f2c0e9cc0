"""``textgym speed``: how fast the library is."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from textgym_agents.cli import arguments, options


def speed(
    only: Annotated[str | None, typer.Option(metavar="ROW,...", help="Rows of the table. Default: all.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer models and sizes, 3 repeats: two or three minutes.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Also the long rollouts of slow models: about an hour.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Of each timing, after one that isn't counted.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            rich_help_panel="Sizes",
            help="gpt2, llama, t5 (random weights), or a folder or name of a real model.",
        ),
    ] = "gpt2,llama,t5",
    lengths: Annotated[str, typer.Option(metavar="N,...", rich_help_panel="Sizes", help="New tokens.")] = "32,128,512",
    batches: Annotated[
        str, typer.Option(metavar="N,...", rich_help_panel="Sizes", help="Episodes at once in rollouts.")
    ] = "16,32",
    device: Annotated[str, typer.Option(rich_help_panel="Sizes", help="cpu, cuda, ...")] = "cpu",
    dtype: Annotated[str, typer.Option(rich_help_panel="Sizes", help="float32, bfloat16 or float16.")] = "float32",
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers to a file.")] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw the cost of a token against the length.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--md", metavar="FILE", help="Write the table as Markdown.")] = None,
    earlier: Annotated[
        Path | None, typer.Option("--read", metavar="FILE", help="Show the numbers of an earlier --json; time nothing.")
    ] = None,
) -> None:
    """Time the library: rollouts, updates, environments, memory, each against the usual way to do it.

    All take turns in one process. The table shows medians, their ratio, and how much single repeats differ.

    It takes twenty minutes or so on one core. Ctrl-C ends it early and shows what there is.

    Rows: rollout, mixed, update, seq2seq, trl, sb3, environment, buffer, memory, scoring, metrics, judge, turns.

    [cyan]textgym speed --quick[/cyan]
    [cyan]textgym speed --json speed.json --png speed.png[/cyan]
    [cyan]textgym speed --only update --model gpt2 --lengths 32,512[/cyan]
    """
    from textgym.errors import ConfigError
    from textgym_agents.report.provenance import command_line
    from textgym_agents.speed import FAILED, report
    from textgym_agents.speed import plan as plans
    from textgym_agents.speed.models import MADE

    if quick and full:
        raise ConfigError("--quick and --full contradict each other: give one of them.")
    for path in (file, png, page):
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"There is no folder {str(path.absolute().parent)!r} to write {path.name!r} to.")
    options.quiet_libraries()
    for name in arguments.names(model):
        if name not in MADE:
            arguments.check_model(name)
    plan = plans.Plan(
        models=tuple(arguments.names(model)),
        lengths=_numbers("--lengths", lengths),
        batches=_numbers("--batches", batches),
        repeats=repeats,
        threads=threads,
        full=full,
        device=device,
        dtype=dtype,
    )
    plan = plans.quick(plan) if quick else plan
    if earlier is not None:
        (results, content), interrupted = report.read(earlier), False
    else:
        started = time.perf_counter()
        results, interrupted = _run(plan, tuple(arguments.names(only or "")))
        content = report.content(results, plan, command_line(sys.argv[1:]), time.perf_counter() - started)
    console = Console()
    report.show(console, results)
    console.print(report.footer(content), highlight=False, soft_wrap=True)
    if page is not None:
        page.write_text(report.as_markdown(results, content), encoding="utf-8")
        console.print(f"page: {page}", markup=False, soft_wrap=True)
    if file is not None:
        file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        console.print(f"numbers: {file}", markup=False, soft_wrap=True)
    if png is not None:
        from textgym_agents.speed import chart

        drawn = chart.plot(results, png)
        console.print(
            f"picture: {png}" if drawn else "no picture: there is no rollout and no update",
            markup=False,
            soft_wrap=True,
        )
    if interrupted:
        raise KeyboardInterrupt
    if any(one.note.startswith(FAILED) for one in results):
        raise typer.Exit(1)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers joined by commas.

    >>> _numbers("--lengths", "32, 128")
    (32, 128)
    """
    from textgym.errors import ConfigError

    parts = arguments.names(text)
    if not parts or not all(part.isdigit() for part in parts):
        raise ConfigError(f"{option} {text!r}: expected whole numbers joined by commas, such as 32,128.")
    return tuple(int(part) for part in parts)


def _run(plan: Any, only: tuple[str, ...]) -> tuple[list[Any], bool]:
    """Measure with a progress line; where there is no terminal, with a line for each measurement.

    Returns the lines of the table, and whether Ctrl-C ended it early.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from textgym_agents.speed import run

    console, started = Console(stderr=True), time.perf_counter()
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    results: list[Any] = []
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task("")

        def listen(job: Any, number: int, of: int) -> None:
            if not console.is_terminal:
                seconds = f"{time.perf_counter() - started:5.0f} s"
                console.print(
                    f"{seconds}  {number + 1} of {of}: {job.what}", markup=False, highlight=False, soft_wrap=True
                )
            bar.update(line, total=of, completed=number, description=f"{number + 1} of {of}: {job.what}")

        try:
            for some in run(plan, only, listen):
                results += some
        except KeyboardInterrupt:
            if not results:
                raise
            return results, True
    return results, False
