"""Tables of docs/benchmark.md, from the results files in agents/results."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from docs.generator.blocks import ROOT
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.abilities import HALF, abilities, probes, tags_of
from textgym_agents.benchmark.analysis.costs import costs_of
from textgym_agents.benchmark.analysis.measures import estimate
from textgym_agents.benchmark.analysis.scores import Cell, Scores, score
from textgym_agents.benchmark.analysis.separation import discrimination, separated_somewhere
from textgym_agents.benchmark.composites import short_task
from textgym_agents.benchmark.suites import family
from textgym_agents.leaderboard.results import load
from textgym_agents.report import markdown
from textgym_agents.report.numbers import Estimate, show

PROBES = ROOT / "agents" / "results" / "probe-v1.jsonl.gz"


@cache
def runs_of(path: Path) -> list[lines.Line]:
    """The finished runs of a results file."""
    return lines.finished(load(path).runs)


@cache
def scores_of(path: Path) -> Scores:
    """Their scores."""
    return score(runs_of(path))


def gain(cell: Cell, start: Cell) -> Estimate:
    """How much larger the reward of one algorithm is than that of another."""
    return estimate(cell.reward.value - start.reward.value, cell.drawn_rewards.mean(1) - start.drawn_rewards.mean(1))


def gains(scores: Scores, task: str, algo: str, start: str) -> list[str]:
    """How much larger the rewards of one algorithm are than those of another, sampled and greedy, as tables have it."""
    sides = ("sampled", "greedy")
    return [show(gain(scores.cells[task, algo, side], scores.cells[task, start, side])) for side in sides]


_runs, _scores = partial(runs_of, PROBES), partial(scores_of, PROBES)


def overall() -> str:
    """Mean scores over all probes, the best algorithm first."""
    scores, rows = _scores(), []
    for algo in sorted(scores.complete(), key=lambda algo: -float(scores.point(algo).mean())):
        sides = [
            estimate(scores.point(algo, side).mean(), scores.drawn(algo, side).mean((1, 2)))
            for side in ("sampled", "greedy")
        ]
        costs = costs_of(lines.select(_runs(), algo=algo))
        cost = [f"{costs['forward_tokens']:,.0f}", f"{costs['seconds']:.1f}"]
        rows.append([f"`{algo}`", family(algo), *map(show, sides), *cost])
    return markdown.table(["algorithm", "family", "sampled", "greedy", "forward tokens", "seconds a run"], rows)


def by_tag() -> str:
    """The mean score for each tag; bold where the interval lies above a half, in brackets where it lies below."""
    scores = _scores()
    found = probes(scores.tasks)
    known, tags = abilities(scores, found), tags_of(found)
    rows = []
    for algo in sorted(known, key=lambda algo: -sum(one.value for one in known[algo].values())):
        cells = []
        for tag in tags:
            one = known[algo][tag]
            text = f"{one.value:.2f}"
            cells.append(f"**{text}**" if one.low > HALF else f"({text})" if one.high < HALF else text)
        rows.append([f"`{algo}`", *cells])
    return markdown.table(["algorithm", *tags], rows)


def separation() -> str:
    """What each probe tells apart."""
    return separation_table(_scores(), "probe", lambda task: f"`{short_task(task)}`")


def marked(text: str, score: Estimate) -> str:
    """Bold where the interval of the score lies above 0, in brackets where it lies below."""
    return f"**{text}**" if score.low > 0 else f"({text})" if score.high < 0 else text


def separation_table(scores: Scores, what: str, name: Callable[[str], str]) -> str:
    """The share of pairs that each task separates, and how far halves of the seeds agree."""
    rows = []
    for one in discrimination(scores):
        named = "mean" if one.task is None else name(one.task)
        rows.append([named, f"{one.separated:.0%}", "–" if one.tau is None else f"{one.tau:.2f}"])
    whole = f"Of all pairs of algorithms, {separated_somewhere(scores):.0%} are separated on at least one {what}."
    return f"{markdown.table([what, 'pairs separated', 'tau'], rows)}\n\n{whole}"
