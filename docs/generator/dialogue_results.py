"""Tables of docs/guides/conversation.md about the suites dialogue and cloned, from files in agents/results."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

from docs.generator.blocks import ROOT
from docs.generator.results import gains, runs_of, scores_of
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.costs import costs_of
from textgym_agents.benchmark.composites import parts, short_task
from textgym_agents.report import markdown
from textgym_agents.report.numbers import show

DIALOGUE = ROOT / "agents" / "results" / "dialogue-v1.jsonl.gz"
CLONED = DIALOGUE.with_name("cloned-v1.jsonl.gz")
INITIAL, CLONE, IMITATION = "zero_shot", "bc[skill=0.75]", "bc[skill=0.9]"


def learned() -> str:
    """What training adds to the initial model, and ILQL to imitation of the same log."""
    return table(DIALOGUE, lambda algo: IMITATION if algo.startswith("ilql[skill=0.9") else INITIAL)


def cloned() -> str:
    """What reinforcement learning adds to cloning alone, for as many tokens."""
    return table(CLONED, lambda _: CLONE)


def table(path: Path, start: Callable[[str], str]) -> str:
    """Returns, their gains over those of the algorithm that ``start`` names, and the way from random to the best."""
    scores, runs, rows = scores_of(path), runs_of(path), []
    for task in scores.tasks:
        for algo in lines.algos_of(lines.select(runs, task=task)):
            mine = lines.select(runs, task=task, algo=algo)
            sampled, greedy = (scores.cells[task, algo, side] for side in ("sampled", "greedy"))
            cells = [f"{one.reward.value:.3f}" for one in (sampled, greedy)]
            if algo == start(algo) or not lines.is_trained(mine[0]):
                cells += ["", ""]
            else:
                cells += gains(scores, task, algo, start(algo))
            minutes = f"{costs_of(mine)['seconds'] / 60:.1f}" if lines.is_trained(mine[0]) else ""
            name = short_task(task).partition("-v")[0]
            rows.append([name, f"`{_shorter(algo)}`", *cells, show(sampled.score), minutes])
    header = [
        "task",
        "algorithm",
        "sampled",
        "greedy",
        "gain, sampled",
        "gain, greedy",
        "of the way, sampled",
        "minutes",
    ]
    return markdown.table(header, rows)


def _shorter(algo: str) -> str:
    """With the first argument of each part alone, and repeated parts counted, for a column that can be read."""
    short = []
    for part, repeated in itertools.groupby(parts(algo)):
        times = len(list(repeated))
        name = re.sub(r"\[([^,\]]*),.*\]$", r"[\1, …]", part)
        short.append(f"{times} x {name}" if times > 1 else name)
    return " + ".join(short)
