"""Sections on reward against KL, and on a proxy against the gold reward."""

import numpy as np

from textgym_agents.benchmark import pictures
from textgym_agents.benchmark.analysis.fronts import TEMPERED, fronts, overoptimization
from textgym_agents.benchmark.analysis.lines import Runs
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.sections.section import Picture, Section
from textgym_agents.report.tables import Table, Value


def fronts_section(runs: Runs) -> list[Section]:
    by_task = fronts(runs)
    rows: list[list[Value]] = []
    for task, mine in by_task.items():
        base = next((one.area.value for one in mine if one.algo == TEMPERED), None)
        for one in mine:
            above = None if base is None else one.area.value - base
            rows.append([short_task(task), one.algo, one.area, above, one.budget])
    if not rows:
        return []
    header = ["task", "algorithm", "area under the front", "above the tempered model's", "up to KL"]
    said = (
        "The area is the mean, over budgets of KL up to the last column (nats of a completion, the median of the runs' "
        "largest), of the held-out gain that an algorithm reaches within the budget, by a policy that was evaluated or "
        "a mixture of two. Dashed: the initial model at lower temperatures, which learns nothing."
    )
    signed = frozenset(header[2:4])
    return [
        Section(
            "Reward against KL", [said], [Table(header, rows, signed)], [Picture("fronts", pictures.fronts(by_task), 3)]
        )
    ]


def overoptimization_section(runs: Runs) -> list[Section]:
    found = overoptimization(runs)
    if not found:
        return []
    rows: list[list[Value]] = []
    for one in found:
        seeds = f"{round(one.turned * len(one.runs))} of {len(one.runs)}"
        at = float(np.median(one.kl)) if one.kl else None
        between = f"{min(one.kl):.2g} to {max(one.kl):.2g}" if one.kl else None
        rows.append([short_task(one.task), one.algo, seeds, at, between, one.peak, one.end])
    header = ["task", "algorithm", "seeds that turn over", "at KL, median", "at KL, from to", "gold, peak", "gold, end"]
    said = (
        "Trained on the proxy, scored by the gold reward. It turns over in a seed if the smoothed curve ends below its "
        "peak by more than three standard errors."
    )
    drawn = [*pictures.ends_of_variants(found), *pictures.proxy_and_gold(found)]
    return [Section("Proxy and gold", [said], [Table(header, rows)], [Picture("goodhart", drawn, 3)])]
