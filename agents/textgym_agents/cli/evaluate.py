"""``textgym evaluate``: how good a model is at a task."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from textgym.metrics import METRICS, check_names
from textgym.registration import default_model
from textgym_agents.cli import arguments, options
from textgym_agents.cli.options import ENVIRONMENT, MODEL, option

NUM_SAMPLES = 3


def evaluate(
    context: typer.Context,
    task: options.Task,
    model: options.Model = None,
    num_prompts: Annotated[int, option("How many, from the first of the split on.", min=1)] = 200,
    split: Annotated[str, option("Where the prompts come from.", ENVIRONMENT)] = "test",
    deterministic: Annotated[
        bool, option("Greedy: the most probable token each time, not a sample.", MODEL, "--deterministic")
    ] = False,
    best_of: Annotated[
        int, option("Samples a prompt, of which the reward picks one: a bound, not a score.", MODEL, min=1)
    ] = 1,
    reward: options.Reward = None,
    metrics: Annotated[
        str | None, option("Names joined by commas, see list --metrics. Default: the task's own.")
    ] = None,
    seed: Annotated[int, option("Of sampling and intervals.", min=0, max=options.LARGEST_SEED)] = 0,
    plugins: options.Plugins = None,
    dataset: options.Dataset = None,
    columns: options.Columns = None,
    temperature: options.Temperature = None,
    max_new_tokens: options.MaxNewTokens = None,
    max_prompt_tokens: options.MaxPromptTokens = None,
    env_kwarg: options.EnvKwargs = None,
    policy_kwarg: options.PolicyKwargs = None,
    n_envs: options.NumEnvs = 32,
    file: Annotated[
        Path | None, option("Write everything, completions included, to a file.", None, "--json", metavar="FILE")
    ] = None,
) -> None:
    """Let a model complete held-out prompts and score the completions.

    Intervals are 95 % bootstrap intervals (BCa) over the prompts.

    [cyan]textgym evaluate DataToText[/cyan]
    [cyan]textgym evaluate DataToText --model runs/data-to-text/policy --metrics bleu,rougeL,coverage[/cyan]
    [cyan]textgym evaluate Summarization --model gpt2 --num-prompts 50 --deterministic --json gpt2.json[/cyan]
    """
    options.load_plugins(plugins, task, reward)
    env_id = arguments.resolve_id(task)
    env_kwargs = arguments.env_arguments(
        env_kwarg,
        reward=reward,
        dataset=dataset,
        columns=columns,
        max_new_tokens=max_new_tokens,
        max_prompt_tokens=max_prompt_tokens,
    )
    given = options.is_given(context, "split")
    _, split = arguments.held_out_part(env_id, env_kwargs, split, split, given)
    policy_kwargs = arguments.policy_arguments(policy_kwarg, temperature=temperature)
    wanted = None if metrics is None else arguments.names(metrics)
    check_names(wanted or ())
    arguments.check_model(model)
    model = default_model(env_id, env_kwargs) if model is None else model

    from stable_baselines3.common.utils import get_device

    from textgym_agents.evaluation.held_out import evaluate as play
    from textgym_agents.evaluation.held_out import load_policy
    from textgym_agents.evaluation.statistics import intervals
    from textgym_agents.report.provenance import versions

    arguments.check_policy_kwargs(policy_kwargs)
    options.quiet_libraries()
    policy = load_policy(model, env_id, env_kwargs, **policy_kwargs).to(get_device("auto"))
    result = play(
        policy,
        env_id,
        num_prompts,
        metrics=wanted,
        deterministic=deterministic,
        seed=seed,
        n_envs=n_envs,
        split=split,
        env_kwargs=env_kwargs,
        progress=True,
        best_of=best_of,
    )
    bounds = intervals(result.rewards, result.samples, result.metrics, seed=seed)
    console = Console()
    how = "greedy" if deterministic else "sampled" if best_of == 1 else f"best of {best_of} samples"
    console.print(Text(f"{env_id}, {model}, {num_prompts} prompts of {split}, {how}"), soft_wrap=True)
    console.print(_table(result, bounds))
    for sample, value in list(zip(result.samples, result.rewards, strict=True))[:NUM_SAMPLES]:
        console.print(_panel(sample, float(value)))
    if file is not None:
        _write(file, env_id, model, result, bounds, versions())
        console.print(f"written to {file}", markup=False)


def _table(result: Any, bounds: dict[str, tuple[float, float] | None]) -> Table:
    table = Table("measure")
    for name in ("value", "95 % interval"):
        table.add_column(name, justify="right")
    for name, value in result.summary().items():
        if name == "num_tokens" and result.metrics.get("length") == value:
            continue  # the metric has said so
        pair = bounds.get(name)
        between = "" if pair is None else f"{pair[0]:.4f} to {pair[1]:.4f}"
        table.add_row(Text(options.visible(name)), f"{value:.4f}", between, style="bold" if name == "reward" else "")
    for name, value in result.components.items() if len(result.components) > 1 else ():
        table.add_row(Text(options.visible(f"  part {name}")), f"{value:.4f}", "")
    return table


def _panel(sample: Any, value: float) -> Panel:
    text = Text(options.visible(sample.prompt), style="dim")
    text.append("\n" if sample.turns else "").append(options.visible(sample.transcript), "bold not dim")
    if sample.references:
        text.append("\nreference: ", "dim")
        text.append(options.visible(sample.references[0]), "green not dim")
    worth = "the reward abstained" if math.isnan(value) else f"reward {value:.3f}"
    return Panel(text, title=f"prompt {sample.prompt_id}, {worth}", title_align="left")


def _write(file: Path, env_id: str, model: str, result: Any, bounds: Any, versions: dict[str, str]) -> None:
    from textgym_agents.buffers.logged_turns import turns_as_json

    content = {
        "env": env_id,
        "model": model,
        "values": result.summary(),
        "signatures": {
            name: METRICS[name]().signature_of(result.samples) for name in result.metrics if name in METRICS
        },
        "intervals": bounds,
        "components": result.components,
        "samples": [
            {
                "prompt_id": sample.prompt_id,
                "prompt": sample.prompt,
                "completion": sample.completion,
                **({"turns": turns_as_json(sample.turns)} if sample.turns else {}),
                "references": list(sample.references),
                "finish_reason": sample.finish_reason,
                "reward": None if math.isnan(value) else float(value),  # the reward abstained
            }
            for sample, value in zip(result.samples, result.rewards, strict=True)
        ],
        "versions": versions,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
