"""What Optuna has of earlier trials, and what it suggests for the next."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from textgym_agents.algorithms.search import Choice, Range
from textgym_agents.tuning.config import TuneConfig
from textgym_agents.tuning.result import Trial

STARTUP = 8  # trials at random before the sampler models them
Pruner = Callable[[list[float]], bool]


def suggestion(config: TuneConfig, number: int, earlier: Sequence[Trial]) -> tuple[dict[str, Any], Pruner]:
    """The settings of a trial, and what says of its first rewards whether to leave out the other seeds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = config.space()
    defaults = {name: value for name, value in config.defaults().items() if name in space}
    distributions = {name: _distribution(one) for name, one in space.items()}
    seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    for trial in earlier:
        known = _known(trial, defaults, distributions)
        if known is not None:
            study.add_trial(known)
    asked = study.ask(distributions)

    def pruned(rewards: list[float]) -> bool:
        asked.report(float(np.mean(rewards)), len(rewards))
        return bool(asked.should_prune())

    return {name: _tidy(asked.params[name], one) for name, one in space.items()}, pruned


def _known(trial: Trial, defaults: Mapping[str, Any], distributions: Mapping[str, Any]) -> Any:
    """A finished trial in Optuna's form; None for defaults that a space can't hold, such as 0 in a logarithmic one."""
    import optuna

    params = {**defaults, **trial.settings}
    try:
        fits = all(one._contains(one.to_internal_repr(params[name])) for name, one in distributions.items())
    except (TypeError, ValueError):
        fits = False
    if not fits:
        return None
    rewards = [run["reward"] for run in trial.runs if run["reward"] is not None]
    states = optuna.trial.TrialState
    return optuna.trial.create_trial(
        params=params,
        distributions=dict(distributions),
        state=states.FAIL if trial.failed else states.COMPLETE if trial.complete else states.PRUNED,
        value=trial.score if trial.complete else None,
        intermediate_values={n: float(np.mean(rewards[:n])) for n in range(1, len(rewards) + 1)},
    )


def _distribution(space: Range | Choice) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(space, Choice):
        return CategoricalDistribution(space.values)
    return FloatDistribution(space.low, space.high, log=True)


def _tidy(value: Any, space: Range | Choice) -> Any:
    """A number of a range with three digits."""
    return value if isinstance(space, Choice) else min(max(float(f"{value:.3g}"), space.low), space.high)
