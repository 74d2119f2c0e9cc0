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
    plugins: options.Plugins = None,
) -> None:
    """Draw one page of benchmark results: tables that sort, radars, profiles, curves, fronts, samples.

    The page is a single file that loads nothing from elsewhere. The checks recompute every sum from the rewards of
    single prompts and compare hashes.

    [cyan]textgym leaderboard runs/benchmark-probe runs/benchmark-text --out page.html[/cyan]
    [cyan]textgym leaderboard agents/results/probe-v1.jsonl.gz --check[/cyan]
    """
    if out is None and not check:
        raise ConfigError("Nothing to do: name the page with --out, or give --check.")
    options.load_plugins(plugins)
    options.quiet_libraries()
    from textgym_agents.leaderboard.results import load_all

    loaded = load_all(results)
    if check:
        _check(loaded)
    if out is not None:
        from textgym_agents.leaderboard.page import page
        from textgym_agents.storage import write_atomically

        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, page(loaded), "the page")
        typer.echo(f"page: {out}")


def _check(loaded: "list[Results]") -> None:
    """Say that all is well, or raise ConfigError with what isn't."""
    from textgym_agents.leaderboard.check import problems

    found = [f"{one.path}: {problem}" for one in loaded for problem in problems(one)]
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise ConfigError("\n  ".join([f"{len(found)} problems:", *found[:SHOWN], *more]))
    for one in loaded:
        typer.echo(f"{one.path}: {len(one.runs)} runs, nothing differs")
