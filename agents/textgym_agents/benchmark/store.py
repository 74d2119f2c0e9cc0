"""The folder of a benchmark: a configuration, and one line for each run that has ended.

Nothing that stops the benchmark, power cuts included, can leave a wrong or doubled result behind. Only one process at a
time works in the folder (it holds a lock that the operating system frees when the process dies), only this process
appends to ``results.jsonl``, a line counts once its line break is on disk, and what follows the last line break is cut
off at the next start.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.report.provenance import model_hash, versions
from textgym_agents.report.secrets import hidden_in_text, without_secrets
from textgym_agents.storage import LOCK, append_line, cut_unfinished_line, locked, read_lines, write_atomically

RESULTS, CONFIG, WORK, LOGS = "results.jsonl", "config.json", "work", "logs"


class ResultStore:
    """The results of one benchmark.

    Args:
        folder: where; made if it isn't there.
        config: the benchmark. A folder that holds another one is refused, unless this one only adds to it: more
            seeds, algorithms or tasks.

    Raises:
        ConfigError: the folder holds another configuration (the message lists what differs), or something else.
    """

    def __init__(self, folder: str | Path, config: BenchmarkConfig) -> None:
        self.folder, self.config = Path(folder), config
        self.path = self.folder / RESULTS
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_config()

    def _check_config(self) -> None:
        path = self.folder / CONFIG
        if not path.is_file():
            others = sorted(p.name for p in self.folder.iterdir() if p.name not in (LOCK, WORK, LOGS) and p != path)
            others = [name for name in others if not name.startswith(CONFIG)]  # a half-written one
            if others:
                raise ConfigError(
                    f"The folder {str(self.folder)!r} holds {', '.join(others[:3])} and no benchmark. Name a new one."
                )
            self._write_config()
            return
        there = load_config(self.folder)
        if self.config.extends(there):
            self._write_config()
            return
        differences = self.config.differences(there)
        if differences:
            listed = "\n  ".join(differences)
            raise ConfigError(
                f"{str(self.folder)!r} holds a benchmark with another configuration:\n  {listed}\n"
                "Name another folder with --out, or repeat the command of the first start to continue it."
            )

    def _write_config(self) -> None:
        text = json.dumps(without_secrets(self.config.to_json()), indent=2) + "\n"
        write_atomically(self.folder / CONFIG, text, "the configuration")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within the block, no other process can work in this folder.

        Raises:
            ConfigError: another process does.
        """
        with locked(self.folder):
            yield

    def repair(self) -> int:
        """Cut off what follows the last line break: a line that was never finished. Returns how many bytes."""
        return cut_unfinished_line(self.path)

    def append(self, run: Mapping[str, Any]) -> None:
        """Add a finished run; returns when it is on disk."""
        append_line(self.path, run)

    def take_over(self, runs: Iterable[Mapping[str, Any]]) -> int:
        """Add runs of another results file that are runs of this benchmark, with the same configuration and model.

        Those that failed, and those that are here already, are left out. Returns how many were added.
        """
        wanted = set(self.config.run_keys()) - {key_of(run) for run in self.runs() if run["error"] is None}
        same = [
            run
            for run in runs
            if run["error"] is None
            and key_of(run) in wanted
            and run.get("config_hash") == self.config.hash_of(key_of(run))
            and run.get("model_hash") == line_of(self.config, key_of(run))["model_hash"]
        ]
        for run in same:
            self.append(run)
        return len(same)

    def runs(self) -> list[dict[str, Any]]:
        """The runs that have ended, in the order of ``config.run_keys()``, whatever order they ended in.

        One that failed and was tried again is there once, with its result if it has one.
        """
        lines: dict[Key, dict[str, Any]] = {}
        for run in read_runs(self.path):
            before = lines.get(key_of(run))
            if before is None or before["error"] is not None:
                lines[key_of(run)] = run
        return [lines[key] for key in self.config.run_keys() if key in lines]


def load_config(folder: str | Path) -> BenchmarkConfig:
    """The configuration of the benchmark in a folder.

    Raises:
        ConfigError: there is none, or it can't be read.
    """
    path = Path(folder) / CONFIG
    try:
        return BenchmarkConfig.from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ConfigError(f"The folder {str(folder)!r} holds no benchmark: it has no {CONFIG}.") from None
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise ConfigError(f"{str(path)!r} is no configuration of a benchmark: {error}") from error


def read_runs(path: Path) -> list[dict[str, Any]]:
    """The finished lines of a results file.

    Raises:
        ConfigError: a line in the middle is broken, which no interruption can cause.
    """
    return read_lines(path, Key._fields)


def line_of(config: BenchmarkConfig, key: Key) -> dict[str, Any]:
    """What every line has: which run it is, and where it comes from."""
    return {
        **key._asdict(),
        "model": config.model,
        "versions": versions(),
        "model_hash": config.model_hash or model_hash(config.model),
        "config_hash": config.hash_of(key),
        "command": config.command_of(key),
    }


def failed_line(config: BenchmarkConfig, key: Key, error: str) -> dict[str, Any]:
    """The line of a run that failed."""
    return {**line_of(config, key), "error": hidden_in_text(error)}


def key_of(run: Mapping[str, Any]) -> Key:
    """Which run a line is of."""
    return Key(run["algo"], run["task"], run["seed"])
