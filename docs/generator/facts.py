"""What is said about a default, an update rule or an environment: read from docstrings, signatures and facts.toml."""

import inspect
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from docs.generator.roles import as_markdown

FACTS: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "facts.toml").read_text(encoding="utf-8"))
ROOT = Path(__file__).parents[2]


class Default(NamedTuple):
    """One argument of an algorithm as ``make`` sets it."""

    value: str
    own: str  # that of the class itself, "" where it has none
    origin: str  # "paper", a library, "chosen", or "tuned by" a command
    why: str


def defaults_of(name: str) -> dict[str, Default]:
    """The arguments of an algorithm that textgym chose, in its class's signature or its row."""
    from textgym_agents.algorithms import ALGORITHMS
    from textgym_agents.algorithms.options import arguments

    row: Any = ALGORITHMS[name]
    own = {argument: value for argument, value in arguments(row.cls).items() if value is not inspect.Parameter.empty}
    return {
        argument: Default(
            f"`{value!r}`", f"`{own[argument]!r}`" if argument in own else "", row.origin(argument), why(name, argument)
        )
        for argument, value in row.settings().items()
    }


def why(name: str, argument: str) -> str:
    """Why a default is what it is, or else what the docstring of the algorithm's class says of the argument."""
    from textgym_agents.algorithms import ALGORITHMS

    reasons: dict[str, str] = FACTS["why"]
    return reasons.get(f"{name}.{argument}", reasons.get(argument, "")) or meaning(argument, ALGORITHMS[name].cls)


def meaning(argument: str, cls: Any) -> str:
    """What the docstrings of a class and its bases say of an argument, on one line; "" if nothing."""
    for base in inspect.getmro(cls):
        text = inspect.cleandoc(vars(base).get("__doc__") or "")
        match = re.search(rf"^ +(?:\w+, )*{argument}(?:, \w+)*: (.*(?:\n {{8}}.*)*)", text, re.MULTILINE)
        match = match or re.search(rf"^:param {argument}: (.*(?:\n +.*)*)", text, re.MULTILINE)  # as SB3 writes it
        if match:
            sentence = as_markdown(re.sub(r"\s+", " ", match[1]).strip())
            return sentence[:1].upper() + sentence[1:]
    return ""


def equation(name: str) -> str:
    """The update rule of an algorithm: of facts.toml, or the first line of what ``train`` says; "" if there is none."""
    from textgym_agents.algorithms import ALGORITHMS

    written: dict[str, str] = FACTS["equation"]
    if name in written:
        return written[name].strip()
    train = vars(ALGORITHMS[name].cls).get("train")
    return (train.__doc__ or "").strip().partition("\n\n")[0].rstrip(".") if train else ""


class Scalar(NamedTuple):
    """A logged number."""

    name: str
    by: str  # the algorithms or the callback that log it, as the table says it
    meaning: str


@cache
def scalars() -> list[Scalar]:
    """The rows of the tables in docs/reference/scalars.md."""
    page = (ROOT / "docs" / "reference" / "scalars.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (.+) \|$", page, re.MULTILINE)
    return [Scalar(name, by.strip(), text.strip()) for name, by, text in rows]


@cache
def results() -> dict[str, list[str]]:
    """Algorithm -> its row of the table in docs/benchmark.md, with the table's header under "algorithm"."""
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    match = re.search(r"^<!-- benchmark -->\n(.*?)^<!-- /benchmark -->$", page, re.DOTALL | re.MULTILINE)
    lines = match[1].splitlines() if match else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {line[0]: line for line in cells}
