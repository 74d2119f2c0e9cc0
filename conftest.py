"""For tests and doctests alike: one thread a process, and what one of them registers is gone before the next."""

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported: there is one process a core, and sums of one thread are the same on every machine. Processes
# that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Shells ignore INT in what they run in the background, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SOURCES = (Path(__file__).parent, Path(__file__).parent / "agents")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Import a package's module as Python does. Pytest's importlib mode would run it again, after its package has."""
    for source in SOURCES:
        parts = file_path.relative_to(source).parts if file_path.is_relative_to(source) else ("",)
        if parts[0] in ("textgym", "textgym_agents") and file_path.suffix == ".py" and file_path.stem != "__main__":
            importlib.import_module(".".join((*parts[:-1], file_path.stem)).removesuffix(".__init__"))


@pytest.fixture(autouse=True)
def _registries_as_they_were() -> Iterator[None]:
    import gymnasium

    from textgym.rewards import REWARDS

    algorithms = getattr(sys.modules.get("textgym_agents.algorithms.registry"), "ALGORITHMS", {})
    before = [(table, dict(table)) for table in (gymnasium.registry, REWARDS, algorithms)]
    yield
    for table, rows in before:
        if table != rows:
            table.clear()
            table.update(rows)
