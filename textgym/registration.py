"""The ids that ``gymnasium.make`` knows. The only place that joins a task with its default reward."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import gymnasium

from textgym.core import Prompt, Reward, Task, TextGenerationEnv
from textgym.errors import ConfigError, did_you_mean
from textgym.rules import DEFAULTS
from textgym.vector import TextGenerationVectorEnv

# Task name -> the class of its default reward in textgym.rewards, and that class's arguments.
TABLE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "DataToText": ("BLEU", ()),
    "Summarization": ("ROUGE", ("L",)),
    "Translation": ("BLEU", ()),
    "SentimentContinuation": ("Sentiment", ()),
    "Copy": ("ChrF", ()),
}

ENV_ARGUMENTS = (*DEFAULTS, "reward", "tokenizer", "render_mode")
VECTOR_ARGUMENTS = (*ENV_ARGUMENTS, "num_envs", "autoreset_mode", "copy")
DEFAULT = "default"  # reward="default": the task's own

TaskLike = Task | Sequence[Prompt]


def env_id(task_name: str) -> str:
    """The id of a built-in task.

    >>> env_id("Copy")
    'textgym/Copy-v0'
    """
    return f"textgym/{task_name}-v0"


def register_all() -> None:
    """Tell Gymnasium the ids of the built-in tasks. Calling it again changes nothing."""
    for name in TABLE:
        if env_id(name) not in gymnasium.registry:
            gymnasium.register(
                id=env_id(name),
                entry_point="textgym.registration:make_env",
                vector_entry_point="textgym.registration:make_vector_env",
                kwargs={"task_name": name},
            )


def default_reward(task_name: str) -> Reward:
    """The reward that a built-in task comes with."""
    from textgym import rewards

    name, arguments = TABLE[task_name]
    return cast(Reward, getattr(rewards, name)(*arguments))


def make_env(task_name: str, **kwargs: Any) -> TextGenerationEnv:
    """The environment of a built-in task: what ``gymnasium.make("textgym/<task_name>-v0", ...)`` calls.

    Takes the arguments of :class:`TextGenerationEnv` (tokenizer, max_new_tokens, ...), those of the task (split,
    dataset, columns, seed, ...), ``load_kwargs`` (a dict for ``datasets.load_dataset``), and ``reward``: a function of
    a batch of samples, text such as ``"0.7*bleu + 0.3*rouge"``, None for no reward, or "default".

    Raises:
        ConfigError: an argument is unknown or has a value that makes no sense.
    """
    task, reward, options = _resolve(task_name, kwargs, ENV_ARGUMENTS)
    return TextGenerationEnv(task, reward, **options)


def make_vector_env(task_name: str, num_envs: int = 1, **kwargs: Any) -> TextGenerationVectorEnv:
    """Many environments of a built-in task at once: what ``gymnasium.make_vec`` calls. Arguments as in ``make_env``."""
    task, reward, options = _resolve(task_name, kwargs, VECTOR_ARGUMENTS)
    return TextGenerationVectorEnv(num_envs, task, reward, **options)


def register(
    id: str,
    task: TaskLike | Callable[..., TaskLike],
    reward: "Reward | str | None" = None,
    **defaults: Any,
) -> None:
    """Join a task of your own with a reward under an id, so that ``gymnasium.make(id)`` works.

    Args:
        id: the id, such as "mine/Haiku-v0".
        task: a sequence of ``Prompt``, or a class or function that returns one. The named parameters of a class or
            function (``split``, ...) can be set in ``gymnasium.make``.
        reward: a function of a batch of samples, its text form, or None for no reward.
        **defaults: arguments of ``TextGenerationEnv`` that differ from their defaults, such as ``max_new_tokens=32``.

    >>> register("mine/Hi-v0", [Prompt("Say hi:", ("hi",))], max_prompt_tokens=16, max_new_tokens=8)
    >>> gymnasium.make("mine/Hi-v0").reset()[1]["prompt"]
    'Say hi:'
    """
    factory = cast("Callable[..., TaskLike] | None", task if _is_factory(task) else None)
    valid = (*ENV_ARGUMENTS, *(_parameters(factory) if factory else ()))
    _check(defaults, valid, id)

    def build(kwargs: dict[str, Any], arguments: Iterable[str]) -> tuple[TaskLike, Reward | None, dict[str, Any]]:
        options = {**defaults, **kwargs}
        names = _parameters(factory) if factory else ()
        _check(options, (*arguments, *names), id)
        own = {name: options.pop(name) for name in names if name in options}
        chosen = options.pop("reward", DEFAULT)
        chosen = reward if isinstance(chosen, str) and chosen == DEFAULT else chosen
        return (factory(**own) if factory else cast(TaskLike, task)), _as_reward(chosen), options

    def make(**kwargs: Any) -> TextGenerationEnv:
        made, chosen, options = build(kwargs, ENV_ARGUMENTS)
        return TextGenerationEnv(made, chosen, **options)

    def make_vector(num_envs: int = 1, **kwargs: Any) -> TextGenerationVectorEnv:
        made, chosen, options = build(kwargs, VECTOR_ARGUMENTS)
        return TextGenerationVectorEnv(num_envs, made, chosen, **options)

    # Functions rather than kwargs carry the task: Gymnasium deep-copies kwargs on every make.
    gymnasium.register(id=id, entry_point=make, vector_entry_point=make_vector)


def _resolve(
    task_name: str, kwargs: Mapping[str, Any], arguments: Iterable[str]
) -> tuple[TaskLike, Reward | None, dict[str, Any]]:
    """Sort arguments into task, reward and environment options."""
    from textgym.tasks import TASKS

    if task_name not in TASKS:
        raise ConfigError(f"No built-in task is called {task_name!r}. {did_you_mean(task_name, TASKS)}")
    factory: Any = TASKS[task_name]
    names = _parameters(factory)
    _check(kwargs, (*arguments, *names, "load_kwargs"), env_id(task_name))
    options = dict(kwargs)
    own = {name: options.pop(name) for name in names if name in options}
    own.update(options.pop("load_kwargs", None) or {})
    chosen = options.pop("reward", DEFAULT)
    is_default = isinstance(chosen, str) and chosen == DEFAULT
    return factory(**own), default_reward(task_name) if is_default else _as_reward(chosen), options


def _as_reward(reward: "Reward | str | None") -> Reward | None:
    if not isinstance(reward, str):
        return reward
    from textgym.rewards import parse_reward

    return cast(Reward, parse_reward(reward))


def _is_factory(task: object) -> bool:
    return callable(task) and (isinstance(task, type) or not hasattr(task, "__getitem__"))


def _parameters(factory: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a task's own arguments."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(name for name, value in inspect.signature(factory).parameters.items() if value.kind in named)


def _check(kwargs: Iterable[str], valid: Iterable[str], where: str) -> None:
    names = set(valid)
    for name in kwargs:
        if name not in names:
            listed = f"Valid arguments: {', '.join(sorted(names))}."
            raise ConfigError(f"{where} takes no argument {name!r}. {_closest(name, names)}{listed}")


def _closest(name: str, names: set[str]) -> str:
    sentence = did_you_mean(name, names)
    return f"{sentence} " if sentence.startswith("Did you mean") else ""
