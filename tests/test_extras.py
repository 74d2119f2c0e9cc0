"""A message about a missing extra names a command that works from a clone and from an index alike."""

import shlex
import tomllib
from pathlib import Path

import pytest

from textgym.errors import EXTRAS, MissingExtraError

ROOT = Path(__file__).parent.parent


def test_extras_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {
        name: tuple(what) for name, what in extras.items() if name not in ("test", "docs", "dev", "parity")
    } == EXTRAS


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_command_names_packages_and_not_textgym(extra):
    words = shlex.split(str(MissingExtraError("This", extra)).partition("Install it with: ")[2])
    assert words == ["pip", "install", *EXTRAS[extra]]
