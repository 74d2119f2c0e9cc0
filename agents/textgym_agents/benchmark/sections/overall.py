"""Sections over all tasks: mean scores, learning, costs."""

from collections.abc import Sequence

from textgym_agents.benchmark import pictures
from textgym_agents.benchmark.analysis import lines, measures
from textgym_agents.benchmark.analysis.abilities import Probe
from textgym_agents.benchmark.analysis.costs import COSTS, USES, at_equal_cost, costs_of, learning
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.analysis.scores import Scores
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.sections.section import UNITS, Picture, Section
from textgym_agents.benchmark.suites import family
from textgym_agents.report.tables import Table, Value

SUPERVISED, INITIAL = "bc", "zero_shot"
UNIT_COSTS = {
    "tokens_written": "tokens written",
    "tokens_learned": "tokens learned from",
    "forward_tokens": "forward tokens",
    "seconds": "seconds",
    "peak_memory_mb": "peak memory, MB",
    "tokens_per_completion": "tokens per completion",
}


def overall_section(scores: Scores, runs: Runs) -> list[Section]:
    reference = next((name for name in (SUPERVISED, INITIAL) if name in scores.complete()), None)
    iqm = len(scores.tasks) >= measures.FEWEST_TASKS_OF_AN_IQM
    rows: list[list[Value]] = []
    complete = sorted(scores.complete(), key=lambda algo: -float(scores.point(algo).mean()))
    greedy = set(scores.complete("greedy"))
    for algo in complete:
        point, drawn = scores.point(algo), scores.drawn(algo)
        mine = lines.select(runs, algo=algo)
        costs = costs_of(mine)
        better: list[Value] = []
        if reference is not None:
            other = scores.point(reference), scores.drawn(reference)
            improvement = measures.estimate(
                float(measures.probability_of_improvement(point, other[0])),
                measures.probability_of_improvement(drawn, other[1]),
            )
            better = [None if algo == reference else improvement]
        rows.append(
            [
                algo,
                family(algo),
                measures.estimate(float(measures.mean(point)), measures.mean(drawn)),
                measures.estimate(scores.point(algo, "greedy").mean(), scores.drawn(algo, "greedy").mean((1, 2)))
                if algo in greedy
                else None,
                *([measures.estimate(float(measures.iqm(point)), measures.iqm(drawn))] if iqm else []),
                measures.estimate(float(measures.optimality_gap(point)), measures.optimality_gap(drawn)),
                *better,
                *(costs.get(name) for name in ("forward_tokens", "seconds", "peak_memory_mb")),
            ]
        )
    header = ["algorithm", "family", "score, sampled", "score, greedy", *(["IQM"] if iqm else []), "optimality gap"]
    header += [] if reference is None else [f"P(better than {reference})"]
    header += ["forward tokens", "seconds", "peak memory, MB"]
    said = [
        f"Mean {UNITS[scores.kind]}. Brackets are 95 % intervals of a stratified bootstrap over seeds and prompts. The "
        "optimality gap is how far a run falls short of 1, on average."
        + ("" if iqm else f" There are fewer than {measures.FEWEST_TASKS_OF_AN_IQM} tasks, so no interquartile mean.")
    ]
    left_out = [algo for algo in scores.algos if algo not in complete]
    if left_out:
        said.append(f"Without runs on every task, so not averaged: {', '.join(left_out)}.")
    shown = [
        Picture("overall", [pictures.overall(scores, complete)], 1),
        Picture("profiles", pictures.profiles(scores, complete), 3),
    ]
    return [Section("All tasks", said, [Table(header, rows, frozenset({"score, sampled", "score, greedy"}))], shown)]


def learning_section(scores: Scores, runs: Runs, found: Sequence[Probe]) -> list[Section]:
    rows: list[list[Value]] = []
    for one in learning(runs, scores):
        rows.append([short_task(one.task), one.algo, one.area, one.goal, one.passed, one.tokens])
    if not rows:
        return []
    header = [
        "task",
        "algorithm",
        "area under the curve",
        "threshold",
        "share of seeds that reach it",
        "tokens until then",
    ]
    goal = (
        "the reward of the best decode-only baseline"
        if scores.kind == "headroom"
        else "halfway from the initial model's reward to the best algorithm's"
    )
    said = (
        "The area is the mean reward in training over its tokens. The threshold is "
        f"{goal}; it is reached when the mean of five points of the learning curve is."
    )
    # Of each probe the variant in the middle: all would be a page of their own.
    shown = [probe.tasks[len(probe.tasks) // 2] for probe in found]
    drawn = Picture("curves", pictures.curves(runs, scores, shown), 3)
    return [Section("Learning", [said], [Table(header, rows)], [drawn])]


def costs_section(scores: Scores, runs: Runs) -> list[Section]:
    names = [name for name in COSTS if any(name in (run.get("costs") or {}) for run in runs)]
    equal = at_equal_cost(runs, scores)
    if not names:
        return []
    rows: list[list[Value]] = []
    for algo in scores.algos:
        found = costs_of(lines.select(runs, algo=algo))
        rows.append([algo, *(found.get(name) for name in names)])
    of_runs = Table(
        ["algorithm", *(UNIT_COSTS[name] for name in names)], rows, caption="A run, mean over tasks and seeds"
    )
    by_cost: list[list[Value]] = []
    for one in equal:
        cell = scores.cell(one.task, one.algo)
        end = None if cell is None else cell.reward
        best: list[Value] = []
        for uses in USES:
            n, reward = one.best_of.get(uses, (None, None))
            best += [n, reward]
        by_cost.append([short_task(one.task), one.algo, one.cost, end, one.budget, one.reward, *best])
    header = ["task", "algorithm", "forward tokens", "reward at equal tokens", "equal cost", "reward at equal cost"]
    for uses in USES:
        header += [f"n for {uses:,} uses", f"best of that n, {uses:,} uses"]
    said = (
        "A token that is written costs 1, one that is learned from 3, one that the reference model scores 1. At equal "
        "tokens: held-out reward at the end. At equal cost: reward in training once as many forward tokens were spent "
        "as the cheapest algorithm of the task needs in all. Best-of-n pays for every completion: the n that costs "
        "what training costs when it is spread over so many completions, and the initial model's reward with it."
    )
    tables = [of_runs] + ([Table(header, by_cost, caption="At equal tokens and at equal cost")] if by_cost else [])
    return [Section("Costs", [said], tables, [Picture("costs", pictures.cost_against_score(scores, runs), 2)])]
