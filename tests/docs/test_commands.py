"""The commands on the pages exist and take these arguments."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from docs.generator import pages
from docs.generator.blocks import ROOT, blocks_of
from docs.generator.write import PAGES

MAKEFILE = ROOT / "Makefile"


def commands_of(page: str) -> list[str]:
    """What a reader of a page types: the lines of its shell blocks, and inline code that begins like one."""
    lines = [line for block in blocks_of(page) if block.kind == "bash" for line in joined(block.text).splitlines()]
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`((?:textgym|make|pip|python) [^`]+)`", prose)
    return [line for line in (line.partition(" #")[0].strip() for line in lines) if line]


def joined(text: str) -> str:
    return re.sub(r"\\\n\s*", " ", text)


def check_command(line: str) -> None:
    """Raise unless the command exists and takes these arguments."""
    program, *arguments = shlex.split(line)
    if program == "textgym":
        check_textgym(arguments)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
        named = [argument for argument in arguments if "=" not in argument]
        assert {*named} <= {*targets}, f"{line}: no such target"
    elif program == "pip":
        extras = re.findall(r"\[([a-z,]+)\]", line)
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert {*",".join(extras).split(",")} <= {*known, ""}, f"{line}: no such extra"
    elif program == "python":
        assert arguments[0] == "-m" or (ROOT / arguments[0]).is_file(), f"{line}: no such script"
        module = ROOT.joinpath(*arguments[1].split(".")).with_suffix(".py") if arguments[0] == "-m" else ROOT
        package = module.with_suffix("") / "__main__.py"
        named = module.exists() or package.exists() or arguments[1] in ("pytest", "http.server")
        assert named, f"{line}: no such module"
    else:
        assert program in ("git", "cd", "tensorboard"), f"{line}: this test has no check of {program!r}"


def check_textgym(arguments: list[str]) -> None:
    """Let the command parse its arguments, without running it."""
    import typer

    from textgym_agents.cli.app import app

    if arguments in (["--version"], ["--help"]):
        return
    name, *rest = arguments
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert name in commands, f"textgym has no command {name!r}"
    if rest in ([], ["--help"]):  # the command is mentioned
        return
    try:
        commands[name].make_context(name, rest).close()
    except Exception as error:  # typer has a click of its own, so there is no class to name
        raise AssertionError(f"textgym {' '.join(arguments)}: {error}") from error


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_of_the_pages(path: Path) -> None:
    for line in commands_of(path.read_text(encoding="utf-8")):
        check_command(line)


def test_commands_of_the_makefile() -> None:
    lines = re.findall(r"\$\(BIN\)/textgym (.*)", MAKEFILE.read_text(encoding="utf-8").replace("\\\n", " "))
    assert lines
    for line in lines:
        check_command(f"textgym {line}")


def test_commands_of_the_generated_pages() -> None:
    lines = {line for page in pages.generated().values() for line in commands_of(page)}
    assert len(lines) > 40
    for line in lines:
        check_command(line)


@pytest.mark.parametrize("line", ["textgym fly", "textgym train Copy --wings 2", "make tea", "pip install .[tea]"])
def test_commands_that_do_not_exist_are_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        check_command(line)
