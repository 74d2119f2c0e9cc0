"""What a training run shows while it goes on: a file of metrics and a progress bar."""

import json
import time
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

from textgym_agents.callbacks import EvaluateCallback, TextLogger


class MetricsFile(BaseCallback):
    """Write one JSON line for each rollout and each evaluation, at once. Comes after the callbacks that it reads.

    Keys: ``kind`` ("rollout" or "evaluation"), ``timesteps``, ``seconds`` since the start, ``reward`` and the rest of
    what the two callbacks log; a rollout also has the scalars of the update before it (``train/...``).
    """

    def __init__(self, file: IO[str], texts: TextLogger, evaluations: EvaluateCallback) -> None:
        super().__init__()
        self.file = file
        self.sources: dict[str, TextLogger | EvaluateCallback] = {"rollout": texts, "evaluation": evaluations}
        self.written = dict.fromkeys(self.sources, 0)
        self.started = time.monotonic()

    def _on_training_start(self) -> None:
        self._write()

    def _on_rollout_start(self) -> None:
        self._write()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._write()

    def _on_training_end(self) -> None:
        self._write()

    def _write(self) -> None:
        for kind, source in self.sources.items():
            for row in source.history[self.written[kind] :]:
                line: dict[str, Any] = {"kind": kind, "seconds": round(time.monotonic() - self.started, 2), **row}
                if kind == "rollout":
                    scalars = self.logger.name_to_value
                    line |= {name: float(value) for name, value in scalars.items() if name.startswith("train/")}
                finite = {k: None if isinstance(v, float) and v != v else v for k, v in line.items()}
                self.file.write(json.dumps(finite) + "\n")
            self.written[kind] = len(source.history)
        self.file.flush()


class TrainingBar(BaseCallback):
    """A progress bar with the current reward, and a line for each evaluation."""

    def __init__(self, timesteps: int, texts: TextLogger, evaluations: EvaluateCallback, console: Console) -> None:
        super().__init__()
        self.texts, self.evaluations, self.console = texts, evaluations, console
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("tokens  {task.fields[reward]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=console.quiet or not console.is_terminal,
        )
        self.job = self.bar.add_task("", total=timesteps, reward="")
        self.shown = 0

    def _on_training_start(self) -> None:
        self._show_evaluations()
        self.bar.start()

    def _on_rollout_start(self) -> None:
        self._show_evaluations()

    def _on_step(self) -> bool:
        self.bar.update(self.job, completed=self.num_timesteps)
        return True

    def _on_rollout_end(self) -> None:
        reward = self.texts.history[-1].get("reward")
        if reward is not None:
            self.bar.update(self.job, reward=f"reward {reward:.3f}")

    def _on_training_end(self) -> None:
        self._show_evaluations()

    def _show_evaluations(self) -> None:
        for row in self.evaluations.history[self.shown :]:
            values = "  ".join(f"{name} {value:.3f}" for name, value in row.items() if name != "timesteps")
            self.console.print(
                f"held out, after {row['timesteps']:,.0f} tokens: {values}", highlight=False, soft_wrap=True
            )
        self.shown = len(self.evaluations.history)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.stop()
