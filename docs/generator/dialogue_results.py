"""The table of docs/guides/conversation.md about the suite dialogue, from its results file in agents/results."""

from functools import partial

from docs.generator.blocks import ROOT
from docs.generator.results import runs_of, scores_of
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.costs import costs_of
from textgym_agents.benchmark.analysis.measures import estimate
from textgym_agents.benchmark.composites import short_task
from textgym_agents.report import markdown
from textgym_agents.report.numbers import show

DIALOGUE = ROOT / "agents" / "results" / "dialogue-v1.jsonl.gz"
INITIAL = "zero_shot"

_runs, _scores = partial(runs_of, DIALOGUE), partial(scores_of, DIALOGUE)


def learned() -> str:
    """Returns before and after training, and how much of the way from random utterances to the best policy that is."""
    scores, rows = _scores(), []
    for task in scores.tasks:
        start = scores.cells[task, INITIAL, "sampled"]
        for algo in lines.algos_of(lines.select(_runs(), task=task)):
            sampled, greedy = (scores.cells[task, algo, side] for side in ("sampled", "greedy"))
            mine = lines.select(_runs(), task=task, algo=algo)
            gain = minutes = ""
            if lines.is_trained(mine[0]):
                drawn = sampled.drawn_rewards.mean(1) - start.drawn_rewards.mean(1)
                gain = show(estimate(sampled.reward.value - start.reward.value, drawn))
                minutes = f"{costs_of(mine)['seconds'] / 60:.1f}"
            returns = [f"{one.reward.value:.3f}" for one in (sampled, greedy)]
            name = short_task(task).partition("-v")[0]
            rows.append([name, f"`{algo}`", *returns, gain, show(sampled.score), minutes])
    header = ["task", "algorithm", "sampled", "greedy", "gain", "of the way from random to best", "minutes"]
    return markdown.table(header, rows)
