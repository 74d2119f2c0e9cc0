"""Sections on what an algorithm can and can't do: radars, and reasons."""

from collections.abc import Sequence

import numpy as np

from textgym_agents.benchmark import pictures
from textgym_agents.benchmark.analysis.abilities import Probe, abilities, tags_of, verdicts
from textgym_agents.benchmark.analysis.scores import Scores
from textgym_agents.benchmark.sections.section import Picture, Section
from textgym_agents.report.tables import Table, Value


def abilities_sections(scores: Scores, found: Sequence[Probe]) -> list[Section]:
    known = abilities(scores, found)
    tags = tags_of(found)
    order = sorted(known, key=lambda algo: -float(np.mean([one.value for one in known[algo].values()])))
    rows: list[list[Value]] = [[algo, *(known[algo].get(tag) for tag in tags)] for algo in order]
    reasons: list[list[Value]] = [
        [one.algo, "can" if one.able else "can't", one.tag, one.score, one.reason]
        for one in verdicts(scores, found, {algo: known[algo] for algo in order})
    ]
    return [
        Section(
            "What an algorithm can and can't do",
            ["Mean score of the probes with a tag, each the mean of its variants. Rings are at 0.5 and 1."],
            [Table(["algorithm", *tags], rows)],
            [Picture("radar", pictures.radars(known, tags, order), 4)],
        ),
        Section(
            "Why",
            ["An algorithm can do what its interval lies above 0.5 for, and can't what it lies below for."],
            [Table(["algorithm", "", "what", "score", "reason"], reasons)],
            level=3,
        ),
    ]
