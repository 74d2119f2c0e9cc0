"""What a run leaves to look at: ``samples.md`` and ``learning_curve.png``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textgym.core import Sample
from textgym_agents.report import markdown
from textgym_agents.report.curves import Curve, plot_curves
from textgym_agents.runs.config import TrainConfig


def as_plain(sample: Sample) -> dict[str, Any]:
    """What ``samples.md`` shows of a sample, as plain values."""
    return {"prompt": sample.prompt, "completion": sample.completion, "references": list(sample.references)}


def samples_page(
    config: TrainConfig, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], timesteps: int
) -> str:
    """The text of ``samples.md``, from samples as :func:`as_plain` gives them."""
    parts = [
        f"# {config.task} by {config.model}, before and after {timesteps:,} tokens of {config.algo}",
        f"The first {len(before)} prompts of the {config.eval_split} split, sampled.",
    ]
    for number, (first, second) in enumerate(zip(before, after, strict=True), start=1):
        reference = {"Reference": first["references"][0]} if first["references"] else {}
        completions = {**reference, "Before": first["completion"], "After": second["completion"]}
        parts.append(markdown.sample_block(f"Prompt {number}", first["prompt"], completions))
    return "\n\n".join(parts) + "\n"


def plot(
    config: TrainConfig,
    rollouts: Sequence[Mapping[str, float]],
    evaluations: Sequence[Mapping[str, float]],
    path: Path,
) -> None:
    """Draw ``learning_curve.png`` from the histories of ``TextLogger`` and ``EvaluateCallback``."""
    rows = [row for row in rollouts if "reward" in row]
    held_out = [(row["timesteps"], row["reward"], float("nan"), float("nan")) for row in evaluations]
    curve = Curve(
        label=config.algo,
        runs=[([row["timesteps"] for row in rows], [row["reward"] for row in rows])],
        before=held_out[0][1] if held_out else None,
        held_out=held_out,
    )
    plot_curves({config.task: [curve]}, path)
