"""Names on the pages exist: what they call textgym.X or textgym_agents.X can be imported, and files are there."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from docs.generator import pages
from docs.generator.blocks import ROOT
from docs.generator.write import PAGES
from textgym.tokenizer import BUILTIN_MODELS, BUILTIN_SENTIMENT

EVERY_PAGE = [*PAGES, ROOT / "SECURITY.md"]
NAME = re.compile(r"(?<![\w/.@\"-])(textgym(?:_agents)?(?:\.[A-Za-z_]\w*)+)(?!\w*/)")
# Distributions, files and groups that look like names.
NO_NAMES = {"textgym.plugins"}


def lookup(dotted: str) -> Any:
    """What a dotted name leads to; AttributeError if nothing."""
    package, *rest = dotted.split(".")
    thing: Any = importlib.import_module(package)
    for number, attribute in enumerate(rest, start=1):
        if inspect.ismodule(thing) and not hasattr(thing, attribute):
            try:
                thing = importlib.import_module(".".join([package, *rest[:number]]))
                continue
            except ModuleNotFoundError:
                pass
        thing = getattr(thing, attribute)
    return thing


@pytest.mark.parametrize("path", EVERY_PAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_of_the_pages_exist(path: Path) -> None:
    for name in {*NAME.findall(path.read_text(encoding="utf-8"))} - NO_NAMES:
        lookup(name)


def test_names_of_the_generated_pages_exist() -> None:
    for name in {name for page in pages.generated().values() for name in NAME.findall(page)} - NO_NAMES:
        lookup(name)


@pytest.mark.parametrize("name", ["textgym.Promt", "textgym_agents.policies.none", "textgym_agents.RLOO.wings"])
def test_names_that_do_not_exist_are_noticed(name: str) -> None:
    with pytest.raises(AttributeError):
        lookup(name)


@pytest.mark.parametrize("path", EVERY_PAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_named_in_the_text_exist(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:textgym|textgym_agents|agents|tests|examples|docs)/[\w/.]+)`", page):
        there = (ROOT / name).exists() or (ROOT / "agents" / name).exists()
        assert there or name in (*BUILTIN_MODELS, BUILTIN_SENTIMENT), f"{path.name} names {name}"
