"""Imports go one way: a module may import from rows above its own, and from its own part of the package."""

import ast
import graphlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {"textgym": ROOT, "textgym_agents": ROOT / "agents"}

# From the bottom up. A name is a module or a folder of the package; names in one row do not import each other.
ORDER: dict[str, tuple[tuple[str, ...], ...]] = {
    "textgym": (
        ("errors",),
        ("border",),
        ("arguments", "tokenizer", "rendering", "sandbox", "world", "plugins", "importable"),
        ("text_model",),
        ("metrics",),
        ("rules",),
        ("infos",),
        ("token_buffer", "spaces", "saved_state", "turn_template", "rows"),
        ("core",),
        ("scoring",),
        ("mdp",),
        ("dialogue",),
        ("conversations",),
        ("background", "env", "vector"),
        ("partners",),
        ("tasks", "rewards"),
        ("wrappers", "checker"),
        ("registration",),
        ("dataset_task",),
        ("__init__",),
    ),
    "textgym_agents": (
        ("storage",),
        ("models", "objectives", "report"),
        ("buffers",),
        ("policies", "checkpoint"),
        ("envs",),
        ("algorithms",),
        ("evaluation", "speed"),
        ("callbacks", "pretraining"),
        ("benchmark", "runs", "tuning"),
        ("leaderboard",),
        ("cli", "__init__"),
    ),
}
HEAVY = {"torch", "transformers", "stable_baselines3", "sb3_contrib", "peft", "textgym_agents"}


def module_name(path: Path) -> str:
    """The dotted name of a source file; that of a package is the name of its folder."""
    source = next(source for source in SOURCES.values() if source / path.relative_to(source).parts[0] in PACKAGES)
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PACKAGES = {source / package: package for package, source in SOURCES.items()}
FILES = {module_name(path): path for folder in PACKAGES for path in sorted(folder.rglob("*.py"))}


def imports(module: str, *, only_at_import: bool = False) -> set[str]:
    """The modules that a module imports. ``only_at_import`` leaves out functions and what only type checkers read."""
    modules: set[str] = set()
    for node in statements(ast.parse(FILES[module].read_text(encoding="utf-8")), only_at_import):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module}: relative import"
            assert node.level == 0, f"{module}: relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}  # from textgym import errors
            modules.update(inner & FILES.keys())
            if inner - FILES.keys():
                modules.add(node.module)
    return modules - {module}


def statements(tree: ast.AST, only_at_import: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if only_at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if only_at_import and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from statements(node, only_at_import)


def part_of(module: str) -> tuple[str, str]:
    """Package and part: ("textgym", "rewards") for textgym.rewards.bleu, ("textgym", "__init__") for textgym."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0] or "__init__"


def row_of(module: str) -> int:
    package, part = part_of(module)
    return next(row for row, names in enumerate(ORDER[package]) if part in names)


def test_every_module_has_its_place() -> None:
    parts = {part_of(module) for module in FILES}
    assert parts == {(package, name) for package, rows in ORDER.items() for row in rows for name in row}


@pytest.mark.parametrize("module", FILES)
def test_imports_go_one_way(module: str) -> None:
    for other in imports(module) & FILES.keys():
        if part_of(other) == part_of(module):
            continue
        if part_of(other)[0] != part_of(module)[0]:
            assert part_of(module)[0] == "textgym_agents", f"{module} imports {other}: textgym imports no agents"
        else:
            assert row_of(other) < row_of(module), f"{module} imports {other}, which is not below it"


def test_no_module_needs_itself_to_be_imported() -> None:
    graph = {module: imports(module, only_at_import=True) & FILES.keys() for module in FILES}
    for module in FILES:  # importing a package's module runs the package's own first, unless it is being imported
        graph[module] -= {".".join(module.split(".")[:length]) for length in range(1, module.count(".") + 1)}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", [module for module in FILES if part_of(module)[0] == "textgym"])
def test_environments_import_no_model_library_at_module_level(module: str) -> None:
    names = {name.partition(".")[0] for name in imports(module, only_at_import=True)}
    assert not names & HEAVY


def test_importing_textgym_and_making_an_environment_loads_no_torch() -> None:
    code = (
        "import sys, gymnasium, textgym\n"
        "gymnasium.make('textgym/Copy-v0').reset(seed=0)\n"
        f"print(sorted({HEAVY} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("module", ["textgym.core", "textgym.scoring", "textgym.mdp"])
def test_what_all_are_made_of_names_no_task_and_no_reward(module: str) -> None:
    from textgym.rewards import REWARDS
    from textgym.rewards.registry import class_of
    from textgym.tasks import TASKS

    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    concrete = {*TASKS, *(class_of(factory).__name__ for factory in REWARDS.values())}
    assert not {name for name in names if name in concrete}


def test_only_registration_joins_tasks_with_rewards() -> None:
    both = {
        module
        for module in FILES
        if part_of(module)[0] == "textgym"
        and module != "textgym"  # which shows them both
        and {("textgym", "tasks"), ("textgym", "rewards")} <= {part_of(other) for other in imports(module)}
    }
    assert both == {"textgym.registration"}


def test_nothing_is_called_utils_and_nothing_imports_agents() -> None:
    for module in FILES:
        assert not {"utils", "util", "helpers", "common"} & {*module.split(".")}
        assert "agents" not in {name.partition(".")[0] for name in imports(module)}


def test_the_rules_find_what_they_forbid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bleu.py"
    path.write_text("def late():\n    import torch\n    from textgym.tasks import copy\n")
    monkeypatch.setitem(FILES, "textgym.rewards.bleu", path)
    assert imports("textgym.rewards.bleu", only_at_import=True) == set()
    assert imports("textgym.rewards.bleu") == {"torch", "textgym.tasks.copy"}
    with pytest.raises(AssertionError, match="not below"):
        test_imports_go_one_way("textgym.rewards.bleu")


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    """One list is for type checkers, one for the import on first use; ``dir`` shows both, and all of them exist."""
    import textgym_agents

    tree = ast.parse(FILES["textgym_agents"].read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == {name: f"textgym_agents.{module}" for name, module in textgym_agents._MODULES.items()}
    assert dir(textgym_agents) == sorted(seen) == textgym_agents.__all__
    for name in seen:
        assert (
            getattr(textgym_agents, name).__name__ if callable(getattr(textgym_agents, name)) else name == "ALGORITHMS"
        )
