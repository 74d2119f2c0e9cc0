"""Pieces of Markdown for reports and model cards."""

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""A table. Bars and line breaks in cells are escaped; columns that hold numbers only are set flush right.

    >>> print(table(["name", "value"], [["a|b", "1.0"]]))
    | name | value |
    |:---|---:|
    | a\|b | 1.0 |
    """
    body = [[_cell(cell) for cell in row] for row in rows]
    numeric = [bool(body) and all(re.match(r"[-+−–]?\d|[-+−–]?$", row[i]) for row in body) for i in range(len(header))]
    lines = [[_cell(cell) for cell in header], *body]
    drawn = [f"| {' | '.join(line)} |" for line in lines]
    drawn.insert(1, "|" + "|".join("---:" if n else ":---" for n in numeric) + "|")
    return "\n".join(drawn)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def fenced(text: str) -> str:
    """A block that shows ``text`` as it is, whatever backticks it holds.

    >>> print(fenced("a `small` world"))
    ```text
    a `small` world
    ```
    """
    runs = [len(run) for run in re.findall(r"`+", text)]
    fence = "`" * max(3, 1 + max(runs, default=0))
    return f"{fence}text\n{text}\n{fence}"


def sample_block(title: str, prompt: str, answers: dict[str, str]) -> str:
    """One prompt with several answers to it: references and completions, by label."""
    parts = [f"### {title}", "Prompt:", fenced(prompt)]
    for label, text in answers.items():
        parts += [f"{label}:", fenced(text)]
    return "\n\n".join(parts)
