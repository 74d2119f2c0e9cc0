"""What a search is: its algorithm, its task, its budget, and the values that it may try."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError
from textgym.plugins import load_plugins
from textgym.registration import default_model, short_name
from textgym_agents.algorithms import check_settings, find
from textgym_agents.algorithms.options import arguments
from textgym_agents.algorithms.search import Choice, Range, parse_space
from textgym_agents.report.provenance import command_line
from textgym_agents.report.secrets import without_secrets
from textgym_agents.storage import LOCK, write_atomically

CONFIG = "config.json"


@dataclass(frozen=True)
class TuneConfig:
    """All that decides a search's result but the number of its trials, which a later start may raise.

    Attributes:
        algo: the algorithm.
        task: id of the environment.
        trials: settings to try; the first are the defaults.
        tokens: of each run.
        seeds: runs of each trial, with the seeds 0, 1, ...; a trial's score is their mean.
        model: to train; empty: the task's default model, whose name is then here.
        search: a space for an argument as text (``"1e-4:1e-2"``, ``"1,2,4"``), in place of the table's or besides.
        algo_kwargs: arguments of the algorithm that all trials share, and which are not searched.
        env_kwargs, policy_kwargs: of the environment and the policy.
        n_envs: rows.
        eval_prompts: held-out prompts of an evaluation.
        eval_split: where they come from.
        prune: leave out the further seeds of a trial whose first ones are below the median of earlier trials.
        seed: of the search itself.
        threads: of torch.
        plugins: modules to import first.
    """

    algo: str
    task: str
    trials: int = 20
    tokens: int = 60_000
    seeds: int = 1
    model: str = ""
    search: Mapping[str, str] = field(default_factory=dict)
    algo_kwargs: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    n_envs: int = 32
    eval_prompts: int = 200
    eval_split: str = "validation"
    prune: bool = False
    seed: int = 0
    threads: int = 1
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.model:
            load_plugins(self.plugins, installed=False)  # one may register the task
            object.__setattr__(self, "model", default_model(self.task, self.env_kwargs))
        for name in ("trials", "tokens", "seeds", "n_envs", "eval_prompts", "threads"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} is {value!r}, expected an integer of at least 1.")
        if self.eval_split == "test":
            raise ConfigError("eval_split is 'test', which is for results: choose settings on other prompts.")

    def space(self) -> dict[str, Range | Choice]:
        """The values to try for each argument, each space with the algorithm's default in it.

        Raises:
            ConfigError: there is nothing to search, or an argument that the algorithm doesn't take.

        >>> TuneConfig("bc", "textgym/Copy-v1", search={"learning_rate": "1e-3:1e-2"}).space()["learning_rate"]
        Range(low=0.001, high=0.01)
        """
        row = find(self.algo)
        own = {name: parse_space(text) for name, text in self.search.items()}
        check_settings(self.algo, [name for name in own if name != "kl_coef"])
        if row.kl_coef is None and "kl_coef" in own:
            raise ConfigError(f"{self.algo!r} takes no KL penalty, so there is no kl_coef to search.")
        both = sorted(own.keys() & self.algo_kwargs.keys())
        if both:
            raise ConfigError(f"{both[0]} is both searched and given. Leave one out.")
        spaces = {name: one for name, one in {**row.search, **own}.items() if name not in self.algo_kwargs}
        if not spaces:
            raise ConfigError(
                f"{self.algo!r} has no values to search in the table. Name some: --search learning_rate=1e-4:1e-2"
            )
        defaults = self.defaults()
        return {name: one.including(defaults[name]) if name in defaults else one for name, one in spaces.items()}

    def defaults(self) -> dict[str, Any]:
        """What the algorithm has without a search: by the table, or else by its class."""
        row = find(self.algo)
        own = {name: value for name, value in arguments(row.cls).items() if value is not inspect.Parameter.empty}
        return {**own, **row.settings(), **self.algo_kwargs}

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``config.json``."""
        plain: dict[str, Any] = without_secrets(json.loads(json.dumps(asdict(self))))
        return plain

    def command(self) -> str:
        """The command that makes this search, apart from ``--out``."""
        words = ["tune", "--algo", self.algo, "--task", short_name(self.task), "--trials", str(self.trials)]
        default = TuneConfig(self.algo, self.task)
        for name in ("tokens", "seeds", "model", "n_envs", "eval_prompts", "eval_split", "seed", "threads"):
            if getattr(self, name) != getattr(default, name):
                words += [f"--{name.replace('_', '-')}", str(getattr(self, name))]
        words += ["--prune"] * self.prune
        for module in self.plugins:
            words += ["--import", module]
        for option, values in (
            ("--search", self.search),
            ("--env-kwarg", self.env_kwargs),
            ("--policy-kwarg", self.policy_kwargs),
            ("--algo-kwarg", self.algo_kwargs),
        ):
            for name, value in values.items():
                words += [option, f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return command_line(words)


def check_folder(config: TuneConfig, folder: Path) -> None:
    """Write the configuration into a new folder, or compare it with the one that is there.

    Raises:
        ConfigError: the folder holds another search (the message lists what differs), or something else.
    """
    path = folder / CONFIG
    if not path.is_file():
        others = [one.name for one in folder.iterdir() if one.name != LOCK and not one.name.startswith(CONFIG)]
        if others:
            raise ConfigError(f"The folder {str(folder)!r} holds {sorted(others)[0]} and no search. Name a new one.")
    else:
        try:
            there: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{str(path)!r} is no configuration of a search: {error}") from error
        mine = config.to_json()
        differ = [
            f"{n}: {there.get(n)!r} there, {mine[n]!r} here" for n in mine if n != "trials" and there.get(n) != mine[n]
        ]
        if differ:
            listed = "\n  ".join(differ)
            raise ConfigError(
                f"{str(folder)!r} holds a search with another configuration:\n  {listed}\n"
                "Name another folder with --out, or repeat the command of the first start to continue it."
            )
    write_atomically(path, json.dumps(config.to_json(), indent=2) + "\n", "the configuration")
