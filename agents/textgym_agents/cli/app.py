"""The command ``textgym`` and its subcommands.

Commands import what they need when they run, so that ``--help`` and ``list`` don't wait for torch.
"""

import os
import sys
import traceback
from typing import Annotated, Any

import gymnasium
import typer
from typer.core import TyperGroup

from textgym.border import sentence
from textgym.errors import TextGymError
from textgym.rendering import visible
from textgym_agents.cli import benchmark, browse, evaluate, headroom, leaderboard, play, pretrain, speed, train, tune
from textgym_agents.cli.options import USAGE, quiet_datasets

EXPECTED = (TextGymError, gymnasium.error.Error, OSError)


class Commands(TyperGroup):
    """Turns the errors that a user can cause into one clean line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; ``--debug`` lets the exception through with its traceback."""
        quiet_datasets()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader (head, less) has gone. Point stdout elsewhere, or Python complains once more at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (*EXPECTED, KeyboardInterrupt) as error:
            if ctx.params.get("debug"):
                raise
            message = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            typer.echo(f"error: {visible(message)}", err=True)
            raise typer.Exit(1) from None
        except (typer.Exit, typer.Abort, USAGE):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {visible(_unexpected(error))}", err=True)
            raise typer.Exit(1) from None


def _unexpected(error: Exception) -> str:
    """One line about an error that nobody foresaw, in our code or in the user's."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"unexpected {type(error).__name__}: {sentence(error)} It happened in {where.filename}, line {where.lineno}. "
        "If that is no code of yours, please report it with what textgym --debug (before the command) shows."
    )


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from textgym_agents.report.provenance import versions

        typer.echo("\n".join(f"{name} {value}" for name, value in versions().items()))
        raise typer.Exit


@app.callback()
def textgym(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print versions and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", envvar="TEXTGYM_DEBUG", help="Show tracebacks of errors.")] = False,
) -> None:
    """Text generation as reinforcement learning: environments, language models, algorithms.

    [bold]First steps[/bold]

    [cyan]textgym list[/cyan]  the environments; algorithms, rewards and metrics, too
    [cyan]textgym play Copy[/cyan]  write completions yourself and see how they are scored
    [cyan]textgym evaluate DataToText[/cyan]  the built-in model's scores
    [cyan]textgym train SentimentContinuation --timesteps 30000[/cyan]  make it better

    Every command explains itself: [cyan]textgym train --help[/cyan]
    """


app.command("list")(browse.list_)
app.command("info")(browse.info)
app.command("play")(play.play)
app.command("evaluate")(evaluate.evaluate)
app.command("headroom")(headroom.headroom)
app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("benchmark")(benchmark.benchmark)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("pretrain")(pretrain.pretrain)
app.command("speed")(speed.speed)
