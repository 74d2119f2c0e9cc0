"""``textgym pretrain``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from textgym.errors import ConfigError, did_you_mean
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_MODELS, BUILTIN_SENTIMENT
from textgym_agents.cli import options


def pretrain(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the model goes.")],
    model: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"Make one like this: {', '.join((*BUILTIN_MODELS, BUILTIN_SENTIMENT))}."),
    ] = BUILTIN_MODEL,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps. Default: those of --model.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=options.LARGEST_SEED, help="Of data, weights and order.")] = 0,
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

    Takes a quarter of an hour on a CPU core with the default steps; more than an hour for the medium ones, and a few
    minutes for textgym/tiny. Ended early, the same command goes on from where it was.

    [cyan]textgym pretrain --out models/mine[/cyan]
    [cyan]textgym pretrain --model textgym/small-seq2seq --out models/mine-seq2seq[/cyan]
    [cyan]textgym pretrain --model textgym/sentiment --out models/judge[/cyan]
    [cyan]textgym pretrain --out models/wide --hidden-size 256 --steps 6000[/cyan]
    [cyan]textgym train Copy --model models/mine[/cyan]
    """
    from dataclasses import replace

    from textgym_agents.pretraining.model_card import write_model_card
    from textgym_agents.pretraining.pretrain import finished
    from textgym_agents.pretraining.pretrain import pretrain as run
    from textgym_agents.pretraining.recipes import RECIPES

    if model not in (*RECIPES, BUILTIN_SENTIMENT):
        raise ConfigError(
            f"There is no recipe for --model {model!r}. {did_you_mean(model, [*RECIPES, BUILTIN_SENTIMENT])}"
        )
    given: dict[str, Any] = {"steps": steps, "hidden_size": hidden_size, "layers": layers}
    given = {name: value for name, value in given.items() if value is not None}
    if model == BUILTIN_SENTIMENT:
        if vocabulary is not None:
            raise ConfigError(f"--vocabulary: {model} has the tokenizer of {BUILTIN_MODEL}.")
        _classifier(out, {**given, "seed": seed}, eval_prompts)
        return
    if vocabulary is not None:
        given |= {"vocabulary": vocabulary, "tokenizer": None}
    if steps is not None:
        given["then"] = ()  # so many in all
    options.quiet_libraries()
    recipe = replace(RECIPES[model], seed=seed, **given)
    result = None if (out / "README.md").is_file() else finished(out, recipe)  # ended before it had a card
    result = result or run(out, recipe)
    _say(out, result, lambda: write_model_card(out, num_prompts=eval_prompts, progress=True))


def _classifier(out: Path, given: dict[str, Any], eval_prompts: int) -> None:
    """The classifier of reviews, which is no policy."""
    from textgym_agents.pretraining.classifier import ClassifierRecipe, train_classifier, write_classifier_card

    options.quiet_libraries()
    result = train_classifier(out, ClassifierRecipe(**given))
    _say(out, result, lambda: write_classifier_card(out, eval_prompts))


def _say(out: Path, result: dict[str, float], write_card: Callable[[], Path]) -> None:
    console = Console()
    console.print(
        f"loss {result['loss']:.3f}, {result['parameters']:,.0f} parameters, {result['minutes']:.1f} minutes",
        markup=False,
    )
    console.print(f"model in {out}, its card in {write_card()}", markup=False, soft_wrap=True)
