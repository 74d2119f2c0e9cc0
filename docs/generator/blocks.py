"""The fenced blocks of a Markdown page: which there are, and what its Python prints."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Runs the blocks of each page in one namespace and an empty folder. The last line is JSON: what each block printed.
RUNNER = """
import contextlib, io, json, os, sys, types
printed, folder = {}, os.getcwd()
for number, (page, blocks) in enumerate(json.loads(sys.argv[1]).items()):
    os.makedirs(f"{folder}/{number}")
    os.chdir(f"{folder}/{number}")
    sys.modules["__main__"] = module = types.ModuleType("__main__")  # what pickling looks functions up in
    printed[page] = []
    for line, code in blocks:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("\\n" * line + code, page, "exec"), vars(module))
        printed[page].append(out.getvalue())
print(json.dumps(printed))
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: what follows its opening backticks, its text, and the number of lines before its text."""

    kind: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        """Whether it is Python that the tests run."""
        return self.kind == "python"


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    matches = re.finditer(r"^```(\S[^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Block(match[1].strip(), match[2], page.count("\n", 0, match.start(2))) for match in matches]


def outputs_of(page: str) -> dict[int, Block]:
    """Number of a Python block that runs -> the block of kind "text" right behind it, its output."""
    blocks = blocks_of(page)
    pairs = zip(blocks, [*blocks, None][1:], strict=True)
    running = [(block, behind) for block, behind in pairs if block.runs]
    return {
        number: behind
        for number, (block, behind) in enumerate(running)
        if behind is not None and behind.kind == "text" and behind.line == block.line + block.text.count("\n") + 3
    }


def in_process(arguments: Sequence[object], folder: Path, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run Python in a process of its own."""
    sources = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "agents")]), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, **sources, **env})


def run_blocks(
    paths: Sequence[Path], folder: Path, run: Callable[[Sequence[object], Path, Mapping[str, str]], Any] = in_process
) -> Mapping[str, list[str]]:
    """Run the Python blocks of pages in one process, offline. Returns what each block printed, by page.

    Args:
        paths: the pages.
        folder: an empty one, to run in.
        run: runs Python with arguments, in a folder, with variables; what it returns is as subprocess.run's.

    Raises:
        RuntimeError: a block failed; the message ends with its traceback.
    """
    pages = {
        path.relative_to(ROOT).as_posix(): [
            (block.line, block.text) for block in blocks_of(path.read_text(encoding="utf-8")) if block.runs
        ]
        for path in paths
    }
    ended = run(["-c", RUNNER, json.dumps(pages)], folder, {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr[-3000:])
    printed: Mapping[str, list[str]] = json.loads(ended.stdout.splitlines()[-1])
    return printed
