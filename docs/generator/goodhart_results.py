"""The table and the picture of docs/benchmark.md about the suite goodhart, from its results file in agents/results.

python -m docs.generator.goodhart_results draws the picture again.
"""

import math
from functools import partial

import numpy as np

from docs.generator.blocks import ROOT
from docs.generator.results import runs_of
from textgym_agents.benchmark import pictures
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.fronts import overoptimization
from textgym_agents.benchmark.analysis.measures import RESAMPLES, estimate, generator
from textgym_agents.report import markdown, svg
from textgym_agents.report.numbers import Estimate, show

GOODHART = ROOT / "agents" / "results" / "goodhart-v1.jsonl.gz"
PICTURE = ROOT / "docs" / "images" / "goodhart.svg"


_runs = partial(runs_of, GOODHART)


def ends() -> str:
    """KL, proxy and gold of each policy, sampled after training, and where the gold reward turned over on the way."""
    turned = {one.algo: one for one in overoptimization(_runs())}
    rows = []
    for algo in lines.algos_of(_runs()):
        mine = lines.select(_runs(), algo=algo)
        n = lines.samples_of(algo)
        if n is not None and n > 1:
            kl = f"at most {math.log(n) - (n - 1) / n:.2f}"
        else:
            known = [float(run["kl"]) for run in mine]
            kl = f"{np.mean(known):.2f}" + f" ({min(known):.2f} to {max(known):.2f})" * (len(known) > 1)
        proxy, gold = (
            _mean(algo, [lines.summary(run, "sampled")[name] for run in mine]) for name in ("reward", "gold")
        )
        way = turned.get(algo)
        seeds = "" if way is None else f"{len(way.kl)} of {len(way.runs)}"
        at = "" if way is None or not way.kl else f"{np.median(way.kl):.2f}"
        rows.append([f"`{algo}`", str(len(mine)), kl, show(proxy), show(gold), seeds, at])
    header = ["algorithm", "seeds", "KL at the end, nats", "proxy", "gold", "seeds that turn over", "at KL, median"]
    return markdown.table(header, rows)


def _mean(name: str, values: list[float]) -> Estimate:
    """The mean over seeds, with the interval of a bootstrap if there are several."""
    found = np.array(values)
    if len(found) == 1:
        return estimate(found.mean(), None)
    picks = generator(0, f"goodhart {name}").integers(len(found), size=(RESAMPLES, len(found)))
    return estimate(found.mean(), found[picks].mean(1))


def main() -> None:
    """Draw proxy and gold against the KL at which trainings end."""
    drawn = pictures.ends_of_variants(overoptimization(_runs()))
    PICTURE.write_text(svg.grid(drawn, len(drawn)), encoding="utf-8")


if __name__ == "__main__":
    main()
