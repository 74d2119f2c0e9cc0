"""What a training run shows meanwhile: a file of metrics and a progress bar."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

from textgym.border import writing
from textgym.errors import ConfigError
from textgym_agents.callbacks.evaluation import EvaluateCallback
from textgym_agents.callbacks.text_logger import TextLogger


class MetricsFile(BaseCallback):
    """Write one JSON line for each rollout and each evaluation, at once. Comes after the callbacks that it reads.

    Keys: ``kind`` ("rollout" or "evaluation"), ``timesteps``, ``seconds`` since the start, ``reward`` and the rest of
    what the two callbacks log; a rollout also has the scalars of the update before it (``train/...``). A number that
    isn't finite is null, as JSON has no other word for it.

    A run that is resumed from a checkpoint cuts the file back to the lines that it had then, and the two callbacks get
    their histories from them.

    Args:
        path: of the file, which is written anew.
        completions, evaluations: where the lines come from.

    Raises:
        ConfigError: in a resumed run, the file has lost lines.
        StorageError: the disk is full.
    """

    def __init__(self, path: str | Path, completions: TextLogger, evaluations: EvaluateCallback) -> None:
        super().__init__()
        self.path = Path(path)
        self.sources: dict[str, TextLogger | EvaluateCallback] = {"rollout": completions, "evaluation": evaluations}
        self.written = dict.fromkeys(self.sources, 0)
        self.before = 0.0  # seconds until the checkpoint that the run continues from
        self._length = 0  # of the lines, in bytes
        self._file: BinaryIO | None = None

    def get_state(self) -> dict[str, Any]:
        """How many lines of each kind there are, and after how many seconds. The lines are on disk then."""
        if self._file is not None:
            with writing("metrics", self.path):
                os.fsync(self._file.fileno())
        return {"written": dict(self.written), "seconds": self._seconds()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.written, self.before = dict(state["written"]), float(state["seconds"])
        rows, self._length = _read(self.path, sum(self.written.values()))
        for kind, source in self.sources.items():
            source.history = [_history_row(row) for row in rows if row["kind"] == kind]
            if len(source.history) != self.written[kind]:
                raise ConfigError(f"{self.path} isn't the file that the checkpoint was saved with.")

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def _on_training_start(self) -> None:
        self.started = time.monotonic()
        self.close()
        with writing("metrics", self.path):
            # Unbuffered: what a full disk refuses must not be tried again when the file is closed.
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115  (open as long as training)
            self._file.truncate(self._length)
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
        assert self._file is not None
        for kind, source in self.sources.items():
            for row in source.history[self.written[kind] :]:
                line: dict[str, Any] = {"kind": kind, "seconds": round(self._seconds(), 2), **row}
                if kind == "rollout":
                    scalars = self.logger.name_to_value
                    line |= {name: float(value) for name, value in scalars.items() if name.startswith("train/")}
                finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in line.items()}
                left = (json.dumps(finite, allow_nan=False) + "\n").encode()
                self._length += len(left)
                with writing("metrics", self.path):
                    while left:
                        left = left[self._file.write(left) :]
            self.written[kind] = len(source.history)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _read(path: Path, lines: int) -> tuple[list[dict[str, Any]], int]:
    """So many lines of a file, and their length in bytes.

    Raises:
        ConfigError: it has fewer.
    """
    rows: list[dict[str, Any]] = []
    try:
        with open(path, "rb") as file:
            for number in range(lines):
                line = file.readline()
                if not line.endswith(b"\n"):
                    raise ConfigError(
                        f"{path} has {number} lines, fewer than the {lines} when the checkpoint was saved."
                    )
                rows.append(json.loads(line))
            return rows, file.tell()
    except FileNotFoundError:
        raise ConfigError(f"{path} is gone: it had {lines} lines when the checkpoint was saved.") from None


def _history_row(line: Mapping[str, Any]) -> dict[str, float]:
    """The callback's own part of a line."""
    own = {k: v for k, v in line.items() if k not in ("kind", "seconds") and not k.startswith("train/")}
    return {name: math.nan if value is None else value for name, value in own.items()}


class TrainingBar(BaseCallback):
    """A progress bar with the current reward, and a line for each evaluation."""

    def __init__(
        self, timesteps: int, completions: TextLogger, evaluations: EvaluateCallback, console: Console
    ) -> None:
        super().__init__()
        self.completions, self.evaluations, self.console = completions, evaluations, console
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
        self.bar.update(self.job, completed=self.model.num_timesteps)
        self.bar.start()

    def _on_rollout_start(self) -> None:
        self._show_evaluations()

    def _on_step(self) -> bool:
        self.bar.update(self.job, completed=self.num_timesteps)
        return True

    def _on_rollout_end(self) -> None:
        reward = self.completions.history[-1].get("reward") if self.completions.history else None
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
