"""How the text of options becomes ids and arguments, checked before anything slow begins."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from textgym.border import existing
from textgym.errors import ConfigError, ModelError, did_you_mean


def resolve_id(name: str) -> str:
    """The id that a user means: an id, one of ours without its beginning, or ``module:id``, whose module is imported.

    A name without a version means the newest.

    Raises:
        ConfigError: there is no such id.

    >>> resolve_id("Copy"), resolve_id("Copy-v0")
    ('textgym/Copy-v1', 'textgym/Copy-v0')
    """
    import gymnasium

    from textgym.registration import short_name, text_ids

    if name in gymnasium.registry:
        if str(gymnasium.registry[name].entry_point).startswith("gymnasium."):
            raise ConfigError(f"{name!r} is an environment of Gymnasium's own, without text. See: textgym list")
        return name
    module, colon, rest = name.partition(":")
    if colon:
        from textgym.plugins import load_plugins

        load_plugins([module], installed=False)
        if rest in gymnasium.registry:
            return rest
    ids = text_ids()
    ours = [one for one in ids if one.startswith("textgym/")]
    short = {one.removeprefix("textgym/"): one for one in ours} | {short_name(one): one for one in ours}
    by_case = {one.lower(): full for one, full in short.items()}
    if name.lower().removeprefix("textgym/") in by_case:
        return by_case[name.lower().removeprefix("textgym/")]
    raise ConfigError(
        f"No environment is called {name!r}. {did_you_mean(name, [*short, *ids])} See: textgym list. Is it your own? "
        "Name the module that registers it with --import."
    )


def resolve_task(name: str) -> str:
    """What :func:`resolve_id` gives, of a name that may have arguments of its environment in brackets.

    Raises:
        ConfigError: there is no such id, or the brackets hold no arguments.

    >>> resolve_task("Copy[max_new_tokens=8]")
    'textgym/Copy-v1[max_new_tokens=8]'
    """
    from textgym_agents.benchmark.composites import base, own_arguments, variant

    own = own_arguments(name, "task")
    for taken, why in (("split", "use --eval-split"), ("sampling", "commands choose it themselves")):
        if taken in own:
            raise ConfigError(f"{name}: {taken} is not possible in brackets: {why}.")
    return variant(resolve_id(base(name)), own)


def check_model(name: str | None) -> None:
    """Raise ModelError for a path that isn't there, before the hub is asked for a model of that name.

    None is the task's default model.
    """
    if name is None:
        return
    if not name.strip():
        raise ModelError(f"model is {name!r}, expected a name, a folder or a .gguf file.")
    path = Path(name).expanduser()
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or path.suffix == ".gguf"
    if looks_like_path and not existing(path):
        raise ModelError(f"There is no model at {name!r} (looked at {path.absolute()}).")


def pairs(option: str, values: Iterable[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` strings as a dict. A value that isn't JSON is taken as text.

    Raises:
        ConfigError: no equals sign, or a name that comes twice.

    >>> pairs("--env-kwarg", ["max_new_tokens=8", 'stop=["."]', "split=test"])
    {'max_new_tokens': 8, 'stop': ['.'], 'split': 'test'}
    """
    parsed: dict[str, Any] = {}
    for name, value in texts(option, values).items():
        try:
            parsed[name] = json.loads(value)
        except (ValueError, RecursionError):
            parsed[name] = value
    return parsed


def texts(option: str, values: Iterable[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` strings as a dict of texts.

    Raises:
        ConfigError: no equals sign, or a name that comes twice.

    >>> texts("--search", ["n_epochs=1,2"])
    {'n_epochs': '1,2'}
    """
    parsed: dict[str, str] = {}
    for text in values or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{option} {text!r}: expected NAME=VALUE, such as max_new_tokens=32.")
        if name.strip() in parsed:
            raise ConfigError(f"{option} {name.strip()} is given twice.")
        parsed[name.strip()] = value
    return parsed


def names(text: str) -> list[str]:
    """A comma-separated list.

    >>> names("ppo, a2c")
    ['ppo', 'a2c']
    """
    return [part.strip() for part in text.split(",") if part.strip()]


def column_names(text: str) -> dict[str, Any]:
    """The text of ``--columns``: a role and its column, or several columns joined by plus signs.

    Raises:
        ConfigError: it has another form.

    >>> column_names("prompt=en,references=de+fr")
    {'prompt': 'en', 'references': ['de', 'fr']}
    """
    by_role: dict[str, Any] = {}
    for part in names(text):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        several = [one.strip() for one in column.split("+")]
        if not equals or not role or not all(several) or role in by_role:
            raise ConfigError(f"--columns {text!r}: expected ROLE=COLUMN, such as prompt=en,references=de.")
        by_role[role] = several if len(several) > 1 else column
    return by_role


def held_out_part(
    task: str, env_kwargs: Mapping[str, Any], split: str, eval_split: str, chosen: bool
) -> tuple[str, str]:
    """The splits to train and to evaluate on: of a dataset that has just one, a tenth is held out, and that is said.

    Args:
        task: its id; tasks of others may not know of such parts.
        env_kwargs: arguments of the environment.
        split, eval_split: as given or by default.
        chosen: whether the user gave one of them, which then stay as they are.
    """
    dataset = env_kwargs.get("dataset")
    if chosen or dataset is None or not task.startswith("textgym/"):
        return split, eval_split
    from textgym.tasks.source import HELD_OUT, NOT_HELD_OUT, only_split

    only = only_split(dataset, env_kwargs.get("load_kwargs"))
    if only is None:
        return split, eval_split
    typer.echo(
        f"The dataset has one split, {only}: a tenth of its prompts is held out ({HELD_OUT}), the others are "
        f"{NOT_HELD_OUT}. --split and --eval-split choose otherwise.",
        err=True,
    )
    return NOT_HELD_OUT, HELD_OUT


def env_arguments(env_kwargs: Sequence[str] | None, **given: Any) -> dict[str, Any]:
    """The arguments of the environment: those of ``--env-kwarg`` and those ``given``, without the ones that are None.

    Raises:
        ConfigError: a reward that can't be read, or an argument that commands set themselves.
    """
    arguments = pairs("--env-kwarg", env_kwargs)
    for name, why in (("split", "use --split"), ("sampling", "commands choose it themselves")):
        if name in arguments:
            raise ConfigError(f"--env-kwarg {name} is not possible: {why}.")
    arguments |= _without_none(given)
    if isinstance(given.get("columns"), str):
        arguments["columns"] = column_names(given["columns"])
    _hide_token(arguments)
    if isinstance(arguments.get("reward"), str):
        arguments["reward"] = checked_reward(arguments["reward"])
    return arguments


def checked_reward(text: str) -> str:
    """The word "default", a formula, or ``module:function``, with ``file.py`` without its ending; else an error."""
    if text == "default":
        return text
    from textgym.importable import named, names_object

    module, _, function = text.rpartition(":")
    if not names_object(text):
        from textgym.rewards import parse_reward

        parse_reward(text)
        return text
    from textgym.plugins import load_plugins

    load_plugins([module], installed=False)
    name = f"{Path(module).stem if module.endswith('.py') else module}:{function}"
    if not callable(named(name)):
        raise ConfigError(f"--reward {text!r} names something that can't be called, expected a function of samples.")
    return name


def _hide_token(env_kwargs: dict[str, Any]) -> None:
    """Move a token for the hub into the process's environment, where its client looks, and so out of all files."""
    load_kwargs = env_kwargs.get("load_kwargs")
    if isinstance(load_kwargs, dict) and isinstance(load_kwargs.get("token"), str):
        os.environ["HF_TOKEN"] = load_kwargs["token"]
        env_kwargs["load_kwargs"] = {name: value for name, value in load_kwargs.items() if name != "token"}


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


def check_algo_kwargs(algo: str, kwargs: Mapping[str, Any]) -> None:
    """Raise ConfigError for an argument that the algorithm doesn't take, or that other options set."""
    from textgym_agents.algorithms import check_settings
    from textgym_agents.policies.limits import check_values

    for name in kwargs:
        if name in ("policy", "env", "policy_kwargs", "seed", "_init_setup_model"):
            raise ConfigError(f"--algo-kwarg {name} is not possible: other options set it.")
    check_settings(algo, kwargs)
    check_values(kwargs)


def check_policy_kwargs(kwargs: Mapping[str, Any], algos: Iterable[str] = ()) -> None:
    """Raise ConfigError for an argument that the policy doesn't take, that other options set, or that makes no sense.

    Args:
        kwargs: of the policy.
        algos: the algorithms, one of whose policies must take each. None of them: a policy that only evaluates.
    """
    from textgym_agents.algorithms import find
    from textgym_agents.algorithms.options import arguments
    from textgym_agents.policies.base import LanguageModelPolicy
    from textgym_agents.policies.limits import check_values

    taken = {"observation_space", "action_space", "lr_schedule", "use_sde", "model", "lora", "reference"}
    classes: set[Any] = {find(algo).policy for algo in algos} or {LanguageModelPolicy}
    valid = sorted({name for policy in classes for name in arguments(policy)} - taken)
    for name in kwargs:
        if name not in valid:
            raise ConfigError(f"--policy-kwarg: there is no argument {name!r}. {did_you_mean(name, valid)}")
    check_values(kwargs)
