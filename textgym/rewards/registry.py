"""Rewards by name: the table that formulas, ``gymnasium.make(reward=...)`` and the command line read."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from textgym.core import Reward
from textgym.errors import ConfigError, TextGymError, did_you_mean
from textgym.rewards.base import BatchReward
from textgym.rewards.functions import as_reward

RewardFactory = Callable[..., Reward]

REWARDS: dict[str, RewardFactory] = {}  # name -> what makes the reward; the built-in ones are in textgym.rewards

_NAME = re.compile(r"[A-Za-z_]\w*")  # what a formula reads as a name
_TAKEN = ("default",)  # gymnasium.make(reward="default") is the task's own


def register_reward(name: str, factory: RewardFactory) -> None:
    """Give a reward a name, which formulas, ``gymnasium.make(reward=...)`` and the command line then accept.

    Registering the same object again changes nothing.

    Args:
        name: letters, digits and ``_``, not beginning with a digit. Formulas ignore case.
        factory: a class, or a function without arguments that returns a reward. It is called whenever the reward is
            made, not now.

    Raises:
        ConfigError: the name is taken or is none in a formula, or the factory can't be called without arguments.

    >>> from textgym.rewards import parse_reward, reward
    >>> @reward
    ... def one_sentence(sample):
    ...     return float(sample.completion.count(".") == 1)
    >>> register_reward("one_sentence", lambda: one_sentence)
    >>> parse_reward("0.8*bleu + 0.2*one_sentence")
    0.8 * BLEU() + 0.2 * reward(one_sentence)
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        raise ConfigError(
            f"name={name!r} can't name a reward, expected letters, digits and '_', not beginning with a digit, and not "
            f"{' or '.join(map(repr, _TAKEN))}."
        )
    if not callable(factory) or isinstance(factory, BatchReward):
        raise ConfigError(
            f"The reward {name!r} got {factory!r}, expected what makes it: a class, or a function without arguments. "
            f"For a reward that is already made: register_reward({name!r}, lambda: my_reward)."
        )
    if needed := needed_arguments(factory):
        raise ConfigError(
            f"The reward {name!r} can't be made by its name, its factory needs {', '.join(needed)}. Give them: "
            f"register_reward({name!r}, functools.partial(factory, {needed[0]}=...))."
        )
    known = next((other for other in REWARDS if other.lower() == name.lower()), None)
    if known is not None and REWARDS[known] is not factory:
        raise ConfigError(f"There is a reward {known!r} already, made by {describe(known)[0]}. Choose another name.")
    REWARDS[name if known is None else known] = factory


def make_reward(name: str, *arguments: Any, **named: Any) -> BatchReward:
    """The reward of this name, case ignored, with arguments of its factory.

    Raises:
        ConfigError: there is none, the arguments aren't those that it takes, or its factory made something else than a
            reward.

    >>> make_reward("rougel"), make_reward("length", maximum=20)
    (ROUGE('L'), Length(maximum=20))
    """
    known = next((other for other in REWARDS if other.lower() == name.lower()), None)
    if known is None:
        raise ConfigError(
            f"No reward is called {name!r}. {did_you_mean(name, formula_names())} One of your own: "
            "textgym.register_reward, and on the command line --import its module."
        )
    factory, given = REWARDS[known], bool(arguments or named)
    if not given and (needed := needed_arguments(factory)):
        how = f"In a formula: {known}({needed[0]}=...). Or make" if len(needed) == 1 else "Make"
        raise ConfigError(
            f"The reward {known!r} can't be made by its name, it needs {', '.join(needed)}. {how} it in Python, "
            f"{describe(known)[0]}, and pass the object."
        )
    if given:
        _check_arguments(known, factory, arguments, named)
    try:
        made = factory(*arguments, **named)
    except TextGymError:
        raise
    except (TypeError, ValueError) as error:
        if not given:
            raise
        raise ConfigError(f"The reward {known!r} can't be made with {_written(arguments, named)}: {error}") from error
    if not callable(made) or isinstance(made, type):
        raise ConfigError(f"The factory of the reward {known!r} made {made!r}, expected a function of samples.")
    return as_reward(made)


def _check_arguments(name: str, factory: RewardFactory, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raise ConfigError for arguments that the factory doesn't take."""
    try:
        signature = inspect.signature(factory)
    except ValueError:
        return
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        takes = list(signature.parameters)
        unknown = [key for key in named if key not in takes]
        hint = did_you_mean(unknown[0], takes) if unknown else f"It takes {', '.join(takes) or 'no arguments'}."
        raise ConfigError(
            f"The reward {name!r} can't be made with {_written(arguments, named)}: {error}. {hint}"
        ) from None


def _written(arguments: Sequence[Any], named: Mapping[str, Any]) -> str:
    return ", ".join([*map(repr, arguments), *(f"{key}={value!r}" for key, value in named.items())])


def formula_names() -> list[str]:
    """The names that make a reward by themselves, without arguments."""
    return [name for name, factory in REWARDS.items() if not needed_arguments(factory)]


def needed_arguments(factory: RewardFactory) -> list[str]:
    """The arguments without which the factory can't be called."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    try:
        parameters = inspect.signature(factory).parameters.items()
    except ValueError:  # some of Python's own callables have no signature
        return []
    return [name for name, value in parameters if value.default is value.empty and value.kind not in variadic]


def class_of(factory: RewardFactory) -> Any:
    """The class or function behind a factory: what to read the documentation of.

    >>> class_of(REWARDS["rougeL"]).__name__
    'ROUGE'
    """
    return class_of(factory.func) if isinstance(factory, partial) else factory


def describe(name: str) -> tuple[str, str]:
    """How a named reward is made in Python, and the first line of its documentation. Makes nothing.

    >>> describe("rougeL")[0], describe("judge")[0]
    ("ROUGE('L')", 'LLMJudge(criteria, backend)')
    """
    factory = REWARDS[name]
    parts = list(needed_arguments(factory))
    if isinstance(factory, partial):
        parts = [*map(repr, factory.args), *(f"{key}={value!r}" for key, value in factory.keywords.items()), *parts]
    cls = class_of(factory)
    call = f"{getattr(cls, '__name__', repr(cls))}({', '.join(parts)})"
    return call, (cls.__doc__ or "").strip().partition("\n")[0].replace("``", "")
