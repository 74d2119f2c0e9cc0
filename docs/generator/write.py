"""python -m docs.generator.write: generated tables and printed outputs of the pages, brought up to date."""

import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs.generator import (
    dialogue_results,
    families_results,
    goodhart_results,
    real_results,
    results,
    tables,
    text_results,
)
from docs.generator.blocks import ROOT, outputs_of, run_blocks
from docs.generator.logged import as_cell, loggers

README, AGENTS_README = ROOT / "README.md", ROOT / "agents" / "README.md"
ENVIRONMENTS = ROOT / "docs" / "reference" / "environments.md"
CONVERSATION = ROOT / "docs" / "guides" / "conversation.md"
DATA = ROOT / "docs" / "guides" / "data.md"
PROBES, BENCHMARK = ROOT / "docs" / "probes.md", ROOT / "docs" / "benchmark.md"
PAGES = [README, AGENTS_README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

GENERATED: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"ids": tables.environment_list, "rewards": tables.reward_list, "families": tables.families},
    AGENTS_README: {"algorithms": tables.algorithms},
    ENVIRONMENTS: {"environments": tables.environments},
    CONVERSATION: {"conversations": tables.conversations},
    PROBES: {"probes": tables.probes, "suite": tables.probe_suite},
}
# From the results files: too slow for the quick tests.
RESULTS: dict[Path, dict[str, Callable[[], str]]] = {
    BENCHMARK: {
        "benchmark": results.overall,
        "tags": results.by_tag,
        "separation": results.separation,
        "text-headroom": text_results.headroom,
        "text": text_results.overall,
        "text-above": text_results.above,
        "text-separation": text_results.separation,
        "text-fronts": text_results.front_areas,
        "text-costs": text_results.equal_cost,
        "goodhart": goodhart_results.ends,
        "families": families_results.above_decoding,
        "families-seq2seq": partial(families_results.above_decoding, families_results.SEQ2SEQ),
        "induction": families_results.after_cloning,
    },
    CONVERSATION: {"dialogue": dialogue_results.learned, "cloned": dialogue_results.cloned},
    DATA: {"real-zero-shot": real_results.zero_shot, "real-trained": real_results.trained},
}


def part(page: str, name: str) -> str:
    """What lies between <!-- name --> and <!-- /name -->, each on a line of its own.

    Raises:
        ValueError: the page has no such part.
    """
    match = re.search(rf"^<!-- {name} -->\n(.*?)^<!-- /{name} -->$", page, re.DOTALL | re.MULTILINE)
    if match is None:
        raise ValueError(f"no <!-- {name} --> ... <!-- /{name} -->")
    return match[1].rstrip("\n")


def with_tables(page: str, generators: dict[str, Callable[[], str]]) -> str:
    """A page with its generated tables as they should be."""
    for name, generate in generators.items():
        old = part(page, name)
        page = page.replace(f"<!-- {name} -->\n{old}", f"<!-- {name} -->\n{generate()}" + "\n" * (not old))
    return page


def with_outputs(page: str, printed: list[str]) -> str:
    """A page with its outputs as printed."""
    lines = page.splitlines(keepends=True)
    for number, block in sorted(outputs_of(page).items(), reverse=True):
        lines[block.line : block.line + block.text.count("\n")] = [printed[number]]
    return "".join(lines)


def with_loggers(page: str, loggers: dict[str, list[str]]) -> str:
    """The page of scalars with the algorithms that log each."""
    for scalar, names in loggers.items():
        page = re.sub(rf"^(\| `{scalar}` \| )[^|]+( \|)", rf"\1{as_cell(names)}\2", page, flags=re.MULTILINE)
    return page


def main() -> None:
    """Write tables, then outputs."""
    scalars = ROOT / "docs" / "reference" / "scalars.md"
    scalars.write_text(with_loggers(scalars.read_text(encoding="utf-8"), loggers()), encoding="utf-8")
    for path, generators in [*GENERATED.items(), *RESULTS.items()]:
        path.write_text(with_tables(path.read_text(encoding="utf-8"), generators), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        printed = run_blocks(PAGES, Path(folder))
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        path.write_text(with_outputs(page, printed[path.relative_to(ROOT).as_posix()]), encoding="utf-8")


if __name__ == "__main__":
    main()
