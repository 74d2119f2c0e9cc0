"""What an algorithm can and can't do, from the probes: by tag, with the reason in a sentence.

A probe names what it isolates by tags. The ability for a tag is the mean score of all probes that have it, over all of
their variants. "Can" is an interval above a half, "can't" one below; all others are left open.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.errors import ConfigError
from textgym.registration import task_of
from textgym_agents.benchmark.analysis.measures import Floats, estimate
from textgym_agents.benchmark.analysis.scores import Scores
from textgym_agents.benchmark.composites import base, own_arguments, short_task
from textgym_agents.report.numbers import Estimate

HALF = 0.5
# By tag: what it takes, and why it fails where it fails.
ISOLATES: dict[str, tuple[str, str]] = {
    "basic": ("learn the best of a few words", "even one decision with a clear reward is not learnt in this budget"),
    "noise": ("learn through noise in the reward", "the noise hides which completions are better"),
    "scale": ("learn whatever the unit of the reward", "its steps depend on the size of rewards"),
    "risk": (
        "prefer the best mean to the best luck",
        "it goes for completions whose reward is large now and then, not on average",
    ),
    "exploration": (
        "find a completion that it hardly ever samples",
        "what it never samples it can't learn from, and nothing near the goal is rewarded",
    ),
    "deception": ("leave a good completion for the best one", "it settles on the trap, which pays early"),
    "credit": (
        "credit the word that decided long before the reward",
        "the words in between get the credit of the one that decided",
    ),
    "horizon": ("get many words right in a row", "a single wrong word of many spoils the reward"),
    "memory": ("use what is far back in the prompt", "the model does not learn to look far enough back"),
    "context": ("answer different prompts differently", "it learns one completion for all prompts"),
    "sparsity": ("learn from rewards that are mostly zero", "most rollouts hold no reward at all to learn from"),
    "heterogeneity": (
        "learn where prompts differ in what they pay",
        "differences between prompts drown those between completions",
    ),
    "constraint": ("keep a condition that is checked at the end", "it takes the reward and breaks the condition"),
    "generalization": ("carry over from few prompts to new ones", "it learns its training prompts by heart"),
    "overoptimization": ("keep the gold reward while training on a proxy", "it exploits the proxy's flaw"),
}


@dataclass(frozen=True)
class Probe:
    """A probe and its variants among the tasks, from easy to hard."""

    name: str
    tags: tuple[str, ...]
    scale: str
    tasks: tuple[str, ...]

    def level(self, task: str) -> str:
        """What tables call a variant: "length=4"."""
        return short_task(task).removeprefix(self.name).strip("[]") or "default"


@dataclass(frozen=True)
class Verdict:
    """What an algorithm can or can't do, and why."""

    algo: str
    tag: str
    score: Estimate
    able: bool
    reason: str


def probes(tasks: Sequence[str]) -> list[Probe]:
    """The probes among these tasks, in their order."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        if _tags(task):
            found.setdefault(base(task), []).append(task)
    made = []
    for name, mine in found.items():
        cls: Any = task_of(name)
        scale = str(getattr(cls, "scale", ""))
        order = list(getattr(cls, "levels", ()))

        def hardness(task: str, order: list[Any] = order, scale: str = scale) -> int:
            level = own_arguments(task).get(scale)
            return order.index(level) if level in order else -1

        made.append(Probe(short_task(name), _tags(name), scale, tuple(sorted(mine, key=hardness))))
    return made


def _tags(task: str) -> tuple[str, ...]:
    try:
        return tuple(getattr(task_of(base(task)), "tags", ()))
    except ConfigError:
        return ()


def tags_of(found: Sequence[Probe]) -> list[str]:
    """All tags, in the order of ``ISOLATES``, unknown ones last."""
    named = list(dict.fromkeys(itertools.chain.from_iterable(probe.tags for probe in found)))
    known = list(ISOLATES)
    return sorted(named, key=lambda tag: known.index(tag) if tag in known else len(known))


def abilities(scores: Scores, found: Sequence[Probe], side: str = "sampled") -> dict[str, dict[str, Estimate]]:
    """By algorithm, then by tag: mean score over the probes with the tag, each the mean of its variants."""
    made: dict[str, dict[str, Estimate]] = {}
    for algo in scores.algos:
        by_probe = {probe.name: means for probe in found if (means := _means(scores, algo, probe, side)) is not None}
        for tag in tags_of(found):
            mine = [by_probe[probe.name] for probe in found if tag in probe.tags and probe.name in by_probe]
            if mine:
                value = float(np.mean([point for point, _ in mine]))
                made.setdefault(algo, {})[tag] = estimate(value, np.mean([drawn for _, drawn in mine], axis=0))
    return made


def _means(scores: Scores, algo: str, probe: Probe, side: str) -> tuple[float, Floats] | None:
    """A score and its resamples (resamples,), over the variants of a probe."""
    cells = [cell for task in probe.tasks if (cell := scores.cell(task, algo, side)) is not None]
    if not cells:
        return None
    return float(np.mean([cell.point.mean() for cell in cells])), np.mean(
        [cell.drawn.mean(1) for cell in cells], axis=0
    )


def verdicts(
    scores: Scores, found: Sequence[Probe], known: Mapping[str, Mapping[str, Estimate]], side: str = "sampled"
) -> list[Verdict]:
    """What each algorithm surely can and surely can't do; tags whose interval has a half in it are left out."""
    made = []
    for algo, by_tag in known.items():
        for tag, value in by_tag.items():
            low = value.value if np.isnan(value.low) else value.low
            high = value.value if np.isnan(value.high) else value.high
            if low > HALF or high < HALF:
                able = low > HALF
                made.append(Verdict(algo, tag, value, able, _reason(scores, found, algo, tag, able, side)))
    return made


def _reason(scores: Scores, found: Sequence[Probe], algo: str, tag: str, able: bool, side: str) -> str:
    """A sentence: why, and on which variant it begins."""
    why = ISOLATES.get(tag, ("", ""))[0 if able else 1]
    hardest, failing = [], []
    for probe in found:
        if tag not in probe.tags:
            continue
        known = [(task, cell.point.mean()) for task in probe.tasks if (cell := scores.cell(task, algo, side))]
        passed = [task for task, value in known if value > HALF]
        missed = [(task, value) for task, value in known if value <= HALF]
        hardest += [f"{probe.name} {probe.level(passed[-1])}"] if passed else []
        failing += [f"{value:.2f} on {probe.name} {probe.level(task)}" for task, value in missed[:1]]
    where = f"It does up to {' and '.join(hardest)}" if able else f"It gets {' and '.join(failing)}"
    if able:
        return f"{where}: it can {why}." if why else f"{where}."
    return f"{where}: {why}." if why else f"{where}."
