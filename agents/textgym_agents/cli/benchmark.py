"""``textgym benchmark``: which algorithm learns what."""

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from textgym.errors import ConfigError
from textgym_agents.benchmark.composites import base, own_arguments, short_task
from textgym_agents.benchmark.composites import names as names_of
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.cli import arguments, options
from textgym_agents.cli.options import ALGORITHM, ENVIRONMENT, option

DEFAULT_TIMESTEPS = 20_000


def benchmark(
    context: typer.Context,
    algos: Annotated[
        str | None,
        option(
            "Algorithms joined by commas, see list --algorithms; 'all', 'all,-trpo', 'bc+ppo' for one after the other, "
            "and 'rloo,rloo\\[group_size=8]' for variants of one."
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        option(
            "Ids, or their middles, joined by commas, and variants of them: 'Copy\\[max_new_tokens=8]'. With --suite: "
            "some of its tasks."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            "Where results go, and where a restart finds them. With --suite it can be left out: runs/benchmark-SUITE.",
            metavar="FOLDER",
        ),
    ] = None,
    suite: Annotated[
        str | None,
        option("Tasks, tokens and settings by one name: probe, text or goodhart. Other options replace single values."),
    ] = None,
    seeds: Annotated[int, option("How many runs of each algorithm on each task.", min=1)] = BenchmarkConfig.seeds,
    timesteps: Annotated[
        str | None,
        option(
            "Tokens to train on, for all tasks or each: 20000 or Copy=8000,DataToText=40000. "
            f"Default: {DEFAULT_TIMESTEPS}, or the suite's.",
            metavar="N",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        option(
            "Runs at once, each in a process. 0: in this process, for debuggers. Default: 1; with --suite, one a core; "
            "with --ray, as many as the cluster has CPUs for.",
            min=0,
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        option(
            "Do the runs on a Ray cluster: 'local' for one on this machine, 'auto', or ray://host:10001.",
            metavar="ADDRESS",
        ),
    ] = None,
    pack: Annotated[
        Path | None,
        option("Also write the runs to one small file, such as agents/results/text-v1.jsonl.gz.", metavar="FILE"),
    ] = None,
    retry: Annotated[bool, option("Also do runs again that have failed.", None, "--retry")] = False,
    threads: Annotated[
        int, option("Of torch in each process. Changes results a little.", min=1)
    ] = BenchmarkConfig.threads,
    plugins: options.Plugins = None,
    reward: options.Reward = None,
    dataset: options.Dataset = None,
    columns: options.Columns = None,
    env_kwarg: options.EnvKwargs = None,
    eval_prompts: options.EvalPrompts = BenchmarkConfig.eval_prompts,
    eval_split: options.EvalSplit = BenchmarkConfig.eval_split,
    n_envs: options.NumEnvs = BenchmarkConfig.n_envs,
    kl_coef: options.KlCoef = None,
    algo_kwarg: Annotated[
        list[str] | None,
        options.pair("For all algorithms, or one: ppo.n_epochs=4.", ALGORITHM, "--algo-kwarg"),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        option(
            "Variants of every algorithm that takes it, one for each value: learning_rate=1e-4,3e-4. Can be repeated: "
            "each combination.",
            ALGORITHM,
            metavar="NAME=VALUES",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        option(
            "Arguments by algorithm, such as the settings.json of textgym tune. --algo-kwarg replaces single ones.",
            ALGORITHM,
            metavar="FILE",
        ),
    ] = None,
    warm_share: Annotated[
        float, option("Share of the tokens that the first part of 'bc+ppo' gets.", ALGORITHM, min=0, max=1)
    ] = BenchmarkConfig.warm_share,
    model: options.Model = BenchmarkConfig.model,
    lora: options.Lora = None,
    temperature: options.Temperature = None,
    policy_kwarg: options.PolicyKwargs = None,
    front: Annotated[
        int, option("Points of each training at which held-out prompts are evaluated, with their KL.", min=0)
    ] = BenchmarkConfig.front,
    gold: Annotated[
        str | None,
        option(
            "A reward that is reported beside the one of --reward, which is its proxy: a formula, module:function, or "
            "default.",
            ENVIRONMENT,
            metavar="REWARD",
        ),
    ] = None,
) -> None:
    """Compare algorithms: algorithms x tasks x seeds.

    Kill it whenever you like: the same command continues where it stopped, with the results of an uninterrupted one.

    The folder --out gets results.md, results.json, pictures, and results.jsonl with everything about each run.

    [cyan]textgym benchmark --algos ppo,a2c --tasks Copy,DataToText --seeds 3 --out results --jobs 2[/cyan]
    [cyan]textgym benchmark --algos ppo --tasks Copy,Translation --timesteps Copy=8000,Translation=40000 --out r2[/cyan]
    [cyan]textgym benchmark --algos ppo,a2c --tasks Copy --algo-kwarg ppo.n_epochs=4 --kl-coef 0.05 --out r3[/cyan]
    [cyan]textgym benchmark --algos 'rloo,rloo\\[group_size=8,learning_rate=1e-3]' --tasks Copy --out r4[/cyan]
    [cyan]textgym benchmark --algos ppo,rloo --tasks Copy --sweep learning_rate=3e-5,1e-4,3e-4 --out r5[/cyan]
    [cyan]textgym benchmark --suite probe --algos all --seeds 5[/cyan]
    """
    config = configured(context)
    if jobs is None and ray is None:
        jobs = _default_jobs(suite, threads)
    _run(config, _folder(out, suite), jobs, retry, ray, pack)


def config_of(command: str) -> BenchmarkConfig:
    """The configuration that a command ``textgym benchmark ...`` runs.

    Raises:
        ConfigError: it is no such command, or its options contradict each other.

    >>> config_of("textgym benchmark --algos ppo --tasks Copy --seeds 2 --out x").seeds
    2
    """
    words = shlex.split(command)
    if words[:2] != ["textgym", "benchmark"]:
        raise ConfigError(f"The command is {command!r}, expected one that begins with 'textgym benchmark'.")
    alone = typer.Typer(add_completion=False)
    alone.command()(benchmark)
    try:
        context: Any = typer.main.get_command(alone).make_context("textgym benchmark", words[2:])
    except options.USAGE as error:
        raise ConfigError(f"The command {command!r} can't be read: {error}") from None
    return configured(context)


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
    ids = None if tasks is None else [arguments.resolve_task(name) for name in names_of(tasks)]
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


def _folder(out: Path | None, suite: str | None) -> Path:
    if out is None and suite is None:
        raise ConfigError("Name the folder for results with --out; only with --suite it can be left out.")
    return Path("runs") / f"benchmark-{suite}" if out is None else out


def _default_jobs(suite: str | None, threads: int) -> int:
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if suite is None else max(1, cores // threads)


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

    model = settings["model"]
    variants = () if settings["suite"] is None else suites.find_suite(settings["suite"]).variants
    names, unable = suites.choose(suites.ALL if algos is None else algos, model, variants)
    if unable:
        typer.echo(f"left out, since they can't train {model}: {', '.join(unable)}", err=True)
    config = BenchmarkConfig(**{**settings, "algos": _with_sweep(names, sweep)})
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

    from textgym_agents.algorithms import ALGORITHMS
    from textgym_agents.benchmark.composites import parts
    from textgym_agents.policies.limits import check_values

    whole = list(dict.fromkeys(part for algo in config.algos for part in parts(algo)))
    trained = list(dict.fromkeys(map(base, whole)))
    for part in whole:
        check_values(own_arguments(part))
        others = ("kl_coef", "kl_target", "lora")
        options = {name: value for name, value in config.for_algorithm(part).items() if name not in others}
        arguments.check_algo_kwargs(base(part), options)
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
            gymnasium.make(base(task), **config.for_task(task)).close()


class _Clock:
    """How long the runs that are left will take, if they take as long as those until now."""

    def __init__(self) -> None:
        self.began, self.done, self.skipped = time.monotonic(), 0, 0

    def count(self, skipped: bool) -> None:
        """One more is over."""
        self.skipped += skipped
        self.done += not skipped

    def left(self, total: int) -> str:
        """In words; nothing where nothing is known."""
        missing = total - self.done - self.skipped
        if not self.done:
            return ""
        seconds = round((time.monotonic() - self.began) / self.done * missing)
        minutes, hours = seconds // 60, seconds // 3600
        time_left = f"{hours} h {minutes % 60} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"
        return f"{missing} runs and about {time_left} left"


def _said(run: Mapping[str, Any]) -> str:
    """One line about a run that has ended."""
    if run["error"] is not None:
        return f"failed: {run['error']}"
    before, after = (run["evaluations"][side]["summary"]["reward"] for side in ("before", "sampled"))
    return f"reward {before:.3f} -> {after:.3f} ({run['costs']['seconds']:.0f} s)"


def _run(
    config: BenchmarkConfig, out: Path, jobs: int | None, retry: bool, ray: str | None, packed: Path | None
) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from textgym_agents.benchmark import report
    from textgym_agents.benchmark.launch import launch
    from textgym_agents.benchmark.pack import pack
    from textgym_agents.benchmark.places import BenchmarkError
    from textgym_agents.benchmark.store import LOGS, ResultStore, key_of

    console = Console(stderr=True)
    store = ResultStore(out, config)
    running: list[str] = []
    total, clock = len(config.run_keys()), _Clock()
    columns = (
        TextColumn("runs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}  {task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        job = bar.add_task("", total=total, left="")

        def listen(event: str, key: Any, run: dict[str, Any] | None) -> None:
            if event == "started":
                running.append(str(key))
            elif str(key) in running:
                running.remove(str(key))
            if event != "started":
                clock.count(event == "skipped")
                said = "ended earlier" if run is None else f"{_said(run)}, {clock.left(total)}"
                console.print(f"{key}: {said}", markup=False, highlight=False, soft_wrap=True)
            advance = 0 if event == "started" else 1
            bar.update(job, advance=advance, description=", ".join(running), left=clock.left(total))

        try:
            runs = launch(store, jobs, listen, retry=retry, ray=ray)
        except KeyboardInterrupt:
            done = f"{len(store.runs())} of {len(config.run_keys())} runs are finished and kept"
            console.print(f"{done}; the same command continues from there.", markup=False, highlight=False)
            raise
    rows = report.write_report(out, config, runs)
    console = Console()
    console.print(
        f"held-out prompts, mean over {config.seeds} seeds, 95 % intervals of the difference",
        markup=False,
        highlight=False,
    )
    for table in report.tables(config, [run for run in runs if run["error"] is None], rows):
        console.print(table)
    console.print(f"report: {out / 'results.md'}", markup=False, soft_wrap=True)
    if packed is not None:
        size = pack(runs, packed)
        console.print(f"packed: {packed} ({size / 1e6:.2f} MB)", markup=False, soft_wrap=True)
    failed = [run for run in runs if run["error"] is not None]
    if failed:
        first = failed[0]
        raise BenchmarkError(
            f"{len(failed)} of {len(runs)} runs failed; the others are kept. The first: {key_of(first)}: "
            f"{first['error']} (logs: {out / LOGS}). The same command with --retry tries them again."
        )
