"""``results.md`` and the tables of the terminal where many algorithms are compared: sorted, with verdicts."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from textgym_agents.benchmark import suites
from textgym_agents.benchmark.aggregate import Row, Runs
from textgym_agents.benchmark.charts import COMPARISON, CURVES
from textgym_agents.benchmark.comparison import Comparison, Overall, Standing
from textgym_agents.benchmark.composites import parts, short_task
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.report import markdown, terminal
from textgym_agents.report.numbers import number, show

MARKS = {"better": "▲", "unclear": "○", "worse": "▼", "itself": "–"}


def page(
    config: BenchmarkConfig, runs: Runs, rows: Sequence[Row], comparison: Comparison, introduction: str, versions: str
) -> str:
    """The text of ``results.md`` for more algorithms than one picture of learning curves holds."""
    blocks = [
        "# Benchmark results",
        f"{introduction} {_budget(config)}",
        "```sh\n" + config.command() + "\n```",
        f"![Reward of each algorithm on each task]({COMPARISON})",
    ]
    if comparison.overall:
        blocks += ["## All tasks", *_all_tasks(comparison, runs)]
    for task, standings in comparison.standings.items():
        blocks += [f"## {short_task(task)}", _verdict(comparison, task), _task_table(standings, comparison, runs, rows)]
    blocks += [f"## Learning curves\n\n![Reward against tokens of training]({CURVES})"]
    blocks += ["## How to read this", *_explanations(config, comparison), f"Versions: {versions}.", "## Samples"]
    blocks += list(_samples(config, runs))
    return "\n\n".join(blocks) + "\n"


def _budget(config: BenchmarkConfig) -> str:
    tokens = ", ".join(f"{short_task(task)} {n:,}" for task, n in config.tasks.items())
    suite = None if config.suite is None else suites.find_suite(config.suite)
    described = f" {suite.description}" if suite is not None and suite.tasks == config.tasks else ""
    return f"Tokens of training: {tokens}, rounded up to whole rollouts.{described}"


def name_of(reference: str | None) -> str:
    """The name of what algorithms are compared with."""
    return "the initial model" if reference is None else f"`{reference}`"


def _all_tasks(comparison: Comparison, runs: Runs) -> list[str]:
    best, worst = comparison.overall[0], comparison.overall[-1]
    unit = "of what the initial model left to gain" if comparison.scaled else "of reward gained"
    said = [
        f"Best over all tasks: **{best.algo}**, {show(best.score, sign=True)} {unit}. "
        f"Worst: **{worst.algo}**, {show(worst.score, sign=True)}.{_close(comparison.overall)}"
    ]
    trained = [one for one in comparison.overall if any(run["timesteps"] for run in runs if run["algo"] == one.algo)]
    if trained and trained[0] is not best:
        said.append(f"Best of those that learn: **{trained[0].algo}**, {show(trained[0].score, sign=True)}.")
    losers = [one.algo for one in comparison.overall if _count(comparison, one.algo, "worse")]
    if losers:
        said.append(f"Worse than {name_of(comparison.reference)} on at least one task: {', '.join(losers)}.")
    header = ["algorithm", "family", "score, IQM", "score, mean"]
    header += [] if comparison.reference is None else [f"P(better than {comparison.reference})"]
    header += [f"tasks {MARKS[kind]}" for kind in ("better", "unclear", "worse")] + ["tokens", "seconds a run"]
    return [
        " ".join(said),
        markdown.table(header, [_overall_cells(one, comparison, runs) for one in comparison.overall]),
    ]


def _close(overall: Sequence[Overall]) -> str:
    """Those whose interval reaches the best one's value: too close to call."""
    best = overall[0]
    close = [one.algo for one in overall[1:] if one.score.high >= best.score.value]
    return f" Too close to the best to call: {', '.join(close)}." if close else ""


def _count(comparison: Comparison, algo: str, verdict: str) -> int:
    return sum(one.verdict == verdict for all_ in comparison.standings.values() for one in all_ if one.algo == algo)


def _overall_cells(one: Overall, comparison: Comparison, runs: Runs) -> list[str]:
    mine = [run for run in runs if run["algo"] == one.algo]
    tokens = sum({run["task"]: int(run["timesteps"]) for run in mine}.values())
    better = [] if comparison.reference is None else ["–" if one.improvement is None else show(one.improvement)]
    itself = one.algo == comparison.reference
    counts = ["–" if itself else str(_count(comparison, one.algo, kind)) for kind in ("better", "unclear", "worse")]
    seconds = f"{np.mean([run['costs']['seconds'] for run in mine]):.1f}"
    scores = [show(one.score, sign=True), show(one.mean, sign=True)]
    return [one.algo, suites.family(one.algo), *scores, *better, *counts, f"{tokens:,}", seconds]


def _verdict(comparison: Comparison, task: str) -> str:
    standings = comparison.standings[task]
    best, worst = standings[0], standings[-1]
    said = f"Best: **{best.algo}** with {show(best.after)}"
    if task in comparison.duels:
        duel = comparison.duels[task]
        sure = "" if duel.low > 0 else ", which may be chance"
        said += f", {show(duel, sign=True)} ahead of {standings[1].algo}{sure}"
    said += f". Worst: **{worst.algo}** with {show(worst.after)}."
    losers = [one.algo for one in standings if one.verdict == "worse"]
    if losers:
        said += f" Clearly worse than {name_of(comparison.reference)}: {', '.join(losers)}."
    return said


def _task_table(standings: Sequence[Standing], comparison: Comparison, runs: Runs, rows: Sequence[Row]) -> str:
    task = standings[0].task
    measures = [
        name
        for name in dict.fromkeys(row.measure for row in rows if row.task == task)
        if name != "reward" and not (name == "num_tokens" and any(r.measure == "length" for r in rows))
    ]
    values = {(row.algo, row.measure): row.mean.after.value for row in rows if row.task == task}
    margin = [] if comparison.reference is None else [f"against {comparison.reference}"]
    header = ["", "algorithm", "reward before", "after", "difference", *margin, *measures, "tokens", "seconds", "KL"]
    lines = []
    for one in standings:
        mine = [run for run in runs if (run["algo"], run["task"]) == (one.algo, task)]
        before = one.after.value - one.gain.value
        kls = [run["kl"] for run in mine if run.get("kl") is not None]
        lines.append(
            [
                MARKS[one.verdict],
                one.algo,
                number(before),
                show(one.after),
                show(one.gain, sign=True),
                *(["–" if one.verdict == "itself" else show(one.margin, sign=True)] if margin else []),
                *(number(values[one.algo, name]) if (one.algo, name) in values else "–" for name in measures),
                f"{np.mean([run['timesteps'] for run in mine]):,.0f}",
                f"{np.mean([run['costs']['seconds'] for run in mine]):.1f}",
                f"{np.mean(kls):.2f}" if kls else "–",
            ]
        )
    return markdown.table(header, lines)


def _explanations(config: BenchmarkConfig, comparison: Comparison) -> list[str]:
    reference = name_of(comparison.reference)
    said = [
        "`before` is the initial model, sampled, for every algorithm: what a decoding strategy gains is in the "
        "difference. Values are means over seeds, brackets 95 % intervals of a bootstrap over seeds and prompts, with "
        "the same resamples of prompts for all algorithms. Metrics are corpus metrics after training.",
        f"{MARKS['better']} better than {reference}, {MARKS['unclear']} not clearly different, {MARKS['worse']} worse: "
        "the interval of the difference excludes 0 or does not. These are many comparisons, and with few seeds an "
        "interval is too narrow rather than too wide: do not rely on a single one.",
        "`KL` is that of the last rollouts to the initial model, in nats per episode, where the algorithm measures it; "
        "after a warm start, too. `seconds` are those of learning.",
    ]
    if comparison.overall:
        unit = "the gain divided by 1 less the initial model's reward" if comparison.scaled else "the gain in reward"
        said.append(
            f"The score is {unit}; IQM is its interquartile mean over tasks and seeds, with every task keeping its "
            "seeds in each resample."
        )
        if comparison.reference is not None:
            said[-1] += (
                f" P(better than {comparison.reference}) is the probability that a run ends with more reward than one "
                f"of {reference} on the same task."
            )
    if any(len(parts(algo)) > 1 for algo in config.algos):
        said.append(
            f"`a+b` trains with a for {config.warm_share:.0%} of the tokens, then goes on from its weights with b."
        )
    return said


def _samples(config: BenchmarkConfig, runs: Runs) -> Iterator[str]:
    """For each task one prompt and what every algorithm makes of it, from the first seed."""
    for task in config.tasks:
        mine = [run for run in runs if run["task"] == task and run["seed"] == 0 and run["samples"]]
        if not mine:
            continue
        first = mine[0]["samples"][0]
        reference = [] if first["reference"] is None else [("reference", first["reference"])]
        answers = [*reference, ("initial model", first["before"])]
        answers += [(run["algo"], run["samples"][0]["after"]) for run in mine]
        yield f"### {short_task(task)}\n\nPrompt:\n\n{markdown.fenced(first['prompt'])}"
        yield markdown.table(("", "completion"), [(name, _code(text)) for name, text in answers])


def _code(text: str) -> str:
    """Text that Markdown shows as it is, inside a cell."""
    line = " ".join(text.split()).replace("`", "'")
    return f"`{line}`" if line else "(nothing)"


def terminal_tables(comparison: Comparison) -> Iterator[Table]:
    """One table a task and one over all, the best first."""
    looks = {"better": "green", "worse": "red"}
    reference = comparison.reference or "before"
    for task, standings in comparison.standings.items():
        table = terminal.table(short_task(task), ("algorithm", "reward", "difference", f"less that of {reference}"))
        for one in standings:
            margin = "–" if one.verdict == "itself" else f"{show(one.margin, sign=True)} {MARKS[one.verdict]}"
            values = number(one.after.value), number(one.gain.value, sign=True)
            table.add_row(Text(one.algo), *values, Text(margin, looks.get(one.verdict, "")))
        yield table
    if comparison.overall:
        table = terminal.table("all tasks", ("algorithm", "score, IQM"))
        for whole in comparison.overall:
            table.add_row(Text(whole.algo), show(whole.score, sign=True))
        yield table
