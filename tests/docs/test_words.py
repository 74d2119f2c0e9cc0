"""The words of the field and American spelling: in the code of both packages, on the pages and in tests' names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generator.blocks import ROOT
from docs.generator.write import PAGES

INSTEAD = {
    r"likeliest": "greedy, or the most probable",
    r"(?:slow|fast|both)[ _]clocks?": "completions or tokens as actions",
    r"contestants?": "entry, baseline",
    r"earn(?:s|ed|ing)?": "gets a reward, has a return",
    r"told": "given",
    r"knows|knew": "has, takes, is trained on",
    r"stands": "is",
    r"riddles?": "a plain sentence",
    r"(?:un)?shaped[ _]rewards?": "transformed rewards: shaping is potential based",
    r"nats a text|tokens a text": "per episode",
}
BRITISH = [
    r"\w*(?:behaviour|colour|neighbour|favour|honour)\w*",
    r"(?:optim|normal|initial|general|regular|minim|maxim|summar|recogn|organ|serial|neutral|quant)is(?:e\w*|ing|ations?)",
    r"analys(?:ed?|ing)|licences?|judgement|grey|centre[sd]?|modelling|labell(?:ed|ing)|cancelled",
]
PATTERNS = {re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.I): instead for word, instead in INSTEAD.items()}
PATTERNS |= {re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.I): "American spelling" for word in BRITISH}

# What an example or a prompt says. The small world's sentences are in British English.
QUOTED = (
    "Which tower stands in Paris?",
    "What stands between the markers",
    "| colour: brown |",
    "know knew known",
    "tell told",
)
SOURCES = [
    *(path for path in sorted((ROOT / "textgym").rglob("*.py")) if path.parent.name != "world"),
    *sorted((ROOT / "agents" / "textgym_agents").rglob("*.py")),
    *sorted((ROOT / "docs" / "generator").glob("*.py")),
    *sorted((ROOT / "examples").rglob("*.py")),
]


def complaints(text: str) -> list[str]:
    """What to write instead of each word that isn't the field's.

    >>> complaints("It takes the likeliest token.")
    ['likeliest: greedy, or the most probable']
    """
    for quoted in QUOTED:
        text = text.replace(quoted, "")
    return [f"{match[0]}: {instead}" for pattern, instead in PATTERNS.items() for match in pattern.finditer(text)]


def names_of_tests() -> Iterator[str]:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_and_pages_speak_as_the_field_does(path: Path) -> None:
    assert not complaints(path.read_text(encoding="utf-8"))


def test_names_of_tests_do_too() -> None:
    assert not {name: wrong for name in names_of_tests() if (wrong := complaints(name))}


@pytest.mark.parametrize(
    "text", ["the likeliest token", "test_the_slow_clock_waits", "It knows no agents.", "optimiser", "BehaviourCloning"]
)
def test_other_words_are_noticed(text: str) -> None:
    assert complaints(text)


@pytest.mark.parametrize("text", ["learned, learns", "unlikely", "The optimizer's step", "a standard deviation"])
def test_words_that_only_look_like_them_pass(text: str) -> None:
    assert not complaints(text)
