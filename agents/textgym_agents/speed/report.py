"""The results of ``textgym speed``: a table for the terminal, a page and a JSON file."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from textgym.errors import ConfigError
from textgym_agents.report import markdown, terminal
from textgym_agents.report.numbers import duration, quantity
from textgym_agents.report.provenance import machine, versions
from textgym_agents.report.timing import Result, Series
from textgym_agents.speed.plan import Plan

SHOWN_VERSIONS = ("python", "torch", "transformers", "stable_baselines3", "trl")
HEADER = ("measured", "textgym", "usual way", "ratio or value", "target")
COSTS = ("model", "rollout", "update", "1 M tokens", "10 M", "100 M")


def show(console: Console, results: Sequence[Result]) -> None:
    """The table, what tokens cost, and notes below."""
    lines = terminal.table("", HEADER, HEADER[:1], HEADER[:1])
    for one, following in zip(results, [*results[1:], None], strict=True):
        *line, goal = cells(one)
        color = {True: "green", False: "red", None: ""}[one.met]
        lines.add_row(*line, Text(goal, color), end_section=following is None or following.row != one.row)
    console.print(lines)
    costs = cost_rows(results)
    if costs:
        cost = terminal.table("one thread: rollout and one epoch", COSTS, COSTS[:1])
        for row in costs:
            cost.add_row(*row)
        console.print(cost)
    said = ["Median speeds, and the median of the ratios of turns that followed each other, with quartiles."]
    for note in dict.fromkeys(one.note for one in results if one.note):
        said.append(f"{', '.join(dict.fromkeys(one.row for one in results if one.note == note))}: {note}")
    console.print("\n".join(said), style="dim", highlight=False)


def cells(one: Result) -> tuple[str, ...]:
    """One line of the table, as ``HEADER`` has it."""
    against = f" against {one.usual_name}" if one.usual_name and one.shown == "ratio" else ""
    ours, usual = ("" if speed is None else quantity(speed) for speed in (one.ours, one.usual))
    quartiles = "–".join(written(one, value).rstrip("x %M") for value in one.quartiles) if len(one.repeats) > 1 else ""
    goal = "" if one.target is None else f"{'≥' if one.better == 'higher' else '≤'} {written(one, one.target)}"
    met = {True: "met", False: "missed", None: ""}[one.met]
    pairs = ((ours, one.unit), (usual, ""), (written(one, one.value), quartiles), (goal, met))
    return one.what + against, *("\n".join(pair).strip() for pair in pairs)


def written(one: Result, value: float | None) -> str:
    """A value of a result as text.

    >>> written(Result("update", "x", 1.234, ()), 1.234), written(Result("s", "x", 0.01, (), shown="share"), 0.01)
    ('1.23x', '1.0 %')
    """
    if value is None:
        return "-"
    number = f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value:,.0f}"
    return {"ratio": f"{value:.2f}x", "share": f"{100 * value:.1f} %", "number": number}[one.shown]


def cost_rows(results: Sequence[Result]) -> list[list[str]]:
    """Model, tokens a second of rollout and update, and the time to write and learn from 1, 10 and 100 million tokens.

    Of each model the rollout and the update whose completions are nearest to 128 tokens and of equal length.

    >>> setting = {"model": "a", "title": "A", "new_tokens": 128, "mean_tokens": None, "rows": 16}
    >>> rollout = Result("rollout", "rollout, a, ...", 1.2, (), ours=2000.0, setting=setting)
    >>> update = Result("update", "update, a, ...", 1.0, (), ours=1000.0, setting={**setting, "minibatch_tokens": 512})
    >>> cost_rows([rollout, update])
    [['A', '2,000 tokens/s', '1,000 tokens/s', '25 min', '4.2 h', '1.7 days']]
    """

    def nearest(part: str, title: str) -> float | None:
        same = [one for one in results if one.setting.get("title") == title and one.what.startswith(part)]
        same = [one for one in same if one.row in ("rollout", "update", "seq2seq") and not one.setting["mean_tokens"]]
        best = min(same, key=lambda x: (abs(x.setting["new_tokens"] - 128), x.setting["rows"]), default=None)
        return None if best is None else best.ours

    rows = []
    for title in dict.fromkeys(one.setting["title"] for one in results if "title" in one.setting):
        write, learn = nearest("rollout", title), nearest("update", title)
        if write and learn:
            times = [duration((1 / write + 1 / learn) * tokens) for tokens in (10**6, 10**7, 10**8)]
            rows.append([title, f"{write:,.0f} tokens/s", f"{learn:,.0f} tokens/s", *times])
    return rows


def content(results: Sequence[Result], plan: Plan, command: str, seconds: float) -> dict[str, Any]:
    """All numbers, with what made them: plain values that JSON can hold."""
    accelerator = torch.cuda.get_device_name(plan.device) if plan.device.startswith("cuda") else None
    of_torch = {"instructions": torch.backends.cpu.get_cpu_capability(), "accelerator": accelerator}
    return {
        "command": command,
        "seconds": round(seconds, 1),
        "plan": asdict(plan),
        "versions": versions("trl"),
        "machine": {**machine(), "threads": plan.threads, **of_torch},
        "results": [{**asdict(one), "met": one.met} for one in results],
    }


def footer(content: dict[str, Any]) -> str:
    """What made the table, in a line."""
    machine, used = content["machine"], content["versions"]
    where = machine["accelerator"] or f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores"
    libraries = ", ".join(f"{name} {used[name]}" for name in ("torch", "transformers"))
    return f"{content['command']}: {content['seconds'] / 60:.0f} min on {where}, {libraries}"


def read(path: str | Path) -> tuple[list[Result], dict[str, Any]]:
    """The results in a file of ``textgym speed --json``, and all that it holds.

    Raises:
        ConfigError: it is no such file.
    """
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
        results = []
        for line in stored["results"]:
            rest = {name: value for name, value in line.items() if name != "met"}
            columns = ("work", "seconds", "cpu_seconds")
            series = [Series(one["name"], *(tuple(one[column]) for column in columns)) for one in line["series"]]
            results.append(Result(**{**rest, "repeats": tuple(line["repeats"]), "series": tuple(series)}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{str(path)!r} holds no results of `textgym speed --json`: {error!r}") from error
    return results, stored


def as_markdown(results: Sequence[Result], stored: dict[str, Any]) -> str:
    """The table, what tokens cost, and what made the numbers (see :func:`content`), for a page."""
    machine = stored["machine"]
    made = ", ".join(f"{name} {stored['versions'][name]}" for name in SHOWN_VERSIONS if name in stored["versions"])
    origin = f"`{stored['command']}`, {machine['threads']} thread of {machine['processor']}, {made}."
    costs = cost_rows(results)
    parts = [markdown.table(HEADER, map(cells, results)), origin, *([markdown.table(COSTS, costs)] if costs else [])]
    return "\n\n".join(parts) + "\n"
