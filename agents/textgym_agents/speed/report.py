"""The results of ``textgym speed``: a table for the terminal and a JSON file."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from textgym.errors import ConfigError
from textgym_agents.report import markdown
from textgym_agents.report.provenance import versions
from textgym_agents.speed.costs import cost_rows
from textgym_agents.speed.measure import Result, Series
from textgym_agents.speed.plan import Plan

SHOWN_VERSIONS = ("python", "torch", "transformers", "stable_baselines3", "trl")
MARKS = {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}


def show(console: Console, results: Sequence[Result]) -> None:
    """The table, its notes below it."""
    table = Table("")
    for name in ("textgym", "usual", "ratio", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    for i, one in enumerate(results):
        ends = i + 1 == len(results) or results[i + 1].row != one.row
        against = f" against {one.usual_name}" if one.usual_name and one.shown == "ratio" else ""
        unit = f"[dim]{one.unit}[/dim]" if one.unit else ""
        table.add_row(
            f"{one.what}[dim]{against}[/dim]",
            f"{_number(one.ours)}\n{unit}",
            _number(one.usual),
            f"[bold]{written(one, one.value)}[/bold]\n[dim]{spread(one)}[/dim]",
            f"{target(one)}\n{MARKS[one.met]}",
            end_section=ends,
        )
    console.print(table)
    console.print(
        "[dim]Median speeds, and the median of the ratios of turns that followed each other, with quartiles.[/dim]",
        highlight=False,
    )
    costs = cost_rows(results)
    if costs:
        cost = Table("one thread: rollout and one epoch", "rollout", "update", "1 M tokens", "10 M", "100 M")
        for row in costs:
            cost.add_row(*row)
        console.print(cost)
    notes: dict[str, list[str]] = {}
    for one in results:
        if one.note and one.row not in notes.setdefault(one.note, []):
            notes[one.note].append(one.row)
    for note, rows in notes.items():
        console.print(f"[dim]{', '.join(rows)}: {note}[/dim]", highlight=False)


def written(one: Result, value: float | None) -> str:
    """A value of a result as text.

    >>> written(Result("update", "x", 1.234, ()), 1.234), written(Result("s", "x", 0.01, (), shown="share"), 0.01)
    ('1.23x', '1.0 %')
    """
    if value is None:
        return "-"
    number = f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value:,.0f}"
    return {"ratio": f"{value:.2f}x", "share": f"{100 * value:.1f} %", "number": number}[one.shown]


def spread(one: Result) -> str:
    """Quartiles of the single repeats as text; empty where there is only one.

    >>> spread(Result("update", "x", 2.0, (1.0, 2.0, 3.0, 4.0)))
    '1.75–3.25'
    """
    if len(one.repeats) < 2:
        return ""
    low, high = (written(one, value).rstrip("x %M") for value in one.middle[1:])
    return f"{low}–{high}"


def target(one: Result) -> str:
    """The target as text.

    >>> target(Result("update", "x", 1.0, (), target=0.95)), target(Result("buffer", "x", 1.0, ()))
    ('≥ 0.95x', '')
    """
    if one.target is None:
        return ""
    return f"{'≥' if one.better == 'higher' else '≤'} {written(one, one.target)}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def content(results: Sequence[Result], plan: Plan, command: str, seconds: float) -> dict[str, Any]:
    """All numbers, with what made them: plain values that JSON can hold."""
    return {
        "command": command,
        "seconds": round(seconds, 1),
        "plan": asdict(plan),
        "versions": {**versions(), **_version("trl")},
        "machine": machine(plan),
        "results": [{**asdict(one), "met": one.met} for one in results],
    }


def footer(content: dict[str, Any]) -> str:
    """What made the table, in a line."""
    machine, used = content["machine"], content["versions"]
    where = machine["accelerator"] or f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores"
    libraries = ", ".join(f"{name} {used[name]}" for name in ("torch", "transformers"))
    return f"{content['command']}: {content['seconds'] / 60:.0f} min on {where}, {libraries}"


def write(path: str | Path, content: dict[str, Any]) -> None:
    """The numbers as a file."""
    Path(path).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read(path: str | Path) -> tuple[list[Result], dict[str, Any]]:
    """The results in a file of :func:`write`, and all that it holds.

    Raises:
        ConfigError: it is no such file.
    """
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
        found = []
        for line in stored["results"]:
            series = tuple(
                Series(str(one["name"]), *(tuple(one[key]) for key in ("work", "seconds", "cpu_seconds")))
                for one in line["series"]
            )
            rest = {name: value for name, value in line.items() if name != "met"}
            found.append(Result(**{**rest, "repeats": tuple(line["repeats"]), "series": series}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{str(path)!r} holds no results of `textgym speed --json`: {error!r}") from error
    return found, stored


def as_markdown(results: Sequence[Result], stored: dict[str, Any]) -> str:
    """The table, what tokens cost, and what made the numbers, for a page.

    Args:
        results: lines of the table.
        stored: what :func:`content` gives, for the command, the machine and the versions.
    """
    header = ["measured", "usual way", "ratio or value", "quartiles", "target", ""]
    marks = {True: "met", False: "missed", None: ""}
    rows = [
        [
            one.what,
            one.usual_name if one.shown == "ratio" else "",
            written(one, one.value),
            spread(one),
            target(one),
            marks[one.met],
        ]
        for one in results
    ]
    machine, versions = stored["machine"], stored["versions"]
    made = ", ".join(f"{name} {number}" for name, number in versions.items() if name in SHOWN_VERSIONS)
    parts = [
        markdown.table(header, rows),
        f"`{stored['command']}`, {machine['threads']} thread of {machine['processor']}, {made}.",
    ]
    costs = cost_rows(results)
    if costs:
        parts.append(markdown.table(["model", "rollout", "update", "1 M tokens", "10 M", "100 M"], costs))
    return "\n\n".join(parts) + "\n"


def _version(name: str) -> dict[str, str]:
    try:
        return {name: version(name)}
    except PackageNotFoundError:
        return {}


def machine(plan: Plan) -> dict[str, Any]:
    """What the numbers depend on besides versions."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": plan.threads,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "accelerator": torch.cuda.get_device_name(plan.device) if plan.device.startswith("cuda") else None,
        "load_average": [round(value, 2) for value in load],
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
