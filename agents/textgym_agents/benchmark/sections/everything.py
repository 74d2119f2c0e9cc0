"""All sections of a benchmark, in the order in which they are read."""

from collections.abc import Iterator

from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.abilities import probes
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.analysis.scores import Scores, score
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.sections.abilities import abilities_sections
from textgym_agents.benchmark.sections.fronts import fronts_section, overoptimization_section
from textgym_agents.benchmark.sections.overall import costs_section, learning_section, overall_section
from textgym_agents.benchmark.sections.section import UNITS, Section
from textgym_agents.benchmark.sections.tasks import (
    discrimination_section,
    headroom_section,
    of_probe,
    of_task,
)
from textgym_agents.report.tables import Table, Value


def sections(runs: Runs, scores: Scores | None = None) -> list[Section]:
    """All that finished runs say.

    Args:
        runs: lines of ``results.jsonl``.
        scores: of them; None: they are computed.
    """
    done = lines.finished(runs)
    scores = score(done) if scores is None else scores
    found = probes(scores.tasks)
    made = [Section("Each task", [UNITS[scores.kind][0].upper() + UNITS[scores.kind][1:] + "."])]
    made += [of_probe(probe, scores, done) for probe in found]
    rest = [task for task in scores.tasks if not any(task in probe.tasks for probe in found)]
    made += [of_task(task, scores, done) for task in rest]
    made += headroom_section(scores) + discrimination_section(scores)
    if found:
        made += abilities_sections(scores, found)
    if len(scores.tasks) > 1:
        made += overall_section(scores, done)
    made += (
        learning_section(scores, done, found)
        + costs_section(scores, done)
        + fronts_section(done)
        + overoptimization_section(done)
    )
    return made + failed_section(runs)


def failed_section(runs: Runs) -> list[Section]:
    rows: list[list[Value]] = [
        [run["algo"], short_task(run["task"]), run["seed"], str(run["error"])] for run in lines.failed(runs)
    ]
    if not rows:
        return []
    return [Section("Failed runs", ["They are in no mean."], [Table(["algorithm", "task", "seed", "error"], rows)])]


def samples(runs: Runs) -> Iterator[tuple[str, str, Table]]:
    """For each task one prompt and what every algorithm makes of it, from the first seed: name, prompt, table."""
    for task in lines.tasks_of(runs):
        mine = [run for run in lines.select(lines.finished(runs), task=task) if run.get("samples")]
        mine = [run for run in mine if run["seed"] == mine[0]["seed"]]
        if not mine:
            continue
        first = mine[0]["samples"][0]
        rows: list[list[Value]] = [] if first["reference"] is None else [["reference", first["reference"]]]
        rows.append(["initial model", first["before"]])
        rows += [[run["algo"], run["samples"][0]["after"]] for run in mine]
        yield short_task(task), first["prompt"], Table(["", "completion"], rows)
