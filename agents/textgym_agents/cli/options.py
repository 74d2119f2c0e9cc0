"""The options that several commands share, each declared once."""

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from textgym.rendering import visible as visible
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_MODELS

USAGE: type[Exception] = typer.BadParameter.__bases__[0]  # how the parser refuses options, in every version of typer
ALGORITHM, ENVIRONMENT, EVALUATION, MODEL, RUN = "Algorithm", "Environment", "Evaluation", "Model", "Run"  # panels


def option(help: str, panel: str | None = None, *names: str, **more: Any) -> Any:
    """An option with its help, its panel and, where it isn't the parameter's, its name."""
    return typer.Option(*names, rich_help_panel=panel, help=help, **more)


def pair(help: str, panel: str, name: str) -> Any:
    """An option ``NAME=VALUE`` that can be repeated."""
    return option(f"{help} Can be repeated.", panel, name, metavar="NAME=VALUE")


Task = Annotated[str, typer.Argument(metavar="ID", help="An id, or its middle: DataToText is textgym/DataToText-v0.")]
Plugins = Annotated[
    list[str] | None,
    option(
        "Import this module or .py file first: it registers tasks, rewards or algorithms of your own. Can be repeated.",
        None,
        "--import",
        metavar="MODULE",
    ),
]

MaxNewTokens = Annotated[int | None, option("Longest completion. Default: the task's own.", ENVIRONMENT, min=1)]
MaxPromptTokens = Annotated[int | None, option("Longest prompt. Default: the task's own.", ENVIRONMENT, min=1)]
Reward = Annotated[
    str | None,
    option(
        "A formula such as '0.7*bleu + 0.3*rougeL', or my_module:function. Default: the environment's own.", ENVIRONMENT
    ),
]
Dataset = Annotated[
    str | None,
    option("Take prompts from this file, folder, dataset on the hub, or texts side by side: 'a.en,a.de'.", ENVIRONMENT),
]
Columns = Annotated[
    str | None,
    option(
        "Columns of --dataset: 'prompt=en,references=de'; several references: 'references=a+b'.",
        ENVIRONMENT,
        metavar="ROLE=COLUMN",
    ),
]
EnvKwargs = Annotated[list[str] | None, pair("Argument of the environment, JSON.", ENVIRONMENT, "--env-kwarg")]

Model = Annotated[
    str | None,
    option(
        f"{', '.join(BUILTIN_MODELS)}, a name on the Hugging Face hub, a folder, or a .gguf file. Default: the task's "
        f"own, {BUILTIN_MODEL} for most.",
        MODEL,
    ),
]
Lora = Annotated[int | None, option("Train LoRA adapters of this rank, not all weights.", MODEL, metavar="RANK", min=1)]
Temperature = Annotated[float | None, option("Of sampling. Default 1.", MODEL)]
PolicyKwargs = Annotated[list[str] | None, pair("Argument of the policy, such as top_k=50.", MODEL, "--policy-kwarg")]

NumEnvs = Annotated[int, option("Rows: episodes played at once.", ALGORITHM, "--n-envs", min=1)]
AlgoKwargs = Annotated[list[str] | None, pair("Argument of the algorithm, JSON.", ALGORITHM, "--algo-kwarg")]
KlCoef = Annotated[
    float | None, option("Coefficient of the KL to the reference model. Default: the algorithm's own.", ALGORITHM)
]

# Held-out prompts of a command that trains. --split is where a command's own prompts come from.
EvalPrompts = Annotated[int, option("How many held-out prompts.", EVALUATION, min=1)]
EvalSplit = Annotated[str, option("Where the held-out prompts come from.", EVALUATION)]


LARGEST_SEED = 2**32 - 1


def load_plugins(modules: Iterable[str] | None, *things: str | None) -> tuple[str, ...]:
    """Import the modules of ``--import`` and installed plugins, and those that ``module:id`` or ``module:reward`` name.

    Returns:
        The modules, files with their whole path.
    """
    from textgym.importable import names_object
    from textgym.plugins import load_plugins as load

    modules = [*(modules or ()), *(one.rpartition(":")[0] for one in things if one is not None and names_object(one))]
    named = tuple(
        str(Path(one).expanduser().absolute()) if one.endswith(".py") else one for one in dict.fromkeys(modules)
    )
    load(named)
    return named


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the command line has the option of that parameter."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def quiet_libraries() -> None:
    """Keep the progress bars and the advice of transformers out of our output."""
    from transformers.utils import logging as transformers_logging

    of_transformers: Any = transformers_logging
    of_transformers.disable_progress_bar()
    of_transformers.set_verbosity_error()


def quiet_datasets() -> None:
    """Keep the progress bars of datasets, and what it logs of errors that are raised besides, out of our output."""
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # both are read when datasets is imported
    os.environ.setdefault("DATASETS_VERBOSITY", "critical")
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
        sys.modules["datasets"].utils.logging.set_verbosity(logging.CRITICAL)
