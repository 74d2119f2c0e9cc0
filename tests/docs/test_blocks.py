"""The Python on the pages runs and prints what the pages say."""

import re
from pathlib import Path

import pytest

from docs.generator.blocks import ROOT, blocks_of, outputs_of, run_blocks
from docs.generator.write import AGENTS_README, PAGES, README
from tests.processes import run_python

GROUPS = {"README.md": [README], "agents/README.md": [AGENTS_README], "docs": PAGES[2:]}


@pytest.mark.parametrize("paths", GROUPS.values(), ids=GROUPS.keys())
def test_python_blocks_run_and_print_what_the_page_says(paths: list[Path], tmp_path: Path) -> None:
    printed = run_blocks(paths, tmp_path, run_python)
    for path in paths:
        outputs = printed[path.relative_to(ROOT).as_posix()]
        for number, block in outputs_of(path.read_text(encoding="utf-8")).items():
            assert outputs[number] == block.text, f"{path.name}, line {block.line}: python -m docs.generator.write"
        if path == README:  # training, so that the last digits are this machine's
            page = path.read_text(encoding="utf-8")
            run, shown = (re.findall(r"before: ([\d.]+)  after: ([\d.]+)\n", text)[0] for text in (outputs[1], page))
            assert [float(one) for one in run] == pytest.approx([float(one) for one in shown], abs=0.1)


def test_both_readmes_have_code() -> None:
    for path in (README, AGENTS_README):
        assert sum(block.runs for block in blocks_of(path.read_text(encoding="utf-8"))) >= 2


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_blocks_are_of_known_kinds(path: Path) -> None:
    kinds = [block.kind for block in blocks_of(path.read_text(encoding="utf-8"))]
    not_run = [kind for kind in kinds if kind.startswith("python no-run: ")]  # a reason follows
    assert {*kinds} - {*not_run} <= {"python", "text", "bash", "toml"}
    assert len(not_run) <= 1


def test_a_block_that_fails_or_prints_something_else_is_noticed(tmp_path: Path) -> None:
    page = ROOT / "docs" / "index.md"
    (block,) = [one for one in blocks_of(page.read_text(encoding="utf-8")) if one.runs]
    assert block.text.startswith("import textgym_agents")
    assert outputs_of("```python\nprint(1)\n```\n\n```text\n1\n```\n")[0].text == "1\n"
