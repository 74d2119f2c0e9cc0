"""``textgym leaderboard``: results files as one page, and their checks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textgym.errors import ConfigError
from textgym_agents.cli import options
from textgym_agents.cli.options import option

if TYPE_CHECKING:
    from textgym_agents.leaderboard.results import Results

SHOWN = 20  # problems that are listed


def leaderboard(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Folders of benchmarks, or .jsonl or .jsonl.gz files.")
    ],
    out: Annotated[Path | None, option("Write the page here.", None, "--out", metavar="FILE")] = None,
    check: Annotated[
        bool, option("Recompute what the files say, and fail if anything differs.", None, "--check")
    ] = False,
    pictures: Annotated[
        Path | None, option("Write radars and fronts of --algos as SVG into this folder.", None, metavar="FOLDER")
    ] = None,
    algos: Annotated[str, option("Which ones --pictures shows, at most seven.")] = "ppo,rloo,grpo,bc",
    tasks: Annotated[str | None, option("Whose fronts --pictures shows. Default: all tasks'.")] = None,
    rerun: Annotated[
        int, option("Repeat so many runs, chosen at random, and fail if one differs.", min=0, metavar="N")
    ] = 0,
    seed: Annotated[int, option("Of that choice.", min=0)] = 0,
    plugins: options.Plugins = None,
) -> None:
    """Draw one page of benchmark results: tables that sort, radars, profiles, curves, fronts, samples.

    The page is a single file that loads nothing from elsewhere. The checks recompute every sum from the rewards of
    single prompts and compare hashes; a repeated run must be equal but for seconds and memory.

    [cyan]textgym leaderboard runs/benchmark-probe runs/benchmark-text --out page.html[/cyan]
    [cyan]textgym leaderboard runs/benchmark-probe --pictures docs/images --algos ppo,rloo,bc[/cyan]
    [cyan]textgym leaderboard agents/results/probe-v1.jsonl.gz --check --rerun 1[/cyan]
    """
    if out is None and pictures is None and not check and not rerun:
        raise ConfigError("Nothing to do: name the page with --out, or give --check.")
    options.load_plugins(plugins)
    options.quiet_libraries()
    from textgym_agents.leaderboard.results import load_all

    loaded = load_all(results)
    if check:
        _check(loaded)
    if rerun:
        _repeat(loaded, rerun, seed)
    if out is not None:
        from textgym_agents.leaderboard.page import page
        from textgym_agents.storage import write_atomically

        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, page(loaded), "the page")
        typer.echo(f"page: {out}")
    if pictures is not None:
        from textgym_agents.benchmark.composites import names
        from textgym_agents.leaderboard.chosen import write_pictures

        for one in loaded:
            for path in write_pictures(one, pictures, names(algos), None if tasks is None else names(tasks)):
                typer.echo(f"picture: {path}")


def _check(loaded: "list[Results]") -> None:
    """Say that all is well, or raise ConfigError with what isn't."""
    from textgym_agents.benchmark.analysis import lines
    from textgym_agents.cli.benchmark import config_of
    from textgym_agents.leaderboard.check import hash_problem, problems

    found = []
    for one in loaded:
        found += [f"{one.path}: {problem}" for problem in problems(one)]
        first = {(run["algo"], run["task"]): run for run in lines.finished(one.runs)}  # seeds differ in a number only
        hashes = [hash_problem(config_of(run.get("command", "")), run) for run in first.values()]
        found += [f"{one.path}: {problem}" for problem in hashes if problem is not None]
    _fail(found)
    for one in loaded:
        typer.echo(f"{one.path}: {len(one.runs)} runs, nothing differs")


def _repeat(loaded: "list[Results]", count: int, seed: int) -> None:
    """Repeat runs of each file, or raise ConfigError with what differs."""
    from textgym_agents.benchmark.store import key_of
    from textgym_agents.cli.benchmark import config_of
    from textgym_agents.leaderboard.check import choose, repeat

    for one in loaded:
        for run in choose(one, count, seed):
            typer.echo(f"{one.path}: {key_of(run)}, again")
            _fail([f"{one.path}: {difference}" for difference in repeat(config_of(run["command"]), run)])
            typer.echo("  equal")


def _fail(found: list[str]) -> None:
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise ConfigError("\n  ".join([f"{len(found)} problems:", *found[:SHOWN], *more]))
