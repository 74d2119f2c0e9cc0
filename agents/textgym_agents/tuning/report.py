"""The table of a search: ``results.md``, and what the command prints."""

from pathlib import Path
from typing import Any

from textgym.registration import short_name
from textgym_agents.report import markdown
from textgym_agents.report.provenance import versions
from textgym_agents.storage import write_atomically
from textgym_agents.tuning.config import TuneConfig
from textgym_agents.tuning.result import Trial, Tuning


def write_report(out: Path, config: TuneConfig, found: Tuning) -> Path:
    """Write ``results.md``: the initial model, the defaults, the best settings, then every trial. Returns its path."""
    space, defaults = config.space(), config.defaults()
    ordered = sorted(found.trials, key=lambda trial: (not trial.complete, -trial.score if trial.complete else 0))
    parts = [
        f"# {config.algo} on {short_name(config.task)}",
        f"{len(found.trials)} of {config.trials} trials, {config.tokens:,} tokens a run, {config.seeds} "
        f"seed{'s' * (config.seeds > 1)} each, {config.eval_prompts} prompts of {config.eval_split}.",
        markdown.table(("", "sampled", "greedy"), summary(found)),
        "## Trials",
        markdown.table(
            ("trial", "sampled", "greedy", "KL", *space),
            [_line(trial, {name: {**defaults, **trial.settings}.get(name) for name in space}) for trial in ordered],
        ),
        "Trial 0 has the defaults. Spaces: " + ", ".join(f"`{name}` {one}" for name, one in space.items()) + ".",
    ]
    if found.test is not None:
        parts += [
            "## Test split",
            f"Looked at once, after the search: trial {found.test['trial']} and the defaults with "
            f"{config.seeds} new seed{'s' * (config.seeds > 1)}, {config.eval_prompts} prompts.",
            markdown.table(("", "sampled", "greedy"), test_summary(found.test)),
        ]
    parts.append(
        f"Made by `{config.command()}` with "
        + ", ".join(f"{library} {version}" for library, version in versions().items())
        + "."
    )
    path = out / "results.md"
    write_atomically(path, "\n\n".join(parts) + "\n", "the report")
    return path


def summary(found: Tuning) -> list[tuple[str, str, str]]:
    """Rows for the initial model, the defaults and the best settings, on the prompts that the search goes by."""
    rows = [("initial model", _show(found.initial["sampled"]), _show(found.initial["greedy"]))]
    rows += [("defaults", *_rewards(trial)) for trial in found.trials[:1]]
    if any(trial.complete for trial in found.trials):
        rows.append((f"best: trial {found.best.number}", *_rewards(found.best)))
    return rows


def test_summary(test: Any) -> list[tuple[str, str, str]]:
    """The same rows on the test split."""
    rows = [("initial model", _show(test["initial"]["sampled"]), _show(test["initial"]["greedy"]))]
    for name, label in (("defaults", "defaults"), ("best", f"best: trial {test['trial']}")):
        sampled, greedy = (_show(_mean([run[how] for run in test[name]])) for how in ("sampled", "greedy"))
        rows.append((label, sampled, greedy))
    return rows


def settings_of(config: TuneConfig, trial: Trial) -> dict[str, Any]:
    """The values of all searched arguments in a trial, those of the defaults included."""
    values = {**config.defaults(), **trial.settings}
    return {name: values.get(name) for name in config.space()}


def _line(trial: Trial, settings: dict[str, Any]) -> tuple[str, ...]:
    kls = [run["kl"] for run in trial.runs if run.get("kl") is not None]
    if trial.failed:
        rewards = ("failed", next(run["error"] for run in trial.runs if run["reward"] is None))
    else:
        rewards = _rewards(trial)
        rewards = rewards if trial.complete else (f"{rewards[0]} (pruned)", rewards[1])
    return (
        str(trial.number),
        *rewards,
        f"{_mean(kls):.2f}" if kls else "",
        *map(_value, settings.values()),
    )


def _rewards(trial: Trial) -> tuple[str, str]:
    """Mean rewards, sampled and greedy."""
    return _show(trial.score), _show(_mean([run["greedy"] for run in trial.runs]))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _show(value: float) -> str:
    return f"{value:.3f}"


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
