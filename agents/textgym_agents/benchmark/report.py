"""The results of a benchmark as a table in the terminal, Markdown, JSON and a picture.

``results.md``, ``results.json`` and ``learning_curves.png`` follow from the finished runs alone, so that a benchmark
that was killed and resumed gives the same files. How long things took is in ``timings.json``, apart from them; only the
tables for more than three algorithms say it too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from textgym_agents.benchmark import charts, ranking
from textgym_agents.benchmark.aggregate import ALL_TASKS, Row, Runs, aggregate
from textgym_agents.benchmark.comparison import compare
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.report import markdown, terminal
from textgym_agents.report.numbers import number, show
from textgym_agents.report.secrets import without_secrets
from textgym_agents.storage import write_atomically

HEADER = ("task", "algorithm", "measure", "before", "after", "difference", "IQM of the difference")
FEW = 3  # algorithms, whose curves one picture shows; more are ranked: see ``ranking``


def write_report(folder: str | Path, config: BenchmarkConfig, runs: Runs) -> list[Row]:
    """Write all files of the report into ``folder`` and return the rows of the table, without runs that failed."""
    folder = Path(folder)
    failed = [run for run in runs if run["error"] is not None]
    runs = [run for run in runs if run["error"] is None]
    if not runs:
        write_atomically(folder / "results.md", f"# Benchmark results\n\n{failures(failed)}")
        return []
    rows = aggregate(runs)
    content: dict[str, Any] = {
        "command": config.command(),
        "config": without_secrets(config.to_json()),
        "versions": _versions(runs),
        "rows": [row.to_json() for row in rows],
    }
    comparison = compare(runs) if len(config.algos) > FEW else None
    if comparison is None:
        text = page(config, runs, rows)
        charts.draw_few(folder, runs, rows)
    else:
        content["comparison"] = comparison.to_json()
        introduction = _introduction(config, runs, len({run["algo"] for run in runs}))
        text = ranking.page(config, runs, rows, comparison, introduction, _versions_line(runs))
        charts.draw_many(folder, runs, comparison)
    write_atomically(folder / "results.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "results.md", text + (f"\n{failures(failed)}" if failed else ""))
    timings = {str(Key(run["algo"], run["task"], run["seed"])): run["costs"]["seconds"] for run in runs}
    write_atomically(folder / "timings.json", json.dumps({"seconds": timings}, indent=2) + "\n")
    return rows


def failures(failed: Runs) -> str:
    """A section on the runs that failed."""
    rows = [(short_task(run["task"]), run["algo"], str(run["seed"]), run["error"]) for run in failed]
    return f"## Failed runs\n\n{markdown.table(('task', 'algorithm', 'seed', 'error'), rows)}\n"


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table, as ``HEADER`` has it."""
    return (
        _task_name(row.task),
        row.algo,
        row.measure,
        show(row.mean.before),
        show(row.mean.after),
        show(row.mean.difference, sign=True),
        show(row.iqm.difference, sign=True),
    )


def terminal_tables(rows: Sequence[Row]) -> Iterator[Table]:
    """One table a task for the terminal. A reward whose interval excludes 0 is in color: green up, red down."""
    for task in dict.fromkeys(row.task for row in rows):
        header = ("algorithm", "measure", "before", "after", "difference", "its IQM")
        table = terminal.table(_task_name(task), header, header[:2], [name for name in header if name != "difference"])
        mine = [row for row in without_repeats(rows) if row.task == task]
        for row, following in zip(mine, [*mine[1:], None], strict=True):
            low, high = row.mean.difference.low, row.mean.difference.high
            certain = row.measure == "reward" and (low > 0 or high < 0)
            table.add_row(
                Text(row.algo),
                row.measure,
                number(row.mean.before.value),
                number(row.mean.after.value),
                Text(show(row.mean.difference, sign=True), ("green" if low > 0 else "red") if certain else ""),
                number(row.iqm.difference.value, sign=True),
                style="bold" if row.measure == "reward" else "",
                end_section=following is None or following.algo != row.algo,
            )
        yield table


def tables(config: BenchmarkConfig, runs: Runs, rows: Sequence[Row]) -> Iterator[Table]:
    """What the terminal shows: all measures of a few algorithms, or the rewards of many, sorted."""
    return ranking.terminal_tables(compare(runs)) if len(config.algos) > FEW else terminal_tables(rows)


def without_repeats(rows: Sequence[Row]) -> list[Row]:
    """The rows without ``num_tokens`` where the task's metric ``length`` says the same."""
    lengths = {(row.algo, row.task) for row in rows if row.measure == "length"}
    return [row for row in rows if row.measure != "num_tokens" or (row.algo, row.task) not in lengths]


def _task_name(task: str) -> str:
    return task if task == ALL_TASKS else short_task(task)


def _introduction(config: BenchmarkConfig, runs: Runs, algos: int) -> str:
    return (
        f"{algos} algorithms, {len(config.tasks)} tasks, {config.seeds} seeds ({len(runs)} of "
        f"{len(config.run_keys())} runs finished). Model `{config.model}`. Each run was evaluated on the same "
        f"{config.eval_prompts} prompts of the {config.eval_split} split before and after training."
    )


def page(config: BenchmarkConfig, runs: Runs, rows: Sequence[Row]) -> str:
    """The text of ``results.md`` for a few algorithms: one table with all measures."""
    parts = [
        "# Benchmark results",
        _introduction(config, runs, len(config.algos)),
        "```sh\n" + config.command() + "\n```",
        f"![Learning curves]({charts.CURVES})",
        markdown.table(HEADER, [cells(row) for row in without_repeats(rows)]),
        "Values are means over seeds. Brackets are 95 % intervals of a bootstrap over seeds and prompts, the "
        "difference paired by prompt and seed. The interquartile mean (IQM) leaves out the lowest and the highest "
        "quarter of the runs; below four runs it is the mean. Metrics are corpus metrics; `num_tokens` is the mean "
        "length.",
        "Tokens of training: "
        + ", ".join(f"{short_task(task)} {n:,}" for task, n in config.tasks.items())
        + " (rounded up to whole rollouts). Versions: "
        + _versions_line(runs)
        + ".",
        "## Samples",
        *_sample_blocks(runs),
    ]
    return "\n\n".join(parts) + "\n"


def _sample_blocks(runs: Runs) -> list[str]:
    """The sample completions of each algorithm and task, from its first seed."""
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
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
