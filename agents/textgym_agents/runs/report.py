"""What a run leaves to look at: ``samples.md`` and ``learning_curve.png``."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from textgym_agents.evaluation.held_out import Evaluation
from textgym_agents.report import markdown
from textgym_agents.report.curves import Curve, plot_curves
from textgym_agents.runs.config import TrainConfig

Shown = list[dict[str, Any]]  # the samples of an evaluation as plain values


def as_plain(evaluation: Evaluation) -> Shown:
    """What ``samples.md`` shows of an evaluation's samples."""
    return [
        {
            "prompt": one.prompt,
            "completion": one.transcript,
            "references": list(one.references),
            "reward": float(reward),
        }
        for one, reward in zip(evaluation.samples, evaluation.rewards, strict=True)
    ]


class SamplesOnTheWay(BaseCallback):
    """Takes samples before a rollout whenever the tokens have doubled, so however long the training becomes.

    Args:
        take: evaluates the policy.

    Attributes:
        taken: the last two samples as :func:`as_plain` gives them, by the tokens until then: of any length, one of them
            is the nearest to its middle.
    """

    def __init__(self, take: Callable[[], Shown]) -> None:
        super().__init__()
        self.take = take
        self.taken: dict[int, Shown] = {}

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"taken": list(self.taken.items())}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.taken = dict(state["taken"])

    def _on_rollout_start(self) -> None:
        now = self.model.num_timesteps
        if now >= max(1, 2 * max(self.taken, default=0)):
            self.taken = {**dict(list(self.taken.items())[-1:]), now: self.take()}

    def _on_step(self) -> bool:
        return True

    def midway(self, timesteps: int) -> Mapping[str, Shown]:
        """Those nearest to the middle of so many tokens, by what is said of them; nothing where there are none."""
        between = [taken_at for taken_at in self.taken if taken_at < timesteps]
        nearest = min(between, key=lambda taken_at: abs(taken_at - timesteps / 2), default=None)
        return {} if nearest is None else {after(nearest): self.taken[nearest]}


def after(timesteps: int) -> str:
    """What is said of samples after so many tokens."""
    return f"After {timesteps:,} tokens"


def samples_page(config: TrainConfig, timesteps: int, answers: Mapping[str, Shown]) -> str:
    """The text of ``samples.md``.

    Args:
        config: of the run.
        timesteps: tokens of the whole training.
        answers: samples of the same prompts, as :func:`as_plain` gives them, by what is said of them.
    """
    prompts = next(iter(answers.values()))
    parts = [
        f"# {config.task} by {config.model}, before and after {timesteps:,} tokens of {config.algo}",
        f"The first {len(prompts)} prompts of the {config.eval_split} split, sampled.",
    ]
    for number, (first, *others) in enumerate(zip(*answers.values(), strict=True), start=1):
        reference = {"Reference": first["references"][0]} if first["references"] else {}
        completions = {
            f"{label} ({_worth(one['reward'])})": one["completion"]
            for label, one in zip(answers, (first, *others), strict=True)
        }
        parts.append(markdown.sample_block(f"Prompt {number}", first["prompt"], {**reference, **completions}))
    return "\n\n".join(parts) + "\n"


def _worth(reward: float) -> str:
    return "the reward abstained" if math.isnan(reward) else f"reward {reward:.3f}"


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
