"""Sections on single tasks, before anything is averaged: tables, headroom, and which pairs are separated."""

import numpy as np

from textgym_agents.benchmark import pictures
from textgym_agents.benchmark.analysis import lines, separation
from textgym_agents.benchmark.analysis.abilities import ISOLATES, Probe
from textgym_agents.benchmark.analysis.costs import costs_of
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.analysis.scores import Scores
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.sections.section import Picture, Section
from textgym_agents.benchmark.suites import family
from textgym_agents.report.numbers import Estimate, show
from textgym_agents.report.tables import Table, Value

MARKS = {1: "▲", 0: "○", -1: "▼"}


def _by_score(task: str, scores: Scores) -> list[str]:
    known = [algo for algo in scores.algos if scores.cell(task, algo) is not None]
    return sorted(known, key=lambda algo: -scores.cells[task, algo, "sampled"].point.mean())


def _mark(value: Estimate) -> str:
    return MARKS[1 if value.low > 0 else -1 if value.high < 0 else 0]


def of_task(task: str, scores: Scores, runs: Runs) -> Section:
    mine = lines.select(runs, task=task)
    metrics = [name for name in lines.summary(mine[0], "sampled") if name != "reward"] if mine else []
    plain = [side for side in lines.PLAIN.values() if any((task, a, side) in scores.cells for a in scores.algos)]
    kls = any(run.get("kl") is not None for run in mine)
    rows: list[list[Value]] = []
    for algo in _by_score(task, scores):
        group = [run for run in mine if run["algo"] == algo]
        cells = {side: scores.cell(task, algo, side) for side in lines.SIDES}
        sampled, greedy = cells["sampled"], cells["greedy"]
        assert sampled is not None
        rows.append(
            [
                _mark(sampled.score) if scores.kind != "probe" else "",
                algo,
                family(algo),
                sampled.score,
                None if greedy is None else greedy.score,
                sampled.reward,
                None if greedy is None else greedy.reward.value,
                *(None if (cell := cells[side]) is None else cell.score for side in plain),
                *(_mean(group, name) for name in metrics),
                *([_kl(group)] if kls else []),
                round(float(np.mean([run["timesteps"] for run in group]))),
                costs_of(group).get("forward_tokens"),
                len(group),
                lines.command(group),
            ]
        )
    header = ["", "algorithm", "family", "score, sampled", "score, greedy", "reward, sampled", "reward, greedy"]
    named = {"plain_sampled": "score, plain sampled", "plain_greedy": "score, plain greedy"}
    header += [
        *(named[side] for side in plain),
        *metrics,
        *(["KL"] if kls else []),
        "tokens",
        "forward tokens",
        "seeds",
        "command",
    ]
    signed = frozenset({"score, sampled", "score, greedy", *named.values()})
    picture = Picture(f"task-{short_task(task)}", [pictures.scores_of_task(task, scores, _by_score(task, scores))], 1)
    return Section(short_task(task), _best(task, scores, mine), [Table(header, rows, signed)], [picture], level=3)


def _best(task: str, scores: Scores, runs: Runs) -> list[str]:
    """Who is first among those that are trained, and who is surely above 0, sampled and greedy."""
    order = [algo for algo in _by_score(task, scores) if any(lines.is_trained(r) for r in runs if r["algo"] == algo)]
    if not order:
        return []
    said = [
        f"Best of those that train, sampled: **{order[0]}** with {show(scores.cells[task, order[0], 'sampled'].score)}."
    ]
    if scores.kind == "probe":
        return said
    above = "the best decode-only baseline" if scores.kind == "headroom" else "the initial model"
    for side in ("sampled", "greedy"):
        sure = [algo for algo in order if (cell := scores.cell(task, algo, side)) is not None and cell.score.low > 0]
        said.append(f"Above {above} at 95 %, {side}: {', '.join(sure) or 'none'}.")
    return said


def _mean(runs: Runs, name: str) -> float | None:
    known = [lines.summary(run, "sampled").get(name) for run in runs]
    return None if any(value is None for value in known) else float(np.mean([v for v in known if v is not None]))


def _kl(runs: Runs) -> float | None:
    known = [run["kl"] for run in runs if run.get("kl") is not None]
    return float(np.mean(known)) if known else None


def of_probe(probe: Probe, scores: Scores, runs: Runs) -> Section:
    def mean(algo: str, side: str) -> float | None:
        cells = [cell for task in probe.tasks if (cell := scores.cell(task, algo, side)) is not None]
        return float(np.mean([cell.point.mean() for cell in cells])) if cells else None

    known = [(algo, value) for algo in scores.algos if (value := mean(algo, "sampled")) is not None]
    rows: list[list[Value]] = []
    for algo, value in sorted(known, key=lambda pair: -pair[1]):
        cells = [scores.cell(task, algo) for task in probe.tasks]
        levels = [None if cell is None else cell.score for cell in cells]
        mine = [run for run in runs if run["algo"] == algo and run["task"] in probe.tasks]
        cost = costs_of(mine).get("forward_tokens")
        seeds = len({run["seed"] for run in mine})
        row = [algo, family(algo), value, mean(algo, "greedy"), *levels, cost, seeds, lines.command(mine)]
        rows.append(row)
    header = ["algorithm", "family", "score", "greedy", *map(probe.level, probe.tasks)]
    header += ["forward tokens", "seeds", "command"]
    asks = "; ".join(ISOLATES[tag][0] for tag in probe.tags if tag in ISOLATES)
    said = [f"Tags: {', '.join(probe.tags)}. It takes to {asks}." if asks else f"Tags: {', '.join(probe.tags)}."]
    return Section(probe.name, said, [Table(header, rows)], level=3)


def headroom_section(scores: Scores) -> list[Section]:
    if scores.kind != "headroom":
        return []
    rows: list[list[Value]] = []
    for task in scores.tasks:
        one = scores.headroom[task]
        rows.append(
            [
                short_task(task),
                one.initial,
                one.baseline_name,
                one.baseline,
                one.ceiling_name,
                one.ceiling,
                one.room,
            ]
        )
    header = ["task", "initial model", "best decoding", "its reward", "best of n", "ceiling", "headroom"]
    said = (
        "Rewards of the initial model: sampled, by the decode-only baseline that does best, and the best of n samples "
        "for each prompt. A score is a share of the last column."
    )
    return [Section("Headroom", [said], [Table(header, rows)])]


def discrimination_section(scores: Scores) -> list[Section]:
    rows: list[list[Value]] = []
    for one in separation.discrimination(scores):
        name = "mean over tasks" if one.task is None else short_task(one.task)
        rows.append([name, one.pairs, one.separated, one.tau, one.verdict])
    said = [
        "Which share of all pairs of algorithms differ in their sampled scores at 95 %, after Holm's correction for "
        "all pairs of the task (Welch's test on seeds and prompts), and Kendall's tau between the rankings by "
        "one half of the seeds and by the other."
    ]
    if len(scores.tasks) > 1:
        share = separation.separated_somewhere(scores)
        said.append(f"Separated on at least one task, corrected for all pairs of all tasks: {share:.0%} of the pairs.")
    return [Section("Discrimination", said, [Table(["task", "pairs", "separated", "tau", "verdict"], rows)])]
