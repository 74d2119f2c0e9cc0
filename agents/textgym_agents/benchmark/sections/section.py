"""A section: a heading with text, pictures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from textgym_agents.report.tables import Table

UNITS = {
    "probe": "score: 0 is the policy that takes legal words at random, 1 the best one",
    "headroom": "score: 0 is the best that decoding alone gets from the initial model, 1 its best of n samples",
    "gain": "score: reward less the initial model's",
}


@dataclass(frozen=True)
class Picture:
    """Pictures that belong together, side by side; ``name`` is that of a file, without its ending."""

    name: str
    elements: Sequence[str]
    columns: int = 3


@dataclass(frozen=True)
class Section:
    """A heading with what is below it.

    Attributes:
        title: the heading.
        said: paragraphs of Markdown.
        tables: with their captions.
        pictures: before the tables.
        level: 2, or 3 for a part of the section before.
    """

    title: str
    said: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    level: int = 2
