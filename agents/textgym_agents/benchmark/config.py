"""What a benchmark runs: algorithms x tasks x seeds and everything that decides a result."""

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from textgym.errors import ConfigError
from textgym.plugins import load_plugins
from textgym.registration import default_model
from textgym_agents.benchmark.composites import base, own_arguments, parts, short_task
from textgym_agents.report.provenance import command_line
from textgym_agents.report.secrets import without_secrets

LONGEST = 150  # characters of a file's name, of which systems allow 255


class Key(NamedTuple):
    """Names one run."""

    algo: str
    task: str
    seed: int

    def __str__(self) -> str:
        return f"{self.algo} {short_task(self.task)} seed {self.seed}"

    @property
    def file_name(self) -> str:
        """For the files of this run."""
        name = f"{self.algo}-{short_task(self.task)}-{self.seed}"
        plain = re.sub(r"[^\w.,+=\[\]-]", "_", name)[:LONGEST]
        return plain if plain == name else f"{plain}-{zlib.crc32(name.encode()):08x}"  # two names stay two files


def common_model(tasks: Iterable[str], env_kwargs: Mapping[str, Any] | None = None) -> str:
    """The default model of tasks that are compared, which all must have.

    Raises:
        ConfigError: they have different ones.

    >>> common_model(["textgym/Copy-v1", "textgym/DataToText-v0[max_new_tokens=8]"])
    'textgym/small'
    """
    own = {task: default_model(base(task), {**(env_kwargs or {}), **own_arguments(task, "task")}) for task in tasks}
    if len(set(own.values())) > 1:
        said = ", ".join(f"{short_task(task)}: {model}" for task, model in own.items())
        raise ConfigError(
            f"A benchmark has one model, and these tasks have different default models ({said}). Name one, such as "
            f"--model {max(own.values())}, or make a benchmark of each."
        )
    return next(iter(own.values()))


@dataclass(frozen=True)
class BenchmarkConfig:
    """All that decides the results of a benchmark; how many processes compute them is not part of it.

    Attributes:
        algos: names from ``textgym_agents.ALGORITHMS``, several as ``"bc+ppo"``, or variants of one as
            ``"rloo[group_size=8]"``: see ``benchmark.composites``.
        tasks: tokens of training for each environment id, or variant of one: ``"textgym/Copy-v1[max_new_tokens=8]"``.
        seeds: number of seeds, 0 to ``seeds - 1``.
        model: name or folder; empty: the default model of the tasks, if all have the same, whose name is then here.
        model_hash: of its files, see ``provenance.model_hash``: a model that changes halfway would mix two benchmarks.
        eval_prompts: held-out prompts, played before and after training.
        eval_split: where they come from.
        n_envs: rows, episodes played at once in training.
        kl_coef: coefficient of the KL to the reference model; None: the algorithm's default.
        lora: rank, or None to train all weights.
        env_kwargs: arguments of the environments, such as ``reward`` or ``max_new_tokens``.
        policy_kwargs: such as ``temperature``.
        algo_kwargs: arguments of the algorithms; ``"ppo.n_epochs"`` is for one of them, ``"n_steps"`` for all.
        threads: of torch in each process. The order of floating-point sums depends on it, so it is part of the result.
        warm_share: the share of the tokens that the first part of ``"bc+ppo"`` trains on; the others share the rest.
        suite: name from ``suites.SUITES`` that these values were taken from, for :meth:`command`.
        plugins: modules that register tasks, rewards or algorithms, see ``textgym.plugins``. Every run imports them.
        front: points of each training at which held-out prompts are evaluated, with the KL to the initial model.
        gold: a reward, as a formula, "default" or ``"module:function"``, that evaluations report beside the one that is
            trained on, which is its proxy then.

    >>> config = BenchmarkConfig(("ppo",), {"textgym/Copy-v1": 4096}, seeds=2)
    >>> [str(key) for key in config.run_keys()]
    ['ppo Copy seed 0', 'ppo Copy seed 1']
    """

    algos: tuple[str, ...]
    tasks: Mapping[str, int]
    seeds: int = 3
    model: str = ""
    eval_prompts: int = 200
    eval_split: str = "test"
    n_envs: int = 32
    kl_coef: float | None = None
    lora: int | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    algo_kwargs: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    model_hash: str | None = None
    warm_share: float = 0.5
    suite: str | None = None
    plugins: tuple[str, ...] = ()
    front: int = 0
    gold: str | None = None

    def __post_init__(self) -> None:
        if not self.algos or not self.tasks:
            raise ConfigError("A benchmark needs at least one algorithm and one task.")
        numbers = {"seeds": self.seeds, "eval_prompts": self.eval_prompts, "n_envs": self.n_envs, **self.tasks}
        for name, value in {**numbers, "threads": self.threads}.items():
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} is {value!r}, expected a whole number of at least 1.")
        if not 0 < self.warm_share < 1:
            raise ConfigError(f"warm_share is {self.warm_share!r}, expected a share above 0 and below 1.")
        if not isinstance(self.front, int) or self.front < 0:
            raise ConfigError(f"front is {self.front!r}, expected a whole number of points, or 0 for none.")
        for algo in self.algos:
            for part in parts(algo):
                own_arguments(part)
        for task in self.tasks:
            self.for_task(task)
        if not self.model:
            load_plugins(self.plugins, installed=False)  # one may register a task
            object.__setattr__(self, "model", common_model(self.tasks, self.env_kwargs))

    def run_keys(self) -> list[Key]:
        """All runs. Seeds come last, so that every algorithm and task has a first result early."""
        return [Key(algo, task, seed) for seed in range(self.seeds) for task in self.tasks for algo in self.algos]

    def for_algorithm(self, part: str) -> dict[str, Any]:
        """The entries of ``algo_kwargs`` that are for one algorithm, and the arguments of its variant.

        >>> config = BenchmarkConfig(("ppo",), {"textgym/Copy-v1": 9}, algo_kwargs={"n_steps": 8, "ppo.n_epochs": 2})
        >>> config.for_algorithm("ppo[n_epochs=4]"), config.for_algorithm("a2c")
        ({'n_steps': 8, 'n_epochs': 4}, {'n_steps': 8})
        """
        algo = base(part)
        common = {name: value for name, value in self.algo_kwargs.items() if "." not in name}
        own = {name.partition(".")[2]: v for name, v in self.algo_kwargs.items() if name.startswith(f"{algo}.")}
        return {**common, **own, **own_arguments(part)}

    def policy_of(self, part: str) -> dict[str, Any]:
        """The arguments of one algorithm's policy: ``policy_kwargs``, and in their place those of the variant.

        >>> config = BenchmarkConfig(("dqn",), {"textgym/Copy-v1": 9}, policy_kwargs={"temperature": 0.7})
        >>> config.policy_of('dqn[policy_kwargs={"beta":0.2}]')
        {'temperature': 0.7, 'beta': 0.2}
        """
        return {**self.policy_kwargs, **(self.for_algorithm(part).get("policy_kwargs") or {})}

    def for_task(self, task: str) -> dict[str, Any]:
        """The arguments of a task's environment: ``env_kwargs``, and in their place those of the variant.

        >>> config = BenchmarkConfig(("ppo",), {"textgym/Copy-v1": 9}, env_kwargs={"max_new_tokens": 16, "stop": ["."]})
        >>> config.for_task("textgym/Copy-v1[max_new_tokens=8]")
        {'max_new_tokens': 8, 'stop': ['.']}
        """
        return {**self.env_kwargs, **own_arguments(task, "task")}

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``config.json`` and for the processes."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "BenchmarkConfig":
        """What :meth:`to_json` gave."""
        return cls(**{**stored, "algos": tuple(stored["algos"]), "plugins": tuple(stored["plugins"])})

    def extends(self, other: "BenchmarkConfig") -> bool:
        """Whether this is the other one with more algorithms, tasks or seeds: what that has finished stays valid."""
        grown = replace(other, algos=self.algos, tasks=self.tasks, seeds=self.seeds)
        return (
            without_secrets(grown.to_json()) == without_secrets(self.to_json())
            and set(other.algos) <= set(self.algos)
            and other.tasks.items() <= self.tasks.items()
            and other.seeds <= self.seeds
        )

    def differences(self, other: "BenchmarkConfig") -> list[str]:
        """One line for each attribute that differs, with both values."""
        mine, theirs = without_secrets(self.to_json()), without_secrets(other.to_json())
        return [f"{name}: {theirs[name]!r} there, {mine[name]!r} here" for name in mine if mine[name] != theirs[name]]

    def hash_of(self, key: Key) -> str:
        """Sixteen hexadecimal digits of all that decides the result of a run, its seed included.

        The same run has the same in a benchmark of more algorithms, tasks or seeds.
        """
        others = {"algos", "tasks", "seeds", "suite"}
        content = {name: value for name, value in self.to_json().items() if name not in others}
        decides = without_secrets({**content, "key": list(key), "timesteps": self.tasks[key.task]})
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    def command_of(self, key: Key) -> str:
        """The shortest command that repeats a run; it does those with smaller seeds, too."""
        alone = replace(self, algos=(key.algo,), tasks={key.task: self.tasks[key.task]}, seeds=key.seed + 1)
        return alone.command()

    def command(self) -> str:
        """The command that runs this benchmark, apart from ``--out`` and ``--jobs``, which change no result."""
        words, default = self._what()
        for name in (
            "model",
            "eval_prompts",
            "eval_split",
            "n_envs",
            "kl_coef",
            "lora",
            "threads",
            "warm_share",
            "front",
            "gold",
        ):
            value = getattr(self, name)
            if value != getattr(default, name):
                words += [f"--{name.replace('_', '-')}", str(value)]
        for module in self.plugins:
            if module in default.plugins:
                continue
            words += ["--import", module]
        for option, values, usual in (
            ("--env-kwarg", self.env_kwargs, default.env_kwargs),
            ("--policy-kwarg", self.policy_kwargs, default.policy_kwargs),
            ("--algo-kwarg", self.algo_kwargs, default.algo_kwargs),
        ):
            for name, value in values.items():
                if name not in usual or usual[name] != value:
                    words += [option, f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return command_line(words)

    def _what(self) -> "tuple[list[str], BenchmarkConfig]":
        """The words for algorithms, tasks, tokens and seeds, and the values of options that aren't given."""
        algos, tasks = ",".join(self.algos), ",".join(map(short_task, self.tasks))
        tokens = ",".join(f"{short_task(task)}={n}" for task, n in self.tasks.items())
        if self.suite is None:
            words = ["benchmark", "--algos", algos, "--tasks", tasks, "--timesteps", tokens, "--seeds", str(self.seeds)]
            return words, BenchmarkConfig(self.algos, self.tasks)
        from textgym_agents.benchmark.suites import find_suite  # it imports the algorithms

        suite = find_suite(self.suite)
        words = ["benchmark", "--suite", self.suite, "--algos", "all" if self._has_all() else algos]
        words += ["--seeds", str(self.seeds)]
        if list(self.tasks) != list(suite.tasks):
            words += ["--tasks", tasks]
        if any(suite.tasks[task] != n for task, n in self.tasks.items()):
            words += ["--timesteps", tokens]
        return words, BenchmarkConfig(self.algos, self.tasks, **suite.settings)

    def _has_all(self) -> bool:
        from textgym_agents.benchmark.suites import choose, find_suite

        variants = () if self.suite is None else find_suite(self.suite).variants
        return self.algos == choose("all", self.model, variants)[0]
