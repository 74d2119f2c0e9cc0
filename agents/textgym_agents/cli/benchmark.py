"""``textgym benchmark``: which algorithm learns what."""

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from textgym.errors import ConfigError
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.cli import options
from textgym_agents.cli.benchmark_plan import DEFAULT_TIMESTEPS, configured
from textgym_agents.cli.options import ALGORITHM, ENVIRONMENT, option


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
        option(
            "Tasks, tokens and settings by one name: probe, text, goodhart, dialogue, cloned or families. Other "
            "options replace single values."
        ),
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
    earlier: Annotated[
        Path | None,
        option(
            "Don't do runs again that this folder or file has, such as agents/results/text-v1.jsonl.gz, with the same "
            "configuration and model.",
            None,
            "--from",
            metavar="FILE",
        ),
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
    model: options.Model = None,
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
    _run(config, _folder(out, suite), jobs, retry, ray, pack, earlier)


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


def _folder(out: Path | None, suite: str | None) -> Path:
    if out is None and suite is None:
        raise ConfigError("Name the folder for results with --out; only with --suite it can be left out.")
    return Path("runs") / f"benchmark-{suite}" if out is None else out


def _default_jobs(suite: str | None, threads: int) -> int:
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if suite is None else max(1, cores // threads)


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
    config: BenchmarkConfig,
    out: Path,
    jobs: int | None,
    retry: bool,
    ray: str | None,
    packed: Path | None,
    earlier: Path | None,
) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from textgym_agents.benchmark import report
    from textgym_agents.benchmark.launch import launch
    from textgym_agents.benchmark.pack import pack
    from textgym_agents.benchmark.places import BenchmarkError
    from textgym_agents.benchmark.store import LOGS, ResultStore, key_of
    from textgym_agents.leaderboard.results import load

    console = Console(stderr=True)
    taken = [] if earlier is None else load(earlier).runs
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
            runs = launch(store, jobs, listen, retry=retry, ray=ray, earlier=taken)
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
