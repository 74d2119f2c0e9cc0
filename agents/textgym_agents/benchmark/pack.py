"""The runs of a benchmark as one small file for a repository, from which ``textgym leaderboard`` draws its page."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from textgym_agents.storage import replacing

KEPT = ("reward", "gold")  # of each prompt; counts for other metrics would be most of the file


def pack(runs: Iterable[Mapping[str, Any]], path: str | Path) -> int:
    """Write the lines compressed, the same file for the same runs. Returns its size in bytes.

    Runs of one task and seed are beside each other, so that their evaluations before training are stored once. Sample
    completions are kept of seed 0.
    """
    ordered = sorted(runs, key=lambda run: (run["task"], run["seed"]))
    text = "".join(json.dumps(_small(run), ensure_ascii=False, separators=(",", ":")) + "\n" for run in ordered)
    content = gzip.compress(text.encode(), mtime=0)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, "the packed runs") as new:
        new.write_bytes(content)
    return len(content)


def _small(run: Mapping[str, Any]) -> dict[str, Any]:
    if run["error"] is not None:
        return dict(run)
    evaluations = {
        side: {
            **evaluation,
            "per_prompt": {name: rows for name, rows in evaluation["per_prompt"].items() if name in KEPT},
        }
        for side, evaluation in run["evaluations"].items()
    }
    return {**run, "evaluations": evaluations, "samples": run["samples"] if run["seed"] == 0 else []}
