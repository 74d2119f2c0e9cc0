"""For tests and doctests alike: one thread a process, and what one of them registers is gone before the next."""

import os
import sys
from collections.abc import Iterator

import pytest

# Before torch is imported: there is one process a core, and sums of one thread are the same on every machine. Processes
# that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


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
