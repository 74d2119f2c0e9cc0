"""Python in a process and a folder of its own, for tests: what a user would type, without seconds of imports.

The processes are forks of one server a test process has, which imports the libraries once (``multiprocessing``'s
fork server). Otherwise they are new: no test has registered anything there, and what they do ends with them.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORKS = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT: Any = multiprocessing.get_context("forkserver" if FORKS else "spawn")
if FORKS:
    CONTEXT.set_forkserver_preload(["textgym_agents.cli.app", "textgym_agents.algorithms", "textgym_agents.evaluation"])


@dataclass(frozen=True)
class Done:
    """A process that has ended: its exit code and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def run_python(
    arguments: Sequence[object], folder: Path, env: Mapping[str, str] | None = None, path: Sequence[Path] = ()
) -> Done:
    """Run ``python ARGUMENTS`` in ``folder``: ``-m MODULE ...``, ``-c CODE ...`` or ``SCRIPT ...``.

    Args:
        arguments: as after ``python``.
        folder: the working directory.
        env: variables besides those of this process.
        path: folders that modules are imported from, before all others.
    """
    with tempfile.TemporaryDirectory() as written:
        out, err = Path(written) / "out", Path(written) / "err"
        words = [str(word) for word in arguments]
        given = (words, str(folder), dict(env or {}), [str(entry) for entry in path], out, err)
        process = CONTEXT.Process(target=_child, args=given)
        process.start()
        process.join(300)
        if process.is_alive():
            process.kill()
            process.join()
        return Done(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


@contextmanager
def started_python(arguments: Sequence[object], folder: Path) -> Iterator[tuple[Any, Path]]:
    """The process of ``python ARGUMENTS`` in ``folder``, and the file of its standard error.

    It is killed after the block if it still runs then.
    """
    with tempfile.TemporaryDirectory() as written:
        words, out, err = [str(word) for word in arguments], Path(written) / "out", Path(written) / "err"
        process = CONTEXT.Process(target=_child, args=(words, str(folder), {}, [], out, err))
        process.start()
        try:
            yield process, err
        finally:
            process.kill()
            process.join()


def _child(words: list[str], folder: str, env: dict[str, str], path: list[str], out: Path, err: Path) -> None:
    for stream, file in ((sys.stdout, out), (sys.stderr, err)):
        stream.flush()
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), stream.fileno())
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    os.chdir(folder)
    os.environ.update(env)
    sys.path[:0] = path
    code: Any = 1
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        elif words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = words
            sys.path.insert(0, str(Path(words[0]).parent))
            runpy.run_path(words[0], run_name="__main__")
        code = 0
    except SystemExit as stop:
        code = stop.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
