"""Where the scalars of a training run are written: CSV, TensorBoard, Weights & Biases."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger, filter_excluded_keys, make_output_format

from textgym.errors import ConfigError, MissingExtraError, did_you_mean

FORMATS = ("csv", "json", "stdout", "tensorboard", "wandb")


class WandbWriter(KVWriter):
    """Sends scalars to Weights & Biases, over the number of tokens as ``tokens``.

    It is the package ``wandb`` that signs in, or not: ``WANDB_MODE=offline`` writes into the folder only.

    Args:
        folder: for wandb's own files.
        project: the project's name.
        config: settings of the run to show there.

    Raises:
        MissingExtraError: wandb isn't installed.
    """

    def __init__(self, folder: str | Path, project: str = "textgym", config: Mapping[str, Any] | None = None) -> None:
        try:
            wandb: Any = importlib.import_module("wandb")
        except ImportError:
            raise MissingExtraError("Logging to Weights & Biases", "wandb") from None
        self.run: Any = wandb.init(project=project, dir=str(folder), config=dict(config or {}))
        # Its own counter may not go back, as SB3's does when learn() is called again.
        self.run.define_metric("tokens")
        self.run.define_metric("*", step_metric="tokens")

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """One row of scalars. What is no number is left out."""
        kept = filter_excluded_keys(key_values, key_excluded, "wandb")
        numbers = {name: float(value) for name, value in kept.items() if isinstance(value, int | float | np.number)}
        self.run.log({**numbers, "tokens": step})

    def close(self) -> None:
        """End the run, and wait until it is written."""
        self.run.finish()


def logger_for(
    folder: str | Path,
    formats: Iterable[str] = ("csv",),
    *,
    project: str = "textgym",
    config: Mapping[str, Any] | None = None,
) -> Logger:
    """A logger for ``algorithm.set_logger``. Call its ``close()`` when training is over.

    Args:
        folder: for ``progress.csv``, ``progress.json``, TensorBoard's event files and wandb's. A file that is there
            from an earlier run stays; the new one has a number.
        formats: names from ``FORMATS``. "json" has one row a line.
        project, config: for Weights & Biases.

    Raises:
        ConfigError: an unknown format.
        MissingExtraError: TensorBoard or wandb is asked for and not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     logger = logger_for(folder, ["csv"])
    ...     logger.record("train/loss", 0.5)
    ...     logger.dump(step=32)
    ...     logger.close()
    ...     print((Path(folder) / "progress.csv").read_text())
    train/loss
    0.5
    <BLANKLINE>
    """
    names = list(dict.fromkeys([formats] if isinstance(formats, str) else formats))
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"No logging format is called {name!r}. {did_you_mean(name, FORMATS)}")
    if "tensorboard" in names and importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("Logging to TensorBoard", "tensorboard")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    special: dict[str, Callable[[], KVWriter]] = {"wandb": lambda: WandbWriter(folder, project, config)}
    writers = [
        special[name]() if name in special else make_output_format(name, str(folder), _suffix(folder, name))
        for name in names
    ]
    return Logger(str(folder), writers)


def _suffix(folder: Path, name: str) -> str:
    """What makes ``progress<suffix>.<name>`` a file that isn't there yet."""
    number, suffix = 1, ""
    while (folder / f"progress{suffix}.{name}").exists():
        number += 1
        suffix = f"_{number}"
    return suffix
