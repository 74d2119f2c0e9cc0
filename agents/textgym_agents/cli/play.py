"""``textgym play``: a person instead of a model."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textgym_agents.cli import arguments, options


def play(
    task: options.Task,
    split: Annotated[str, typer.Option(help="Where the prompts come from.")] = "train",
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=options.LARGEST_SEED, help="Of the prompts drawn. Default: new ones each time."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How many prompts.")] = 5,
    reward: options.Reward = None,
    dataset: options.Dataset = None,
    columns: options.Columns = None,
    env_kwarg: options.EnvKwargs = None,
    plugins: options.Plugins = None,
) -> None:
    r"""Write completions yourself and see how they are scored.

    Type a completion and press Enter; \n is a line break. Ctrl-D ends the game. With a partner, type a turn at a time.

    [cyan]textgym play Copy --rounds 3[/cyan]
    [cyan]textgym play DataToText --reward '0.5*bleu + 0.5*coverage' --seed 1[/cyan]
    [cyan]echo 'The Eagle is a pub.' | textgym play DataToText --rounds 1 --seed 0[/cyan]
    """
    import gymnasium

    from textgym.errors import InvalidActionError
    from textgym.registration import spec_of, split_argument
    from textgym.wrappers import CompletionAction

    console = Console()
    options.load_plugins(plugins, task, reward)
    env_id = arguments.resolve_id(task)
    kwargs = arguments.env_arguments(env_kwarg, reward=reward, dataset=dataset, columns=columns)
    env: Any = CompletionAction(gymnasium.make(spec_of(env_id), **split_argument(env_id, split), **kwargs))
    scores: list[float] = []
    while len(scores) < rounds:
        _, info = env.reset(seed=seed if not scores else None)
        console.print(Text(f"{len(scores) + 1} of {rounds}", "dim"))
        console.print(Text(options.visible(info["prompt"]), "bold"), end="")
        try:
            score, end = _episode(console, env)
        except EOFError:
            console.print()
            break
        except InvalidActionError as error:
            console.print(Text(options.visible(str(error)), "red"))
            continue
        if not end.get("reward_abstained"):
            scores.append(score)
        _show(console, score, end)
    if scores:
        console.print(f"mean of {len(scores)}: [bold]{sum(scores) / len(scores):.3f}[/bold]")


def _episode(console: Console, env: Any) -> tuple[float, dict[str, Any]]:
    """One completion, or the turns of a conversation with the partner's replies. Returns the return and the last info.

    Raises:
        EOFError: the input ends.
        InvalidActionError: a token is masked, and there is no partner.
    """
    from textgym.errors import InvalidActionError

    total, over, cue = 0.0, False, " "
    info: dict[str, Any] = {}
    while not over:
        typed = console.input(Text(cue)).replace("\\n", "\n")
        cue = "> "
        if not sys.stdin.isatty():  # nobody has seen it typed
            console.print(Text(options.visible(typed), "cyan"))
        try:
            _, reward, terminated, truncated, info = env.step(_with_space(typed))
        except InvalidActionError as error:
            if env.unwrapped.partner is None:
                raise
            console.print(Text(options.visible(str(error)), "red"))  # the turn is asked for again
            continue
        total, over = total + float(reward), terminated or truncated
        for turn in info.get("turns", ())[-1:]:
            if turn.speaker == "partner":
                console.print(Text(options.visible(turn.text), "green"))
    return total, info


def _with_space(typed: str) -> str:
    from textgym_agents.cli.browse import with_space

    return with_space(typed)


def _show(console: Console, score: float, info: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 2))
    worth = "none, the reward abstained" if info.get("reward_abstained") else f"{score:.3f}"
    table.add_row("score", Text(worth, "bold green" if score >= 0.5 else "bold yellow"))
    for name, value in info["reward_components"].items():
        table.add_row(Text(options.visible(f"  {name}")), f"{value:.3f}")
    ends = {
        "length": "cut off at the longest length",
        "stop": "at a stop string",
        "turns": "the turns are used up",
        "full": "no room for the reply",
    }
    ended = ends.get(info["finish_reason"], "")
    table.add_row("tokens", f"{info['num_tokens']}{', ' + ended if ended else ''}")
    if info.get("reward_failure"):
        table.add_row("failure", Text(options.visible(info["reward_failure"])))
    for reference in info["references"]:
        table.add_row("reference", Text(options.visible(reference), "cyan"))
    console.print(table)
    console.print()
