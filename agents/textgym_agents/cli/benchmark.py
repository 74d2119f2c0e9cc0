"""``textgym benchmark``: which algorithm learns what."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from textgym.tokenizer import BUILTIN_MODEL
from textgym_agents.cli import options

DEFAULT_TIMESTEPS = 20_000


def benchmark(
    algos: Annotated[str, typer.Option(help="Algorithms joined by commas, see list --algorithms.")],
    tasks: Annotated[str, typer.Option(help="Ids, or their middles, joined by commas.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where results go, and where a restart finds them.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many runs of each algorithm on each task.")] = 3,
    timesteps: Annotated[
        str,
        typer.Option(
            metavar="N", help="Tokens to train on, for all tasks or each: 20000 or Copy=8000,DataToText=40000."
        ),
    ] = str(DEFAULT_TIMESTEPS),
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    model: options.Model = BUILTIN_MODEL,
    eval_prompts: Annotated[
        int, typer.Option(min=1, rich_help_panel="Evaluation", help="Held-out prompts, played before and after.")
    ] = 100,
    split: Annotated[
        str, typer.Option(rich_help_panel="Evaluation", help="Where held-out prompts come from.")
    ] = "test",
    reward: options.Reward = None,
    n_envs: options.NumEnvs = 32,
    kl: options.Kl = None,
    lora: options.Lora = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch in each process. Changes results a little.")] = 1,
    temperature: options.Temperature = None,
    env_kwarg: options.EnvKwargs = None,
    algo_kwarg: Annotated[
        list[str] | None,
        typer.Option(
            "--algo-kwarg",
            metavar="NAME=VALUE",
            rich_help_panel="Algorithm",
            help="For all algorithms, or one: ppo.n_epochs=4.",
        ),
    ] = None,
    policy_kwarg: options.PolicyKwargs = None,
) -> None:
    """Compare algorithms: algorithms x tasks x seeds, one process each.

    Kill it whenever you like: the same command goes on where it stopped, and gives the results of an uninterrupted one.

    The folder --out gets results.md, results.json, learning_curves.png, and results.jsonl with all about each run.

    [cyan]textgym benchmark --algos ppo,a2c --tasks Copy,DataToText --seeds 3 --out results --jobs 2[/cyan]
    [cyan]textgym benchmark --algos ppo --tasks Copy,Translation --timesteps Copy=8000,Translation=40000 --out r2[/cyan]
    [cyan]textgym benchmark --algos ppo,a2c --tasks Copy --algo-kwarg ppo.n_epochs=4 --kl 0.05 --out r3[/cyan]
    """
    ids = [options.resolve_id(name) for name in options.names(tasks)]
    env_kwargs = options.env_arguments(env_kwarg, reward=reward)
    policy_kwargs = options.pairs("--policy-kwarg", policy_kwarg)
    if temperature is not None:
        policy_kwargs["temperature"] = temperature

    from dataclasses import replace

    from textgym_agents.benchmark.config import BenchmarkConfig
    from textgym_agents.provenance import model_hash

    config = BenchmarkConfig(
        algos=tuple(options.names(algos)),
        tasks=_timesteps(timesteps, ids),
        seeds=seeds,
        model=model,
        eval_prompts=eval_prompts,
        split=split,
        n_envs=n_envs,
        kl=kl,
        lora=lora,
        env_kwargs=env_kwargs,
        policy_kwargs=policy_kwargs,
        algo_kwargs=options.pairs("--algo-kwarg", algo_kwarg),
        threads=threads,
    )
    _check(config)
    config = replace(config, model_hash=model_hash(model))
    _run(config, out, jobs)


def _timesteps(text: str, ids: list[str]) -> dict[str, int]:
    """Tokens of training for each id, from ``20000`` or ``Copy=8000,DataToText=40000``."""
    from textgym.errors import ConfigError

    found: dict[str, int] = {}
    for part in options.names(text):
        name, equals, number = part.rpartition("=")
        if not number.strip().isdigit() or int(number) < 1:
            raise ConfigError(f"--timesteps {text!r}: {part!r} is neither a number nor TASK=NUMBER.")
        for one in [options.resolve_id(name.strip())] if equals else ids:
            found[one] = int(number)
    strange, missing = [one for one in found if one not in ids], [one for one in ids if one not in found]
    if strange or missing:
        raise ConfigError(
            f"--timesteps {text!r} "
            + (
                f"names {', '.join(strange)}, which --tasks doesn't."
                if strange
                else f"says nothing of {', '.join(missing)}."
            )
        )
    return {one: found[one] for one in ids}


def _check(config: Any) -> None:
    """Raise ConfigError for what would make every run fail."""
    from textgym.errors import ConfigError

    options.check_model(config.model)
    for algo in config.algos:
        options.check_algorithm(algo)
        options.check_algo_kwargs(algo, config.for_algorithm(algo))
    for name in config.algo_kwargs:
        prefix, dot, _ = name.partition(".")
        if dot and prefix not in config.algos:
            named = ",".join(config.algos)
            raise ConfigError(f"--algo-kwarg {name} is for {prefix!r}, but --algos is {named!r}.")
    options.check_policy_kwargs(config.policy_kwargs)


def _run(config: Any, out: Path, jobs: int) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from textgym_agents.benchmark import report
    from textgym_agents.benchmark.launch import launch
    from textgym_agents.benchmark.store import ResultStore

    console = Console(stderr=True)
    store = ResultStore(out, config)
    running: list[str] = []
    columns = (
        TextColumn("runs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        job = bar.add_task("", total=len(config.run_keys()))

        def listen(event: str, key: Any, run: dict[str, Any] | None) -> None:
            if event == "started":
                running.append(str(key))
            elif str(key) in running:
                running.remove(str(key))
            if event == "finished" and run is not None:
                change = f"reward {run['before']['reward']:.3f} -> {run['after']['reward']:.3f}"
                console.print(f"{key}: {change} ({run['seconds']:.0f} s)", highlight=False)
            elif event != "started":
                console.print(f"{key}: {'finished earlier' if event == 'skipped' else event}", highlight=False)
            bar.update(job, description=", ".join(running), advance=0 if event == "started" else 1)

        try:
            runs = launch(store, jobs, listen)
        except KeyboardInterrupt:
            done = f"{len(store.runs())} of {len(config.run_keys())} runs are finished and kept"
            console.print(f"{done}; the same command goes on from there.", highlight=False)
            raise
    rows = report.write_report(out, config, runs)
    console = Console()
    console.print(
        f"held-out prompts, mean over {config.seeds} seeds, 95 % intervals of the difference", highlight=False
    )
    for table in report.terminal_tables(rows):
        console.print(table)
    console.print(f"report: {out / 'results.md'}", soft_wrap=True)
