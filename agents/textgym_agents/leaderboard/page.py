"""The page: one HTML file with everything in it, which needs no network and, but for sorting, no script."""

import math
import re
from collections.abc import Sequence
from html import escape

from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.scores import score
from textgym_agents.benchmark.sections import Picture, Section, samples, sections
from textgym_agents.leaderboard.assets import SCRIPT, STYLE
from textgym_agents.leaderboard.results import Results
from textgym_agents.report import svg
from textgym_agents.report.numbers import Estimate, number
from textgym_agents.report.tables import Table, Value, sort_key, text

KEYS = ("algorithm", "task")  # columns that stay in sight when a table is scrolled
WIDE = 24  # characters from which text may take several lines


def page(results: Sequence[Results]) -> str:
    """The page of several results files, each a part of it."""
    parts = [_suite(one) for one in results]
    links = [f'<a href="#{_anchor(one.name)}">{escape(one.name)}</a>' for one in results]
    inner = [f'<a class="soft" href="#{anchor}">{escape(title)}</a>' for _, known in parts for anchor, title in known]
    links = links if len(results) > 1 else inner
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>textgym leaderboard</title>'
        f"<style>{STYLE}{svg.style()}</style></head><body><header><h1>textgym leaderboard</h1>"
        "<p>Which reinforcement learning algorithm does what on text. Every figure follows from the runs of the "
        "results files: <code>textgym leaderboard --check</code> recomputes them.</p></header>"
        f'<nav><div><div class="links">{"".join(links)}</div>'
        '<input id="filter" type="search" placeholder="algorithms: ppo rloo" aria-label="Show these algorithms only">'
        f"</div></nav><main>{''.join(html for html, _ in parts)}</main>"
        f"<footer><p class='soft'>Made by textgym leaderboard.</p></footer><script>{SCRIPT}</script></body></html>\n"
    )


def _suite(one: Results) -> tuple[str, list[tuple[str, str]]]:
    """The part of a results file, and the anchors and titles of its sections."""
    done = lines.finished(one.runs)
    scores = score(done)
    anchor = _anchor(one.name)
    known, html = [], [f'<section class="suite" id="{anchor}"><h2>{escape(one.name)}</h2>{_about(one)}']
    for section in sections(one.runs, scores):
        name = f"{anchor}-{_anchor(section.title)}"
        if section.level == 2:
            known.append((name, section.title))
        html.append(_section(section, name))
    html.append(_samples(one, f"{anchor}-samples"))
    known.append((f"{anchor}-samples", "Samples"))
    return "".join(html) + "</section>", known


def _about(one: Results) -> str:
    done = lines.finished(one.runs)
    counted = [
        f"{len(lines.algos_of(done))} algorithms",
        f"{len(lines.tasks_of(done))} tasks",
        f"{len({run['seed'] for run in done})} seeds",
        f"{len(done)} runs",
    ]
    models = sorted({f"{run['model']} ({run.get('model_hash') or 'no hash'})" for run in done})
    versions = sorted({f"{name} {version}" for run in done for name, version in run["versions"].items()})
    commands = list(dict.fromkeys(str(run.get("command", "")) for run in one.runs))
    if commands[0].startswith(f"textgym benchmark --suite {one.name} "):
        commands = [f"textgym benchmark --suite {one.name} --algos all --seeds {len({r['seed'] for r in done})}"]
    more = f"\n# and {len(commands) - 3} more" if len(commands) > 3 else ""
    shown = "\n".join(commands[:3]) + more
    return (
        f"<p>{', '.join(counted)}. Model: {escape(', '.join(models))}.</p><pre><code>{escape(shown)}</code></pre>"
        f'<p class="soft">Versions: {escape(", ".join(versions))}.</p>'
    )


def _section(section: Section, anchor: str) -> str:
    said = "".join(f"<p>{_inline(one)}</p>" for one in section.said)
    drawn = "".join(_picture(one) for one in section.pictures if one.elements)
    tables = "".join(_table(one) for one in section.tables)
    if section.level > 2 and section.tables:
        # Tables of a single task are long and many.
        return (
            f'<details open id="{anchor}"><summary><h3 style="display:inline">{escape(section.title)}</h3></summary>'
            f'{said}<div class="{"beside" if drawn else ""}">{drawn}{tables}</div></details>'
        )
    return f'<h{section.level} id="{anchor}">{escape(section.title)}</h{section.level}>{said}{drawn}{tables}'


def _picture(picture: Picture) -> str:
    kind = {1: " one", 4: " small"}.get(picture.columns, "")
    figures = []
    for element in picture.elements:
        title = re.search(r'aria-label="([^"]*)"', element)
        of = f' data-algo="{title[1]}"' if picture.name == "radar" and title else ""
        figures.append(f"<figure{of}>{element}</figure>")
    return f'<div class="cards{kind}">{"".join(figures)}</div>'


def _inline(said: str) -> str:
    """Bold and code of Markdown.

    >>> _inline("Best: **ppo** by `x` < 2")
    'Best: <b>ppo</b> by <code>x</code> &lt; 2'
    """
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(said, quote=False))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", bold)


def _table(table: Table) -> str:
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.header)
    numeric = [not any(isinstance(value, str) for value in column) for column in columns]
    heads = []
    for name, is_number in zip(table.header, numeric, strict=True):
        sorts = f' aria-sort="none"><button>{escape(name)}</button>' if name else ">"
        heads.append(f'<th class="{_classes(name, is_number)}" scope="col"{sorts}</th>')
    rows = []
    for row in table.rows:
        algo = row[list(table.header).index("algorithm")] if "algorithm" in table.header else None
        of = "" if algo is None else f' data-algo="{escape(str(algo))}"'
        cells = [
            _cell(value, name, is_number, name in table.signed)
            for value, name, is_number in zip(row, table.header, numeric, strict=True)
        ]
        rows.append(f"<tr{of}>{''.join(cells)}</tr>")
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table class="sorts">{caption}<thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _classes(name: str, is_number: bool) -> str:
    return " ".join(filter(None, ("n" if is_number else "", "key" if name in KEYS else "")))


def _cell(value: Value, name: str, is_number: bool, sign: bool) -> str:
    key = sort_key(value)
    sorted_by = "" if key is None else f' data-v="{escape(str(key))}"'
    classes = _classes(name, is_number)
    if name == "command":
        classes += " command"
    elif isinstance(value, str) and len(value) > WIDE and name not in KEYS:
        classes += " text"
    shown = escape(text(value, sign=sign))
    if isinstance(value, Estimate) and not math.isnan(value.value):
        low, high = (number(bound, sign=sign, like=value.value) for bound in (value.low, value.high))
        inside = "" if math.isnan(value.low) else f" <small>{low} to {high}</small>"
        shown = f"{number(value.value, sign=sign)}{inside}"
    return f'<td class="{classes.strip()}"{sorted_by}>{shown}</td>'


def _samples(one: Results, anchor: str) -> str:
    html = [f'<h2 id="{anchor}">Samples</h2><p>One prompt of each task, and what each algorithm makes of it.</p>']
    for name, prompt, table in samples(one.runs):
        rows = "".join(
            f'<tr data-algo="{escape(str(algo))}"><td class="key">{escape(str(algo))}</td>'
            f'<td class="text">{escape(str(completion)) or "(nothing)"}</td></tr>'
            for algo, completion in table.rows
        )
        html.append(
            f"<details><summary>{escape(name)}</summary><pre>{escape(prompt)}</pre>"
            f'<div class="scroll"><table><tbody>{rows}</tbody></table></div></details>'
        )
    return "".join(html)


def _anchor(title: str) -> str:
    """What a link to a heading is called.

    >>> _anchor("What an algorithm can and can't do")
    'what-an-algorithm-can-and-can-t-do'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
