"""What the READMEs say is true: their code runs, their output is what comes, their tables and commands are up to date.

python tests/test_docs.py --write    writes the generated tables and the outputs into the READMEs
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
README, AGENTS_README = ROOT / "README.md", ROOT / "agents" / "README.md"
PAGES = [README, AGENTS_README]
PAGE_IDS = ["README.md", "agents/README.md"]

# Runs the blocks of a page in one namespace and prints what each of them printed, as one line of JSON at the end.
RUNNER = """
import contextlib, io, json, sys
blocks, page = json.load(sys.stdin), sys.argv[1]
printed = []
for line, code in blocks:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\\n" * line + code, page, "exec"), globals())
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands after its backticks, its text, and the number of lines before its text."""

    kind: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        return self.kind == "python"


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = re.finditer(r"^```(\S[^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Block(match[1].strip(), match[2], page.count("\n", 0, match.start(2))) for match in found]


def run_blocks(path: Path, folder: Path) -> list[str]:
    """Run the Python blocks of a page in an empty folder. Returns what each one printed."""
    code = [(block.line, block.text) for block in blocks_of(path.read_text(encoding="utf-8")) if block.runs]
    found = subprocess.run(
        [sys.executable, "-c", RUNNER, path.relative_to(ROOT).as_posix()],
        input=json.dumps(code),
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "agents")]),
            "PYTHONIOENCODING": "utf-8",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        },
    )
    assert found.returncode == 0, found.stderr[-3000:]
    printed: list[str] = json.loads(found.stdout.splitlines()[-1])
    return printed


def outputs_of(page: str) -> dict[int, Block]:
    """Number of a Python block that runs -> the block of kind "text" right behind it, its output."""
    blocks = blocks_of(page)
    pairs = zip(blocks, [*blocks[1:], None], strict=True)
    running = [(block, behind) for block, behind in pairs if block.runs]
    return {
        number: behind
        for number, (block, behind) in enumerate(running)
        if behind is not None and behind.kind == "text" and behind.line == block.line + block.text.count("\n") + 3
    }


@pytest.mark.parametrize("path", PAGES, ids=PAGE_IDS)
def test_python_blocks_run_and_print_what_the_page_says(path: Path, tmp_path: Path) -> None:
    printed = run_blocks(path, tmp_path)
    assert len(printed) >= 5
    for number, block in outputs_of(path.read_text(encoding="utf-8")).items():
        assert printed[number] == block.text, f"{path.name}, line {block.line}"


@pytest.mark.parametrize("path", PAGES, ids=PAGE_IDS)
def test_blocks_are_of_known_kinds(path: Path) -> None:
    kinds = [block.kind for block in blocks_of(path.read_text(encoding="utf-8"))]
    not_run = [kind for kind in kinds if kind.startswith("python no-run: ")]  # a reason follows
    assert {*kinds} - {*not_run} <= {"python", "text", "bash"}
    assert len(not_run) <= 2


# ---------------------------------------------------------------------- commands


def commands_of(page: str) -> list[str]:
    """What a page tells the reader to type: the lines of its shell blocks, and inline code that begins like one."""
    lines = [line for block in blocks_of(page) if block.kind == "bash" for line in joined(block.text).splitlines()]
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`((?:textgym|make|pip|python) [^`]+)`", prose)
    return [line for line in (line.partition(" #")[0].strip() for line in lines) if line]


def joined(text: str) -> str:
    return re.sub(r"\\\n\s*", " ", text)


def check_command(line: str) -> None:
    """Raise unless the command exists and takes these arguments."""
    program, *arguments = shlex.split(line)
    if program == "textgym":
        check_textgym(arguments)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        named = [argument for argument in arguments if "=" not in argument]
        assert {*named} <= {*targets}, f"{line}: no such target"
    elif program == "pip":
        extras = re.findall(r"\[([a-z,]+)\]", line)
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert {*",".join(extras).split(",")} <= {*known, ""}, f"{line}: no such extra"
    elif program == "python":
        assert arguments[0] == "-m" or (ROOT / arguments[0]).is_file(), f"{line}: no such script"
    else:
        assert program in ("git", "cd", "tensorboard"), f"{line}: this test doesn't know {program!r}"


def check_textgym(arguments: list[str]) -> None:
    """Let the command parse its arguments, without running it."""
    import typer

    from textgym_agents.cli import app

    if arguments in (["--version"], ["--help"]):
        return
    name, *rest = arguments
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert name in commands, f"textgym has no command {name!r}"
    if rest in ([], ["--help"]):  # the command is mentioned
        return
    try:
        commands[name].make_context(name, rest).close()
    except Exception as error:  # typer has a click of its own, so there is no class to name
        raise AssertionError(f"textgym {' '.join(arguments)}: {error}") from error


@pytest.mark.parametrize("path", [*PAGES, ROOT / "Makefile"], ids=[*PAGE_IDS, "Makefile"])
def test_commands_exist_and_take_these_arguments(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name == "Makefile":
        found = [f"textgym {rest}" for rest in re.findall(r"\$\(BIN\)/textgym (.*)", text.replace("\\\n", " "))]
    else:
        found = commands_of(text)
    assert found
    for line in found:
        check_command(line)


@pytest.mark.parametrize("line", ["textgym fly", "textgym train Copy --wings 2", "make tea", "pip install .[tea]"])
def test_commands_that_do_not_exist_are_found(line: str) -> None:
    with pytest.raises(AssertionError):
        check_command(line)


@pytest.mark.parametrize("path", PAGES, ids=PAGE_IDS)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{path.name} links to {link}"
        assert not heading or heading in headings_of(target.read_text(encoding="utf-8")), f"{path.name} links to {link}"


def headings_of(page: str) -> set[str]:
    """The names by which links know a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


# ---------------------------------------------------------------------- generated tables


def ids_table(_: str) -> str:
    """The environments, from the task classes."""
    from textgym.registration import TABLE, default_reward, env_id
    from textgym.tasks import TASKS

    rows = []
    for name in TABLE:
        task: Any = TASKS[name]
        columns = ", ".join(f"{role}: `{column}`" for role, column in task.columns.items())
        tokens = f"{task.max_prompt_tokens} + {task.max_new_tokens}"
        metrics = ", ".join(task.metrics)
        rows.append((f"`{env_id(name)}`", first_line(task), tokens, f"`{default_reward(name)!r}`", metrics, columns))
    header = ("id", "task", "tokens: prompt + completion", "default reward", "metrics", "columns of a dataset")
    return table(header, rows)


def rewards_table(_: str) -> str:
    """The rewards, from their classes and the names that formulas know."""
    from textgym.rewards import REWARDS
    from textgym.rewards.registry import class_of, formula_names

    names: dict[Any, list[str]] = {}
    for name, factory in REWARDS.items():
        names.setdefault(class_of(factory), []).append(f"`{name}`" if name in formula_names() else "-")
    rows = [(f"`{cls.__name__}`", ", ".join(known), first_line(cls)) for cls, known in names.items()]
    return table(("class", "in formulas", "what it is"), rows)


def algorithms_table(old: str) -> str:
    """The algorithms, from their table. The last column is written by hand."""
    from textgym_agents.algorithms import ALGORITHMS

    rows = []
    for name, row in ALGORITHMS.items():
        cls: Any = row.cls
        own = cls.__module__.startswith("textgym_agents")
        file = cls.__module__.replace(".", "/") + ".py" if own else "textgym_agents/algorithms/registry.py"
        paper = re.sub(r"^(.*), (https?://[^ ,]+)", r"[\1](\2)", row.paper)
        tests = " ".join(f"[{Path(one).name}](../tests/agents/{one})" for one in files_that_test(name, cls.__name__))
        shown = f"[{Path(file).name}]({file})"
        rows.append((f"`{name}`", row.family, paper, f"`{public_name(cls)}`", shown, tests))
    return table(("algorithm", "family", "paper", "class", "file", "test", "benchmark result"), keep_last(old, rows))


def defaults_table(old: str) -> str:
    """The defaults of the algorithms, from their table. The last column, the reasons, is written by hand."""
    from textgym_agents.algorithms import ALGORITHMS

    rows = []
    settings = {name: {**row.defaults, **row.wrap_defaults, "kl_coef": row.kl_coef} for name, row in ALGORITHMS.items()}
    names = [name for values in settings.values() for name in values]
    for argument in sorted(dict.fromkeys(names), key="kl_coef".__eq__):
        users: dict[str, list[str]] = {}
        for name, values in settings.items():
            if argument in values and (argument, values[argument]) != ("kl_coef", None):
                users.setdefault(str(values[argument]), []).append(name)
        rows.append((f"`{argument}`", "; ".join(f"**{value}** {', '.join(names)}" for value, names in users.items())))
    return table(("argument", "value", "why"), keep_last(old, rows))


def files_that_test(name: str, class_name: str) -> list[str]:
    """The test file of an algorithm: its own, or else the first of the shared ones that runs it."""
    folder = ROOT / "tests" / "agents" / "algorithms"
    candidates = (
        f"test_{name}.py",
        "test_policy_gradient.py",
        "test_no_training.py",
        "test_learning.py",
        "test_dqn.py",
    )
    for file in [*(folder / candidate for candidate in candidates), folder / "test_q_learning.py"]:
        if file.is_file() and re.search(rf'"{name}"|\b{class_name}\b', file.read_text(encoding="utf-8")):
            return [f"algorithms/{file.name}"]
    return []


def public_name(cls: type) -> str:
    package = cls.__module__.partition(".")[0]
    return f"{package}.{cls.__name__}"


def first_line(thing: Any) -> str:
    """The first sentence of a docstring, without backticks and without what stands in brackets at its end."""
    sentence = (thing.__doc__ or "").strip().partition("\n")[0].replace("``", "`")
    return re.sub(r" \([^()]*\)\.$", ".", sentence)


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def keep_last(old: str, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows with the last cell that the old table has for the same first cell."""
    cells = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in old.splitlines() if line.startswith("|")]
    kept = {line[0].strip(): line[-1].strip().replace("\\|", "|") for line in cells}
    return [(*row, kept.get(row[0], "")) for row in rows]


GENERATED: dict[Path, dict[str, Callable[[str], str]]] = {
    README: {"ids": ids_table, "rewards": rewards_table},
    AGENTS_README: {"algorithms": algorithms_table, "defaults": defaults_table},
}


def part(page: str, name: str) -> str:
    """What stands between <!-- name --> and <!-- /name -->, each on a line of its own."""
    found = re.search(rf"^<!-- {name} -->\n(.*?)^<!-- /{name} -->$", page, re.DOTALL | re.MULTILINE)
    assert found is not None, f"no <!-- {name} --> ... <!-- /{name} -->"
    return found[1].rstrip("\n")


@pytest.mark.parametrize(
    ("path", "name"), [(path, name) for path, parts in GENERATED.items() for name in parts], ids=lambda one: str(one)
)
def test_generated_tables_are_up_to_date(path: Path, name: str) -> None:
    old = part(path.read_text(encoding="utf-8"), name)
    assert old == GENERATED[path][name](old), "python tests/test_docs.py --write"


def test_hand_written_cells_are_not_empty() -> None:
    page = AGENTS_README.read_text(encoding="utf-8")
    for name in GENERATED[AGENTS_README]:
        assert not re.search(r"\|\s*\|\s*$", part(page, name), re.MULTILINE), f"a last cell of {name} is empty"


def test_the_readme_has_a_place_for_the_demo() -> None:
    assert part(README.read_text(encoding="utf-8"), "demo") is not None


# ---------------------------------------------------------------------- logged scalars


def test_every_logged_scalar_is_explained(tmp_path: Path) -> None:
    from stable_baselines3.common.logger import KVWriter, Logger

    import textgym_agents
    from textgym_agents.callbacks import EvaluateCallback, TextLogger
    from textgym_agents.callbacks.health import HealthCheck
    from textgym_agents.callbacks.schedules import Schedules

    seen: set[str] = set()

    class Names(KVWriter):
        def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
            seen.update(key_values)

        def close(self) -> None:
            pass

    small = {"max_prompt_tokens": 8, "max_new_tokens": 4}
    runs: dict[str, dict[str, Any]] = {
        "ppo": {"n_steps": 8, "batch_size": 32, "clip_range_vf": 0.2},
        "a2c": {"n_steps": 8},
        "trpo": {"n_steps": 8, "batch_size": 32},
        "nlpo": {"n_steps": 8, "batch_size": 32},
        "reinforce": {"prompts_per_rollout": 8},
        "scst": {"prompts_per_rollout": 4},
        "grpo": {"prompts_per_rollout": 4, "group_size": 2},
        "dqn": {"train_freq": 8, "batch_size": 32},
        "sarsa": {"prompts_per_rollout": 8},
        "ilql": {"prompts_per_rollout": 8},
        "bc": {"references_per_rollout": 4},
        "ars": {"n_delta": 1, "n_eval_episodes": 4},
    }
    for name, options in runs.items():
        algorithm = textgym_agents.make(
            name, "textgym/Copy-v0", n_envs=4, env_kwargs=small, reward_transform="scale=1", **options
        )
        algorithm.set_logger(Logger(None, [Names()]))
        evaluation = EvaluateCallback("textgym/Copy-v0", every=32, num_prompts=4, env_kwargs=small)
        callbacks = [HealthCheck(), TextLogger(), evaluation, Schedules(learning_rate=1e-3)]
        algorithm.learn(96, callback=callbacks, log_interval=1)
    page = AGENTS_README.read_text(encoding="utf-8")
    kinds = "rollout|time|train|text|kl|group|eval|schedule|health"
    explained = {*re.findall(rf"`((?:{kinds})/[\w<>]+)`", part(page, "scalars"))}
    patterns = {name: re.compile(re.sub("<[a-z]+>", r"\\w+", name)) for name in explained}
    unexplained = {name for name in seen if not any(pattern.fullmatch(name) for pattern in patterns.values())}
    assert not unexplained
    unknown = {name for name, pattern in patterns.items() if not any(pattern.fullmatch(one) for one in seen)}
    assert not unknown


# ---------------------------------------------------------------------- python tests/test_docs.py --write


def write(path: Path, folder: Path) -> None:
    """Write the generated tables and the outputs of the Python blocks into a page."""
    page = path.read_text(encoding="utf-8")
    for name, generate in GENERATED[path].items():
        old = part(page, name)
        page = page.replace(f"<!-- {name} -->\n{old}", f"<!-- {name} -->\n{generate(old)}" + "\n" * (not old))
    path.write_text(page, encoding="utf-8")
    lines = page.splitlines(keepends=True)
    printed = run_blocks(path, folder)
    for number, block in sorted(outputs_of(page).items(), reverse=True):
        lines[block.line : block.line + block.text.count("\n")] = [printed[number]]
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    sys.path[:0] = [str(ROOT), str(ROOT / "agents")]
    for one in PAGES:
        with tempfile.TemporaryDirectory() as made:
            write(one, Path(made))
