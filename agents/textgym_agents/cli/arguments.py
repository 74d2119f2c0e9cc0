"""How the text of options becomes ids and arguments, checked before anything slow begins."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from textgym.errors import ConfigError, ModelError, did_you_mean


def resolve_id(name: str) -> str:
    """The id that a user means: an id, the middle of one of ours, or ``module:id``.

    Raises:
        ConfigError: there is no such id.

    >>> resolve_id("Copy")
    'textgym/Copy-v0'
    """
    import gymnasium

    from textgym.registration import text_ids

    if name in gymnasium.registry:
        return name
    module, colon, rest = name.partition(":")
    if colon:
        import importlib

        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(f"Can't import {module!r} of {name!r}: {error}.") from error
        if rest in gymnasium.registry:
            return name
    ids = text_ids()
    ours = sorted(one for one in ids if one.startswith("textgym/"))
    short = {one.removeprefix("textgym/").rpartition("-v")[0]: one for one in ours}
    by_case = {one.lower(): found for one, found in short.items()}
    if name.lower() in by_case:
        return by_case[name.lower()]
    raise ConfigError(
        f"No environment is called {name!r}. {did_you_mean(name, [*short, *ids])} See: textgym list. Is it your own? "
        "Name the module that registers it with --import."
    )


def check_model(name: str) -> None:
    """Raise ModelError for a path that isn't there, before the hub is asked for a model of that name."""
    from pathlib import Path

    path = Path(name).expanduser()
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or path.suffix == ".gguf"
    if looks_like_path and not path.exists():
        raise ModelError(f"There is no model at {name!r} (looked at {path.absolute()}).")


def pairs(option: str, values: Iterable[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` texts as a dict. A value that isn't JSON is taken as text.

    Raises:
        ConfigError: no equals sign, or a name that comes twice.

    >>> pairs("--env-kwarg", ["max_new_tokens=8", 'stop=["."]', "split=test"])
    {'max_new_tokens': 8, 'stop': ['.'], 'split': 'test'}
    """
    found: dict[str, Any] = {}
    for text in values or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{option} {text!r}: expected NAME=VALUE, such as max_new_tokens=32.")
        if name.strip() in found:
            raise ConfigError(f"{option} {name.strip()} is given twice.")
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value
    return found


def names(text: str) -> list[str]:
    """A comma-separated list.

    >>> names("ppo, a2c")
    ['ppo', 'a2c']
    """
    return [part.strip() for part in text.split(",") if part.strip()]


def env_arguments(env_kwargs: Sequence[str] | None, **given: Any) -> dict[str, Any]:
    """The arguments of the environment: those of ``--env-kwarg`` and those ``given``, without the ones that are None.

    Raises:
        ConfigError: a reward that can't be read, or an argument that commands set themselves.
    """
    found = pairs("--env-kwarg", env_kwargs)
    for name, why in (("split", "use --split"), ("sampling", "commands choose it themselves")):
        if name in found:
            raise ConfigError(f"--env-kwarg {name} is not possible: {why}.")
    found |= _without_none(given)
    if isinstance(found.get("reward"), str) and found["reward"] != "default":
        from textgym.rewards import parse_reward

        parse_reward(found["reward"])  # raises now, not after the model is loaded
    return found


def policy_arguments(policy_kwargs: Sequence[str] | None, **given: Any) -> dict[str, Any]:
    """The arguments of the policy, as :func:`env_arguments` those of the environment. Checks nothing yet."""
    return pairs("--policy-kwarg", policy_kwargs) | _without_none(given)


def algo_arguments(algo_kwargs: Sequence[str] | None, **given: Any) -> dict[str, Any]:
    """The arguments of the algorithm, as :func:`env_arguments` those of the environment. Checks nothing yet."""
    return pairs("--algo-kwarg", algo_kwargs) | _without_none(given)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def check_algorithm(name: str) -> None:
    """Raise ConfigError unless there is such an algorithm."""
    from textgym_agents.algorithms import find

    find(name)


def check_algo_kwargs(algo: str, kwargs: Iterable[str]) -> None:
    """Raise ConfigError for an argument that the algorithm doesn't take, or that other options set."""
    from textgym_agents.algorithms import check_settings

    kwargs = list(kwargs)
    for name in kwargs:
        if name in ("policy", "env", "policy_kwargs", "seed", "_init_setup_model"):
            raise ConfigError(f"--algo-kwarg {name} is not possible: other options set it.")
    check_settings(algo, kwargs)


def check_policy_kwargs(kwargs: Iterable[str]) -> None:
    """Raise ConfigError for an argument that the policy doesn't take, or that other options set."""
    import inspect

    from textgym_agents.algorithms import ALGORITHMS
    from textgym_agents.policies.base import LanguageModelPolicy

    taken = {"self", "args", "kwargs", "observation_space", "action_space", "lr_schedule", "use_sde", "model", "lora"}
    classes: set[Any] = {LanguageModelPolicy, *(row.policy for row in ALGORITHMS.values())}
    names = {name for policy in classes for name in inspect.signature(policy).parameters}
    valid = sorted(names - taken - {"reference"})
    for name in kwargs:
        if name not in valid:
            raise ConfigError(f"--policy-kwarg: there is no argument {name!r}. {did_you_mean(name, valid)}")
