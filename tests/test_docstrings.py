"""Public docstrings name the arguments that there are, and all of them."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from typing import Any, Unpack, get_args, get_origin

import pytest

import textgym
import textgym_agents

# What Stable-Baselines3 gives to everything of one kind: a policy, a buffer, a callback.
FROM_SB3 = {"observation_space", "action_space", "lr_schedule", "use_sde", "device", "verbose"}


def modules() -> list[Any]:
    """All modules of both packages."""
    names = [
        info.name
        for package in (textgym, textgym_agents)
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not info.name.endswith("__main__")
    ]
    return [importlib.import_module(name) for name in names]


def public(kind: Callable[[Any], bool]) -> dict[str, Any]:
    """The public classes or functions of both packages, by their dotted name."""
    return {
        f"{thing.__module__}.{name}": thing
        for module in modules()
        for name, thing in vars(module).items()
        if kind(thing) and getattr(thing, "__module__", None) == module.__name__ and not name.startswith("_")
    }


def documented(docstring: str) -> list[str] | None:
    """The names before the colons of a docstring's ``Args:``, as they are; None without such a part.

    >>> documented("It adds.\\n\\nArgs:\\n    a, b: numbers.\\n        Any.\\n    c: another\\n\\nReturns:\\n    d: no")
    ['a', 'b', 'c']
    """
    lines = inspect.cleandoc(docstring).splitlines()
    if "Args:" not in lines:
        return None
    names: list[str] = []
    for line in lines[lines.index("Args:") + 1 :]:
        if line and not line.startswith("    "):
            break
        if re.match(r"^ {4}\S", line):
            names += [name.strip() for name in line.partition(":")[0].split(",")]
    return names


def parameters(thing: Any) -> tuple[set[str], set[str]]:
    """The arguments that a class or function names itself, and those that it passes on."""
    named: set[str] = set()
    passed: set[str] = set()
    for parameter in inspect.signature(thing.__init__ if isinstance(thing, type) else thing).parameters.values():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            named.add(parameter.name)
        elif get_origin(parameter.annotation) is Unpack:
            passed |= {parameter.name, *get_args(parameter.annotation)[0].__annotations__}
        else:
            passed |= {parameter.name} | (inherited(thing) if isinstance(thing, type) else set())
    return {name for name in named - {"self", "args"} if not name.startswith("_")}, passed


def inherited(cls: type) -> set[str]:
    names: set[str] = set()
    for base in cls.__mro__[1:-1]:
        if "__init__" in vars(base):
            names |= {*inspect.signature(base.__init__).parameters}  # type: ignore[misc]
    return names


def faults(thing: Any) -> list[str]:
    """What a docstring's ``Args:`` says that isn't so, or, if it is a class's, leaves out."""
    names = documented(thing.__doc__ or "")
    if names is None:
        return []
    named, passed = parameters(thing)
    written = {name.lstrip("*") for name in names}
    mistakes = [f"{name!r} is no argument" for name in sorted(written - named - passed - {"..."})]
    if isinstance(thing, type) and "..." not in written:
        mistakes += [f"{name!r} is missing" for name in sorted(named - written - FROM_SB3)]
    return mistakes


def test_docstrings_name_the_arguments_that_there_are() -> None:
    things = public(lambda thing: inspect.isclass(thing) or inspect.isfunction(thing))
    assert len(things) > 300
    wrong = {name: mistakes for name, thing in things.items() if (mistakes := faults(thing))}
    assert wrong == {}


class Misplaced:
    """A class with a line of its body in its docstring.

    Args:
        flag = False  # for nobody
    size: how large.
    """

    def __init__(self, size: int) -> None:
        self.size = size


class Incomplete:
    """A class of which an argument isn't described.

    Args:
        size: how large.
        depth: no argument.
    """

    def __init__(self, size: int, width: int) -> None:
        self.size, self.width = size, width


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (Misplaced, ["'flag = False  # for nobody' is no argument", "'size' is missing"]),
        (Incomplete, ["'depth' is no argument", "'width' is missing"]),
    ],
)
def test_the_test_finds_what_it_is_for(thing: Any, expected: list[str]) -> None:
    assert faults(thing) == expected
