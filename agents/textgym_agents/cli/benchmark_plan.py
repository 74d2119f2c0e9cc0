"""From the options of ``textgym benchmark`` to the configuration that they describe."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import typer

from textgym.errors import ConfigError
from textgym_agents.benchmark.composites import base, own_arguments, short_task
from textgym_agents.benchmark.composites import names as names_of
from textgym_agents.benchmark.config import BenchmarkConfig, common_model
from textgym_agents.cli import arguments, options

DEFAULT_TIMESTEPS = 20_000


def configured(context: typer.Context) -> BenchmarkConfig:
    """The configuration that the options of the command describe."""
    given = context.params
    algos, tasks, suite, timesteps, reward, gold = (
        given[name] for name in ("algos", "tasks", "suite", "timesteps", "reward", "gold")
    )
    modules = [*_plugins(suite), *(given["plugins"] or ())]
    named = options.load_plugins(modules, reward, gold, *map(base, names_of(tasks or "")))
    # Options that bear the name of a setting are that setting.
    settings = {field.name: given[field.name] for field in fields(BenchmarkConfig) if field.name in given}
    of_env = {name: given[name] for name in ("reward", "dataset", "columns")}
    settings |= {
        "env_kwargs": arguments.env_arguments(given["env_kwarg"], **of_env),
        "policy_kwargs": arguments.policy_arguments(given["policy_kwarg"], temperature=given["temperature"]),
        "algo_kwargs": {**_from_file(given["settings"]), **arguments.algo_arguments(given["algo_kwarg"])},
        "plugins": named,
        "gold": None if gold is None else arguments.checked_reward(gold),
    }
    arguments.check_model(given["model"])
    ids = None if tasks is None else [arguments.resolve_task(_of_that_suite(name, suite)) for name in names_of(tasks)]
    if ids:
        chosen = options.is_given(context, "eval_split")
        kwargs = {**settings["env_kwargs"], **own_arguments(ids[0], "task")}
        held_out = arguments.held_out_part(base(ids[0]), kwargs, "train", given["eval_split"], chosen)[1]
        settings["eval_split"] = held_out
    if suite is None:
        settings["tasks"] = _planned(algos, ids, timesteps)
    else:
        named_ones = {name for name in settings if options.is_given(context, name)}
        settings = _of_suite(suite, ids, timesteps, settings, named_ones)
    return _config(algos, settings, arguments.texts("--sweep", given["sweep"]))


def _from_file(path: Path | None) -> dict[str, Any]:
    """The arguments of algorithms that a file has, as ``BenchmarkConfig.algo_kwargs``.

    Raises:
        ConfigError: it isn't there, or isn't an object of objects in JSON.
    """
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--settings {str(path)!r} can't be read as JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise ConfigError(
            f"--settings {str(path)!r} holds something else than arguments by algorithm, expected JSON such as "
            '{"ppo": {"n_epochs": 4}}.'
        )
    for algo in found:
        arguments.check_algorithm(algo)
    return {f"{algo}.{name}": value for algo, one in found.items() for name, value in one.items()}


def _with_sweep(algos: Sequence[str], texts: Mapping[str, str]) -> tuple[str, ...]:
    """Variants in place of the algorithms that take all arguments of ``--sweep``.

    Raises:
        ConfigError: none does.
    """
    from textgym_agents.algorithms import ALGORITHMS
    from textgym_agents.algorithms.search import Choice, parse_space
    from textgym_agents.benchmark.composites import parts, swept

    values = {}
    for name, text in texts.items():
        space = parse_space(text)
        if not isinstance(space, Choice):
            raise ConfigError(f"--sweep {name}={text}: expected values joined by commas, as in {name}=1,2,4.")
        values[name] = space.values
    if not values:
        return tuple(algos)

    def takes(algo: str) -> bool:
        row = ALGORITHMS[base(algo)]
        extra = {"lora"} | ({"kl_coef"} if row.kl_coef is not None else set())
        return all(name in extra or row.takes(name) for name in values)

    found = [swept(algo, values) if len(parts(algo)) == 1 and takes(algo) else [algo] for algo in algos]
    if found == [[algo] for algo in algos]:
        raise ConfigError(f"--sweep {', '.join(values)}: none of {', '.join(algos)} takes it.")
    return tuple(dict.fromkeys(one for variants in found for one in variants))


def _plugins(suite: str | None) -> tuple[str, ...]:
    """The modules that register a suite's tasks."""
    if suite is None:
        return ()
    from textgym_agents.benchmark.suites import find_suite

    return tuple(find_suite(suite).settings.get("plugins", ()))


def _of_that_suite(name: str, suite: str | None) -> str:
    """The id of a suite's task by its middle, "Table" for "text/Table-v0"; other names stay as they are."""
    if suite is None:
        return name
    from textgym_agents.benchmark.suites import find_suite

    middles = {base(task).rpartition("/")[2].rpartition("-v")[0]: base(task) for task in find_suite(suite).tasks}
    return middles.get(base(name), base(name)) + name[len(base(name)) :]


def _planned(algos: str | None, tasks: list[str] | None, timesteps: str | None) -> dict[str, int]:
    """Tokens of training for each task."""
    if algos is None or tasks is None:
        raise ConfigError("Give --algos and --tasks, or --suite: textgym benchmark --suite probe")
    return _timesteps(timesteps or str(DEFAULT_TIMESTEPS), tasks)


def _of_suite(
    suite: str, tasks: list[str] | None, timesteps: str | None, settings: Mapping[str, Any], given: set[str]
) -> dict[str, Any]:
    """The settings of a suite, with those that options give in their place."""
    from textgym_agents.benchmark.suites import find_suite

    chosen = find_suite(suite)
    strange = [short_task(task) for task in tasks or () if task not in chosen.tasks]
    if strange:
        raise ConfigError(
            f"--suite {suite} has no task {', '.join(strange)}. Its tasks: "
            f"{', '.join(map(short_task, chosen.tasks))}. Leave --suite out to compare on others."
        )
    planned = {task: n for task, n in chosen.tasks.items() if tasks is None or task in tasks}
    if timesteps is not None:
        planned |= _timesteps(timesteps, list(planned), partly=True)
    return {
        **settings,
        **{name: value for name, value in chosen.settings.items() if name not in {*given, "plugins"}},
        "tasks": planned,
    }


def _config(algos: str | None, settings: Mapping[str, Any], sweep: Mapping[str, str]) -> BenchmarkConfig:
    """The benchmark that the options describe.

    Raises:
        ConfigError: the options contradict each other, or would make every run fail.
    """
    from textgym_agents.benchmark import suites
    from textgym_agents.report.provenance import model_hash

    model = settings["model"] or common_model(settings["tasks"], settings["env_kwargs"])
    variants = () if settings["suite"] is None else suites.find_suite(settings["suite"]).variants
    names, unable = suites.choose(suites.ALL if algos is None else algos, model, variants)
    if unable:
        typer.echo(f"left out, since they can't train {model}: {', '.join(unable)}", err=True)
    config = BenchmarkConfig(**{**settings, "model": model, "algos": _with_sweep(names, sweep)})
    _check(config)
    return replace(config, model_hash=model_hash(config.model))


def _timesteps(text: str, ids: list[str], *, partly: bool = False) -> dict[str, int]:
    """Tokens of training for each id, from ``20000`` or ``Copy=8000,DataToText=40000``; ``partly``: for some.

    A number for an id is one for all its variants.
    """
    numbers: dict[str, int] = {}
    for part in names_of(text):
        name, equals, number = part.rpartition("=")
        if not number.strip().isdigit() or int(number) < 1:
            raise ConfigError(f"--timesteps {text!r}: {part!r} is neither a number nor TASK=NUMBER.")
        named = arguments.resolve_task(name.strip()) if equals else ""
        for one in [id_ for id_ in ids if named in ("", base(id_), id_)] or [named]:
            numbers[one] = int(number)
    strange, missing = [one for one in numbers if one not in ids], [one for one in ids if one not in numbers]
    if strange or (missing and not partly):
        raise ConfigError(
            f"--timesteps {text!r} "
            + (
                f"names {', '.join(strange)}, which {'--suite' if partly else '--tasks'} doesn't."
                if strange
                else f"says nothing of {', '.join(missing)}."
            )
        )
    return {one: numbers[one] for one in ids if one in numbers}


def _check(config: BenchmarkConfig) -> None:
    """Raise ConfigError for what would make runs fail."""
    import gymnasium

    from textgym.registration import spec_of
    from textgym_agents.algorithms import ALGORITHMS
    from textgym_agents.benchmark.composites import parts
    from textgym_agents.policies.limits import check_values

    whole = list(dict.fromkeys(part for algo in config.algos for part in parts(algo)))
    trained = list(dict.fromkeys(map(base, whole)))
    for part in whole:
        check_values(own_arguments(part))
        others = ("kl_coef", "kl_target", "lora", "policy_kwargs")
        options = {name: value for name, value in config.for_algorithm(part).items() if name not in others}
        arguments.check_algo_kwargs(base(part), options)
        arguments.check_policy_kwargs(config.for_algorithm(part).get("policy_kwargs") or {}, [base(part)])
        if any(own_arguments(part).get(name) for name in others[:2]) and ALGORITHMS[base(part)].kl_coef is None:
            raise ConfigError(f"{part}: {base(part)!r} takes no KL penalty.")
    for name in config.algo_kwargs:
        prefix, dot, _ = name.partition(".")
        if dot and prefix not in trained:
            named = ",".join(config.algos)
            raise ConfigError(f"--algo-kwarg {name} is for {prefix!r}, but --algos is {named!r}.")
    if config.kl_coef and all(ALGORITHMS[algo].kl_coef is None for algo in trained):
        able = [name for name, row in ALGORITHMS.items() if row.kl_coef is not None]
        raise ConfigError(
            f"--kl-coef {config.kl_coef}: none of {', '.join(trained)} takes a KL penalty. {', '.join(able)} do."
        )
    arguments.check_policy_kwargs(config.policy_kwargs, trained)
    for task in config.tasks:
        if own_arguments(task, "task"):
            gymnasium.make(spec_of(base(task)), **config.for_task(task)).close()
