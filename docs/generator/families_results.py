"""Tables of docs/benchmark.md about the built-in tasks, from results files in agents/results."""

from pathlib import Path

from docs.generator.blocks import ROOT
from docs.generator.results import gains, marked, runs_of, scores_of
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.costs import costs_of
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.suites import find_suite
from textgym_agents.report import markdown

FAMILIES = ROOT / "agents" / "results" / "families-v1.jsonl.gz"
SEQ2SEQ = FAMILIES.with_name("seq2seq-v1.jsonl.gz")
INDUCTION = FAMILIES.with_name("induction-v1.jsonl.gz")
CLONING = "bc"


def above_decoding(path: Path = FAMILIES) -> str:
    """Rewards on held-out prompts: of the initial model, of the best that decoding gets out of it, and after training.

    Bold where the interval of the difference from the best decoding lies above 0, in brackets where it lies below.
    """
    scores, runs, rows = scores_of(path), runs_of(path), []
    budgets = find_suite("families").tasks
    for task in scores.tasks:
        room = scores.headroom[task]
        assert room.baseline is not None
        assert room.ceiling is not None
        for algo in lines.algos_of(mine := lines.select(runs, task=task)):
            if lines.is_trained(lines.select(mine, algo=algo)[0]):
                before = [f"{room.initial.value:.3f}", f"{room.baseline.value:.3f}", f"`{room.baseline_name}`"]
                cells = [scores.cells[task, algo, side] for side in ("sampled", "greedy")]
                after = [marked(f"{cell.reward.value:.3f}", cell.score) for cell in cells]
                minutes = f"{costs_of(lines.select(mine, algo=algo))['seconds'] / 60:.1f}"
                name = short_task(task).partition("-v")[0]
                rows.append(
                    [name, f"{budgets[task]:,}", *before, f"`{algo}`", *after, f"{room.ceiling.value:.3f}", minutes]
                )
    header = ["task", "tokens", "initial model", "best decoding", "which decoding", "algorithm", "sampled", "greedy"]
    return markdown.table([*header, "best of 16", "minutes"], rows)


def after_cloning() -> str:
    """What reinforcement learning adds to cloning where rewards are sparse, for as many tokens in all."""
    scores, rows = scores_of(INDUCTION), []
    for task in scores.tasks:
        for algo in lines.algos_of(lines.select(runs_of(INDUCTION), task=task)):
            cells = [scores.cells[task, algo, side] for side in ("sampled", "greedy")]
            more = ["", ""] if algo == CLONING else gains(scores, task, algo, CLONING)
            rows.append([f"`{algo}`", *(f"{cell.reward.value:.3f}" for cell in cells), *more])
    return markdown.table(["algorithm", "sampled", "greedy", "gain, sampled", "gain, greedy"], rows)
