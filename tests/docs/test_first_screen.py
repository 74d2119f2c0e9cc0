"""The READMEs stay short, begin with what a reader looks for, and show what their code prints."""

import re
from pathlib import Path

import pytest
import yaml

from docs.generator.blocks import ROOT, blocks_of
from docs.generator.write import AGENTS_README, README, part


@pytest.mark.parametrize(("path", "words", "lines"), [(README, 1800, 260), (AGENTS_README, 2200, 232)])
def test_the_readmes_are_short(path: Path, words: int, lines: int) -> None:
    page = path.read_text(encoding="utf-8")
    assert len(page.split()) <= words
    assert len(page.splitlines()) <= lines


def test_the_first_screen_has_picture_install_line_episode_and_ppo_in_this_order() -> None:
    page = README.read_text(encoding="utf-8")
    screen = page.partition("\n## ")[0]
    blocks = blocks_of(screen)
    assert screen.index("![") < screen.index("pip install .") < screen.index("gym.make(") < screen.index("import PPO")
    assert [block.kind for block in blocks] == ["bash", "python", "text", "python", "text"]
    assert all(block.text.count("\n") <= 14 for block in blocks)
    for link in ("agents/README.md", "docs/benchmark.md", "docs/guides/reward.md", "CONTRIBUTING.md"):
        assert f"({link})" in screen


def test_the_readme_says_early_what_the_suite_does_not_do() -> None:
    assert "What it does not do:" in README.read_text(encoding="utf-8").partition("\n## Two commands")[0]


def test_the_set_up_commands_are_on_the_first_page() -> None:
    page = README.read_text(encoding="utf-8")
    assert re.search(r"^make demo\b", page, re.MULTILINE)
    assert re.search(r"^make test\b", page, re.MULTILINE)


def test_the_output_of_ppo_is_labeled() -> None:
    shown = re.search(r"before: ([\d.]+)  after: ([\d.]+)\n", part(README.read_text(encoding="utf-8"), "output"))
    assert shown is not None
    assert float(shown[2]) > float(shown[1]) + 0.15


def test_agents_readme_begins_with_the_nine_files() -> None:
    page = AGENTS_README.read_text(encoding="utf-8")
    first = page.split("\n## ")[1]
    assert first.startswith("Read this first\n")
    files = re.findall(r"^\d\. \[[^]]+\]\(([^)]+)\): ", first, re.MULTILINE)
    assert len(files) == 9
    for file in files:
        assert (AGENTS_README.parent / file).is_file()


def test_the_changelog_has_its_headings_only() -> None:
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert {*re.findall(r"^### (.+)$", page, re.MULTILINE)} <= {"Added", "Changed", "Fixed", "Removed"}
    assert re.findall(r"^## (.+)$", page, re.MULTILINE)[0] == "[Unreleased]"


def test_the_citation_is_of_this_version() -> None:
    import tomllib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["authors"] == project["authors"]
    assert citation["license"] == project["license"]


def test_agents_readme_explains_the_families_that_there_are() -> None:
    from textgym_agents import ALGORITHMS

    rows = re.findall(r"^\| ([^|`]+) \| [A-Z`]", AGENTS_README.read_text(encoding="utf-8"), re.MULTILINE)
    explained = {family for row in rows for family in row.strip().split(", ")}
    assert {row.family for row in ALGORITHMS.values()} <= explained
