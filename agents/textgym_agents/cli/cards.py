"""What ``textgym info`` shows of a task's card: prompts with completions, and mean rewards."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from textgym_agents.cli import options


def card_of(env_id: str, arguments: Mapping[str, Any]) -> Any:
    """The card of a built-in id with these arguments of the environment, None if there is none."""
    from textgym.registration import built_in_tasks
    from textgym_agents.evaluation.task_card import cards_of

    name = env_id.removeprefix("textgym/").rpartition("-v")[0]
    opt_in = getattr(built_in_tasks().get(name), "opt_in", "")
    chosen = {argument: value for argument, value in arguments.items() if argument != opt_in}
    cards = cards_of(name) if env_id.startswith("textgym/") else []
    return next((card for card in cards if card.id == env_id and dict(card.arguments) == chosen), None)


def show(console: Console, card: Any) -> None:
    """Print a card."""
    for number, example in enumerate(card.examples):
        console.print(_example(number, example))
    model = f", {card.model}" if card.model else ""
    table = Table(title=f"mean rewards, {card.prompts} prompts of validation{model}", title_justify="left")
    table.add_column("completion")
    table.add_column("reward", justify="right")
    for kind, value in {**card.fixed, **card.decoding}.items():
        table.add_row(kind, f"{value:.3f}")
    if not card.model:
        table.add_row("of a model", "not measured yet")
    text, reward = card.best_paid
    best = options.visible(text.strip()) if reward else "none"
    table.add_row(Text(f"best paid text that says nothing: {best}"), f"{reward:.3f}")
    table.add_row("  as a share of a reference's", f"{card.share:.0%}")
    console.print(table)


def _example(number: int, example: Any) -> Panel:
    text = Text(options.visible(example.prompt), style="bold")
    for reference in example.references[1:]:
        text.append("\nreference: ", "dim")
        text.append(options.visible(reference), "green")
    for kind, (said, reward) in example.completions.items():
        text.append(f"\n{reward:.3f} {kind}: ", "dim")
        text.append(options.visible(said.strip()), "green" if kind == "reference" else "cyan")
    return Panel(text, title=f"prompt {number} of validation", title_align="left")
