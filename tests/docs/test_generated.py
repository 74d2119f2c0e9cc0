"""Generated tables are up to date, and every algorithm, default and environment has its facts."""

import doctest
import re
from pathlib import Path
from types import ModuleType

import pytest

from docs.generator import facts, pages, roles, tables
from docs.generator.roles import as_markdown
from docs.generator.write import GENERATED, README, part
from textgym.tasks import OPT_IN, TASKS
from textgym_agents.algorithms import ALGORITHMS
from textgym_agents.algorithms.origins import CHOSEN


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path, parts in GENERATED.items() for name in parts],
    ids=lambda one: one if isinstance(one, str) else one.parent.name,
)
def test_tables_are_up_to_date(path: Path, name: str) -> None:
    shown = part(path.read_text(encoding="utf-8"), name)
    assert shown == GENERATED[path][name](), "python -m docs.generator.write"


def test_the_readme_has_a_place_for_the_demo() -> None:
    assert part(README.read_text(encoding="utf-8"), "demo")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_an_update_rule_and_reasons(name: str) -> None:
    assert facts.equation(name), f"state {name}'s update rule in train()'s docstring, or in docs/facts.toml"
    for argument, default in facts.defaults_of(name).items():
        origin = rf"{CHOSEN}|paper|SB3|sb3-contrib|TRL|tuned by `textgym tune .+`"
        assert re.fullmatch(origin, default.origin), f"say where {name}'s {argument} comes from in its row's origins"
        assert default.why, f"say what {argument} of {name} is in its class's docstring, or why in docs/facts.toml"
    page = pages.generated()[f"algorithms/{name}.md"]
    for heading in ("Update rule", "Defaults", "Logged scalars", "Result", "Use", "The class"):
        assert f"## {heading}\n" in page


@pytest.mark.parametrize("name", [*TASKS, *OPT_IN])
def test_every_environment_has_its_facts(name: str) -> None:
    assert {*facts.FACTS["environment"][name]} == {"origin", "equation", "paper", "result"}
    page = pages.generated()[f"environments/{name}.md"]
    for heading in ("Description", "Observation Space", "Arguments", "Default reward", "Metrics", "Examples"):
        assert f"## {heading}\n" in page


def test_the_table_of_defaults_has_every_default_with_its_origin() -> None:
    page = pages.generated()["algorithms/defaults.md"]
    assert "| [rloo](rloo.md) | `prompts_per_rollout` | " in page
    assert page.count("\n| ") == 1 + 1 + sum(len(row.settings()) for row in ALGORITHMS.values())  # with its header


def test_facts_are_of_algorithms_and_arguments_that_exist() -> None:
    arguments = {name: {*facts.defaults_of(name)} for name in ALGORITHMS}
    for entry in facts.FACTS["why"]:
        name, _, argument = entry.rpartition(".")
        users = [name] if name else [*ALGORITHMS]
        assert any(argument in arguments[user] for user in users), f"{entry}: no algorithm takes that"
    assert {*facts.FACTS["equation"]} <= {*ALGORITHMS}
    assert {*facts.FACTS["environment"]} == {*TASKS, *OPT_IN}


def test_defaults_say_what_the_class_itself_has() -> None:
    assert facts.defaults_of("ppo")["n_steps"][:2] == ("`None`", "`2048`")
    assert facts.defaults_of("dqn")["num_candidates"].own == ""
    assert facts.defaults_of("grpo")["clip_range_high"].value == "`None`"


def test_docstrings_become_markdown() -> None:
    assert as_markdown("Of ``make``.\n\n>>> 1\n1\n\nMore.") == "Of `make`.\n\n```pycon\n>>> 1\n1\n```\n\nMore."
    assert as_markdown("So::\n\n    x = 1\n") == "So:\n\n    x = 1\n"
    assert as_markdown("=== ==\nA   B\n=== ==\n") == "```text\n=== ==\nA   B\n=== ==\n```\n"


@pytest.mark.parametrize("module", [tables, roles])
def test_examples_in_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
