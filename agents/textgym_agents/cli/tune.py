"""``textgym tune``: which settings of an algorithm learn most on a task."""

import json
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from textgym.registration import short_name
from textgym_agents.cli import arguments, options
from textgym_agents.cli.options import ALGORITHM, EVALUATION, option
from textgym_agents.storage import write_atomically


def tune(
    algo: Annotated[str, option("Algorithms joined by commas, each with as many trials.", ALGORITHM)],
    task: Annotated[str, option("An id, or its middle.", metavar="ID")],
    trials: Annotated[int, option("Settings to try; the first are the defaults.", min=1)] = 20,
    tokens: Annotated[int, option("Of each run.", min=1)] = 60_000,
    seeds: Annotated[int, option("Runs of each trial, whose mean counts.", min=1)] = 1,
    out: Annotated[
        Path | None, option("A folder for each algorithm in it. Default: runs/tune-TASK.", metavar="FOLDER")
    ] = None,
    search: Annotated[
        list[str] | None,
        options.pair("Try these values: learning_rate=1e-4:1e-2 or n_epochs=1,2,4.", ALGORITHM, "--search"),
    ] = None,
    test: Annotated[
        bool, option("At the end look at the test split, once, with the best settings.", EVALUATION, "--test")
    ] = False,
    prune: Annotated[
        bool, option("Leave out further seeds of a trial that begins below the median.", None, "--prune")
    ] = False,
    model: options.Model = None,
    n_envs: options.NumEnvs = 32,
    algo_kwarg: options.AlgoKwargs = None,
    policy_kwarg: options.PolicyKwargs = None,
    reward: options.Reward = None,
    env_kwarg: options.EnvKwargs = None,
    eval_prompts: options.EvalPrompts = 200,
    eval_split: options.EvalSplit = "validation",
    seed: Annotated[int, option("Of the search.", min=0, max=options.LARGEST_SEED)] = 0,
    threads: Annotated[int, option("Of torch. Changes results a little.", min=1)] = 1,
    plugins: options.Plugins = None,
) -> None:
    """Search an algorithm's settings with Optuna, on held-out prompts that are not the test split's.

    Needs the extra "tune". Every algorithm gets the same number of trials and tokens. All runs are kept in trials.jsonl
    of its folder, a table in results.md. Kill it whenever you like: the same command continues where it stopped.

    [cyan]textgym tune --algo ppo --task Copy --trials 20 --tokens 60000[/cyan]
    [cyan]textgym tune --algo rloo,grpo --task Summarization --trials 30 --seeds 3 --prune --test[/cyan]
    [cyan]textgym tune --algo ppo --task Copy --search learning_rate=1e-5:1e-2 --algo-kwarg n_epochs=4[/cyan]
    """
    named = options.load_plugins(plugins, task, reward)
    env_id = arguments.resolve_id(task)
    arguments.check_model(model)
    searched = arguments.texts("--search", search)
    algo_kwargs = arguments.algo_arguments(algo_kwarg)
    policy_kwargs = arguments.policy_arguments(policy_kwarg)
    env_kwargs = arguments.env_arguments(env_kwarg, reward=reward)
    names = arguments.names(algo)
    for name in names:
        arguments.check_algorithm(name)
        arguments.check_algo_kwargs(name, {n: value for n, value in algo_kwargs.items() if n != "kl_coef"})
    arguments.check_policy_kwargs(policy_kwargs, names)
    options.quiet_libraries()
    from textgym_agents.tuning import TuneConfig

    configs = [
        TuneConfig(
            algo=name,
            task=env_id,
            trials=trials,
            tokens=tokens,
            seeds=seeds,
            model=model or "",
            search=searched,
            algo_kwargs=algo_kwargs,
            env_kwargs=env_kwargs,
            policy_kwargs=policy_kwargs,
            n_envs=n_envs,
            eval_prompts=eval_prompts,
            eval_split=eval_split,
            prune=prune,
            seed=seed,
            threads=threads,
            plugins=named,
        )
        for name in names
    ]
    for config in configs:
        config.space()  # what is wrong with one shows before another has run for hours
    folder = Path("runs") / f"tune-{short_name(env_id)}" if out is None else out
    best = {config.algo: _run(config, folder / config.algo, test) for config in configs}
    write_atomically(folder / "settings.json", json.dumps(best, indent=2) + "\n", "the best settings")
    note = f"for textgym benchmark: --settings {folder / 'settings.json'}"
    Console().print(note, markup=False, highlight=False, soft_wrap=True)


def _run(config: Any, folder: Path, test: bool) -> dict[str, Any]:
    """Search for one algorithm. Returns the best settings."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from textgym_agents.tuning import tune as run
    from textgym_agents.tuning.report import settings_of, summary, test_summary

    log = Console(stderr=True)
    columns = (TextColumn(config.algo), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=log, transient=True, disable=not log.is_terminal) as bar:
        job = bar.add_task("", total=config.trials * config.seeds)

        def listen(one: dict[str, Any]) -> None:
            bar.update(job, completed=one["trial"] * config.seeds + one["seed"] + 1)
            what = f"{one['seconds']:.0f} s: {one['reward']:.3f}" if one["reward"] is not None else one["error"]
            settings = ", ".join(f"{name}={value}" for name, value in one["settings"].items()) or "the defaults"
            log.print(
                f"{config.algo} trial {one['trial']} seed {one['seed']}, {what} with {settings}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

        try:
            found = run(config, folder, test=test, listen=listen)
        except KeyboardInterrupt:
            log.print("What has run is kept; the same command continues from there.", markup=False, highlight=False)
            raise
    console = Console()
    what = f"{config.algo} on {short_name(config.task)}, {len(found.trials)} trials of {config.tokens:,} tokens"
    console.print(f"{what}, prompts of {config.eval_split}", markup=False, highlight=False)
    console.print(_table(summary(found)))
    if found.test is not None:
        console.print("test split, new seeds")
        console.print(_table(test_summary(found.test)))
    settings = settings_of(config, found.best)
    best = " ".join(f"--algo-kwarg {name}={_plain(value)}" for name, value in settings.items())
    console.print(f"best: {best}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"all trials: {folder / 'results.md'}", markup=False, highlight=False, soft_wrap=True)
    return settings


def _table(rows: list[tuple[str, str, str]]) -> Table:
    table = Table("")
    for name in ("sampled", "greedy"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(Text(options.visible(cell)) for cell in row))
    return table


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
