"""The results of a benchmark as a table in the terminal, Markdown, JSON and pictures.

``results.md``, ``results.json`` and the pictures follow from the finished runs alone, so that a benchmark that was
killed and resumed gives the same files. How long things took is in ``timings.json``, apart from them; only the tables
of costs say it too.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from textgym_agents.benchmark import charts
from textgym_agents.benchmark.aggregate import ALL_TASKS, Row, aggregate
from textgym_agents.benchmark.analysis import lines, measures, separation
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.analysis.scores import Scores, score
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.benchmark.sections import Section, samples, sections
from textgym_agents.report import markdown, svg, terminal
from textgym_agents.report.numbers import number, rounded, show
from textgym_agents.report.secrets import without_secrets
from textgym_agents.storage import write_atomically

HEADER = ("task", "algorithm", "measure", "before", "after", "difference", "greedy")
FEW = 3  # algorithms, whose curves one picture shows; more are ranked: see ``sections``


def write_report(folder: str | Path, config: BenchmarkConfig, runs: Runs) -> list[Row]:
    """Write all files of the report into ``folder`` and return the rows of the table, without runs that failed."""
    folder, done = Path(folder), lines.finished(runs)
    if not done:
        write_atomically(folder / "results.md", f"# Benchmark results\n\n{_failures(runs)}")
        return []
    rows = aggregate(done)
    content: dict[str, Any] = {
        "command": config.command(),
        "config": without_secrets(config.to_json()),
        "versions": _versions(done),
        "rows": [row.to_json() for row in rows],
    }
    if len(config.algos) <= FEW:
        text = page(config, done, rows) + (f"\n{_failures(runs)}" if lines.failed(runs) else "")
        charts.draw_curves(folder, done, rows)
    else:
        scores = score(done)
        content["aggregates"] = aggregates(scores)
        text = _page_of_sections(folder, config, runs, sections(runs, scores))
    write_atomically(folder / "results.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "results.md", text)
    timings = {str(Key(run["algo"], run["task"], run["seed"])): run["costs"]["seconds"] for run in done}
    write_atomically(folder / "timings.json", json.dumps({"seconds": timings}, indent=2) + "\n")
    return rows


def aggregates(scores: Scores) -> dict[str, Any]:
    """What ``results.json`` has of many algorithms: scores by task, algorithm and way to decode, and what follows."""
    cells = [
        {"task": task, "algo": algo, "side": side, "score": asdict(cell.score), "reward": asdict(cell.reward)}
        for (task, algo, side), cell in scores.cells.items()
    ]
    means = {
        algo: asdict(measures.estimate(float(measures.mean(scores.point(algo))), measures.mean(scores.drawn(algo))))
        for algo in scores.complete()
    }
    plain: dict[str, Any] = rounded(
        {
            "kind": scores.kind,
            "headroom": {task: asdict(one) for task, one in scores.headroom.items()},
            "scores": cells,
            "means": means,
            "discrimination": [asdict(one) for one in separation.discrimination(scores)],
        }
    )
    return plain


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table, as ``HEADER`` has it."""
    return (
        _task_name(row.task),
        row.algo,
        row.measure,
        show(row.before),
        show(row.after),
        show(row.difference, sign=True),
        "–" if row.greedy != row.greedy else number(row.greedy),
    )


def tables(config: BenchmarkConfig, runs: Runs, rows: Sequence[Row]) -> Iterator[Table]:
    """What the terminal shows: all measures of a few algorithms, or the scores of many, sorted."""
    return scores_tables(score(runs)) if len(config.algos) > FEW else terminal_tables(rows)


def terminal_tables(rows: Sequence[Row]) -> Iterator[Table]:
    """One table a task for the terminal. A reward whose interval excludes 0 is in color: green up, red down."""
    for task in dict.fromkeys(row.task for row in rows):
        header = ("algorithm", "measure", "before", "after", "difference", "greedy")
        table = terminal.table(_task_name(task), header, header[:2], [name for name in header if name != "difference"])
        mine = [row for row in without_repeats(rows) if row.task == task]
        for row, following in zip(mine, [*mine[1:], None], strict=True):
            low, high = row.difference.low, row.difference.high
            certain = row.measure == "reward" and (low > 0 or high < 0)
            table.add_row(
                Text(row.algo),
                row.measure,
                number(row.before.value),
                number(row.after.value),
                Text(show(row.difference, sign=True), ("green" if low > 0 else "red") if certain else ""),
                cells(row)[-1],
                style="bold" if row.measure == "reward" else "",
                end_section=following is None or following.algo != row.algo,
            )
        yield table


def scores_tables(scores: Scores) -> Iterator[Table]:
    """One table a task and one over all, the best first. Scores whose interval excludes 0 are in color."""
    for task in scores.tasks:
        known = [algo for algo in scores.algos if scores.cell(task, algo) is not None]
        table = terminal.table(short_task(task), ("algorithm", "reward", "score, sampled", "score, greedy"))
        for algo in sorted(known, key=lambda algo: -scores.cells[task, algo, "sampled"].point.mean()):
            cell, greedy = scores.cells[task, algo, "sampled"], scores.cell(task, algo, "greedy")
            look = "green" if cell.score.low > 0 else "red" if cell.score.high < 0 else ""
            shown = Text(show(cell.score, sign=True), look if scores.kind != "probe" else "")
            beside = "–" if greedy is None else number(float(greedy.point.mean()), sign=True)
            table.add_row(Text(algo), number(cell.reward.value), shown, beside)
        yield table
    if len(scores.tasks) > 1:
        table = terminal.table("all tasks", ("algorithm", "mean score"))
        for algo in sorted(scores.complete(), key=lambda algo: -float(scores.point(algo).mean())):
            value = measures.estimate(float(measures.mean(scores.point(algo))), measures.mean(scores.drawn(algo)))
            table.add_row(Text(algo), show(value, sign=True))
        yield table


def without_repeats(rows: Sequence[Row]) -> list[Row]:
    """The rows without ``num_tokens`` where the task's metric ``length`` says the same."""
    lengths = {(row.algo, row.task) for row in rows if row.measure == "length"}
    return [row for row in rows if row.measure != "num_tokens" or (row.algo, row.task) not in lengths]


def _task_name(task: str) -> str:
    return task if task == ALL_TASKS else short_task(task)


def _introduction(config: BenchmarkConfig, runs: Runs) -> str:
    done = lines.finished(runs)
    tokens = ", ".join(f"{short_task(task)} {n:,}" for task, n in config.tasks.items())
    return (
        f"{len(lines.algos_of(done))} algorithms, {len(config.tasks)} tasks, {config.seeds} seeds ({len(done)} of "
        f"{len(config.run_keys())} runs finished). Model `{config.model}`. Each run was evaluated on the same "
        f"{config.eval_prompts} prompts of the {config.eval_split} split before and after training. Tokens of "
        f"training: {tokens} (rounded up to whole rollouts). Versions: {_versions_line(done)}."
    )


def page(config: BenchmarkConfig, runs: Runs, rows: Sequence[Row]) -> str:
    """The text of ``results.md`` for a few algorithms: one table with all measures."""
    parts = [
        "# Benchmark results",
        _introduction(config, runs),
        "```sh\n" + config.command() + "\n```",
        f"![Learning curves]({charts.CURVES})",
        markdown.table(HEADER, [cells(row) for row in without_repeats(rows)]),
        "Values are means over seeds, sampled; the last column is greedy. Brackets are 95 % intervals of a bootstrap "
        "over seeds and prompts, the difference paired by prompt and seed. Metrics are corpus metrics; `num_tokens` is "
        "the mean length.",
        "## Samples",
        *_sample_blocks(runs),
    ]
    return "\n\n".join(parts) + "\n"


def _page_of_sections(folder: Path, config: BenchmarkConfig, runs: Runs, found: Sequence[Section]) -> str:
    """The text of ``results.md`` for many algorithms; writes its pictures."""
    parts = ["# Benchmark results", _introduction(config, runs), "```sh\n" + config.command() + "\n```"]
    for section in found:
        parts += [f"{'#' * section.level} {section.title}", *section.said]
        for picture in section.pictures:
            if picture.elements:
                name = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', picture.name).strip('-')}.svg"
                write_atomically(folder / name, svg.grid(picture.elements, picture.columns), "a picture")
                parts.append(f"![{section.title}]({name})")
        for table in section.tables:
            parts += [table.caption, table.markdown()] if table.caption else [table.markdown()]
    parts.append("## Samples")
    for name, prompt, table in samples(runs):
        shown = [(str(who), _code(str(completion))) for who, completion in table.rows]
        parts += [f"### {name}", "Prompt:", markdown.fenced(prompt), markdown.table(("", "completion"), shown)]
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    """Text that Markdown shows as it is, inside a cell."""
    line = " ".join(text.split()).replace("`", "'")
    return f"`{line}`" if line else "(nothing)"


def _failures(runs: Runs) -> str:
    rows = [(short_task(run["task"]), run["algo"], str(run["seed"]), run["error"]) for run in lines.failed(runs)]
    return f"## Failed runs\n\n{markdown.table(('task', 'algorithm', 'seed', 'error'), rows)}\n"


def _sample_blocks(runs: Runs) -> list[str]:
    """The sample completions of each algorithm and task, from its first seed."""
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for run in sorted(runs, key=lambda run: int(run["seed"])):
        first.setdefault((run["task"], run["algo"]), run)
    blocks = []
    for (task, algo), run in first.items():
        for nth, sample in enumerate(run["samples"], start=1):
            reference = {} if sample["reference"] is None else {"Reference": sample["reference"]}
            answers = {**reference, "Before": sample["before"], "After": sample["after"]}
            blocks.append(markdown.sample_block(f"{short_task(task)}, {algo}, {nth}", sample["prompt"], answers))
    return blocks


def _versions(runs: Runs) -> dict[str, str]:
    """Versions of all runs; several of one library are joined, so that a mixture shows."""
    values: dict[str, list[str]] = {}
    for run in runs:
        for name, value in run["versions"].items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return {name: " and ".join(all_) for name, all_ in values.items()}


def _versions_line(runs: Runs) -> str:
    return ", ".join(f"{name} {value}" for name, value in _versions(runs).items())
