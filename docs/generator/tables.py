"""Markdown tables of what there is: environments, rewards, metrics and algorithms, read from the packages."""

import inspect
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. Bars within cells are escaped, line breaks become spaces."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def first_line(thing: Any) -> str:
    """The first sentence of a docstring, without its double backticks and a source in brackets at its end."""
    sentence = (thing.__doc__ or "").strip().partition("\n")[0].replace("``", "`")
    return re.sub(r" \([^()]*\)\.$", ".", sentence)


def environment_list() -> str:
    """The ids of the environments, and what each task is."""
    from textgym.registration import env_id
    from textgym.tasks import OPT_IN, TASKS

    rows = [(f"`{env_id(name)}`", first_line(task)) for name, task in {**TASKS, **OPT_IN}.items()]
    lines = table(("id", "task"), rows).splitlines()
    return "\n".join(re.sub(" ?[|] ?", "|", line) for line in lines)  # README has a limit of words, and bars are none


def environments() -> str:
    """The environments, from the task classes."""
    from textgym.registration import default_reward, env_id
    from textgym.tasks import OPT_IN, TASKS

    rows = []
    for name, factory in {**TASKS, **OPT_IN}.items():
        task: Any = factory
        columns = ", ".join(f"{role}: `{column}`" for role, column in task.columns.items())
        tokens = f"{task.max_prompt_tokens} + {task.max_new_tokens}"
        metrics = ", ".join(task.metrics)
        reward = f"`{default_reward(env_id(name))!r}`"
        rows.append((f"`{env_id(name)}`", first_line(task), tokens, reward, metrics, columns))
    header = ("id", "task", "tokens: prompt + completion", "default reward", "metrics", "columns of a dataset")
    return table(header, rows)


def conversations() -> str:
    """The tasks of several turns and their variants, from their classes."""
    from textgym.tasks import CONVERSATIONS

    rows = []
    for name, factory in CONVERSATIONS.items():
        cls: Any = factory
        for number, variant in enumerate(cls.variants):
            task = cls("test", **variant)
            arguments = ", ".join(f"{argument}={value}" for argument, value in variant.items())
            first = (f"`{name}`", first_line(cls)) if number == 0 else ("", "")
            returns = (f"{task.random_reward():.2f}", f"{task.best_reward():.2f}")
            rows.append((*first, f"`{arguments}`", str(task.max_turns), *returns))
    return table(("task", "what it is", "arguments", "turns", "random utterances", "best"), rows)


def probes() -> str:
    """The probes, from their classes."""
    from textgym.tasks import PROBES

    rows = []
    for name, probe in PROBES.items():
        task: Any = probe
        made = [task("test", **{task.scale: level}) for level in task.levels]
        levels = ", ".join(f"{level:g}" for level in task.levels)
        random = dict.fromkeys(f"{one.random_reward():.3g}" for one in made)
        best = dict.fromkeys(f"{one.best_reward():.3g}" for one in made)
        cells = (", ".join(task.tags), f"`{task.scale}`: {levels}", ", ".join(random), ", ".join(best))
        rows.append((f"`{name}`", first_line(task), *cells))
    return table(("probe", "task", "tags", "from easy to hard", "reward of a random policy", "of the best"), rows)


def probe_suite() -> str:
    """The variants of the suite of probes, and what each is trained for."""
    from textgym.tasks.probes import SUITE

    return table(
        ("variant", "tokens of training"), [(f"`{variant}`", f"{tokens:,}") for variant, tokens in SUITE.items()]
    )


def rewards() -> str:
    """The rewards, from their classes and their names in formulas."""
    rows = [(f"`{cls}`", ", ".join(f"`{call}`" for call in calls) or "-", line) for cls, calls, line in _rewards()]
    return table(("class", "in formulas", "what it is"), rows)


def reward_list() -> str:
    """Their classes and names alone, by what they look at."""
    from textgym.rewards import REWARDS, GroupReward, LLMJudge
    from textgym.rewards.model_reward import ModelReward
    from textgym.rewards.registry import class_of

    kinds = {"references": "With references", "group": "With a prompt's other completions", "model": "By a model"}
    listed: dict[str, list[str]] = {kind: [] for kind in (*kinds.values(), "By the text alone, or the prompt's data")}
    classes = {class_of(factory).__name__: class_of(factory) for factory in REWARDS.values()}
    for cls, calls, _ in _rewards():
        made = classes[cls]
        kind = "group" if issubclass(made, GroupReward) else made.compares_with
        kind = "model" if issubclass(made, ModelReward | LLMJudge) and not kind else kind
        names = ", ".join(f"`{call}`" for call in calls)
        listed[kinds.get(kind, "By the text alone, or the prompt's data")].append(
            f"`{cls}`" + (f" ({names})" if names else "")
        )
    return "\n".join(f"- {kind}: {', '.join(names)}." for kind, names in listed.items())


def _rewards() -> list[tuple[str, list[str], str]]:
    """Class, calls in formulas and the first line of the documentation of each reward."""
    from textgym.rewards import REWARDS
    from textgym.rewards.registry import class_of, needed_arguments

    calls: dict[Any, list[str]] = {}
    for name, factory in REWARDS.items():
        needed, known = needed_arguments(factory), calls.setdefault(class_of(factory), [])
        if not {"backend", "corpus"} & {*needed}:  # which are no text
            known.append(f"{name}({', '.join(needed)})" if needed else name)
    return [(cls.__name__, known, first_line(cls)) for cls, known in calls.items()]


def metrics() -> str:
    """The metrics, with the signatures of their settings."""
    from textgym.metrics import METRICS

    rows = [
        (f"`{name}`", first_line(metric), interval(metric.bounds), direction(metric), f"`{metric().signature}`")
        for name, metric in METRICS.items()
    ]
    return table(("metric", "what it is", "range", "better is", "signature"), rows)


def interval(bounds: tuple[float, float]) -> str:
    """A range as it is written.

    >>> interval((0, 1)), interval((0, float("inf")))
    ('0 to 1', '0 and more')
    """
    low, high = bounds
    return f"{low:g} and more" if math.isinf(high) else f"{low:g} to {high:g}"


def direction(metric: Any) -> str:
    """Which end of its range is good."""
    return {True: "higher", False: "lower", None: "neither"}[metric.higher_is_better]


def algorithms() -> str:
    """The algorithms, for agents/README: paper, class, file and tests."""
    from textgym_agents.algorithms import ALGORITHMS

    rows = []
    for name, row in ALGORITHMS.items():
        file = source_of(row.cls)
        tests = ", ".join(f"[{Path(one).stem}](../tests/agents/{one})" for one in row.tests)
        link = f"[{file.name}]({file.relative_to(ROOT / 'agents').as_posix()})"
        rows.append((f"`{name}`", row.family, f"[{short_paper(row.paper)}]({link_of(row.paper)})", link, tests))
    return table(("name", "family", "paper", "file", "tests"), rows)


def defaults() -> str:
    """Every default of every algorithm with its origin."""
    from textgym_agents.algorithms import ALGORITHMS

    rows = []
    for name, row in ALGORITHMS.items():
        for number, (argument, value) in enumerate(row.settings().items()):
            first = "" if number else f"[{name}]({name}.md)"
            rows.append((first, f"`{argument}`", f"`{value!r}`", row.origin(argument)))
    return table(("algorithm", "argument", "default", "from"), rows)


def source_of(cls: Any) -> Path:
    """The file to read for an algorithm: its class's own, or that of the rows of a library's classes."""
    package = cls.__module__.partition(".")[0]
    if package == "textgym_agents":
        return Path(inspect.getfile(cls))
    file = {"stable_baselines3": "sb3.py", "sb3_contrib": "sb3_contrib.py"}[package]
    return ROOT / "agents" / "textgym_agents" / "algorithms" / file


def public_name(cls: Any) -> str:
    """The name under which a class is imported, such as ``textgym_agents.RLOO``."""
    return f"{cls.__module__.partition('.')[0]}.{cls.__name__}"


def short_paper(paper: str) -> str:
    """Authors and year of a paper.

    >>> short_paper("Schulman et al., Proximal Policy Optimization Algorithms, 2017, https://arxiv.org/abs/1707.06347")
    'Schulman et al., 2017'
    """
    authors, years = re.search(r"[A-Z][^,:;]*(?=,)", paper), re.findall(r"\b(?:19|20)\d\d\b(?=[,;])", paper)
    return f"{authors[0] if authors else paper}, {years[0] if years else ''}"


def link_of(paper: str) -> str:
    """The first link of a paper."""
    match = re.search(r"https?://[^ ,;]+", paper)
    return match[0] if match else ""


def linked(paper: str) -> str:
    """A paper with its title as the link's text."""
    return re.sub(r"([^;]*?), (https?://[^ ,;]+)", r"[\1](\2)", paper)


def families() -> str:
    """The names of the algorithms, by family."""
    from textgym_agents.algorithms import ALGORITHMS

    names: dict[str, list[str]] = {}
    for name, row in ALGORITHMS.items():
        names.setdefault(row.family, []).append(f"`{name}`")
    return table(("family", "names"), [(family, ", ".join(listed)) for family, listed in names.items()])
