"""The ids that ``gymnasium.make`` knows. The only place that joins a task with its default reward."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import gymnasium

from textgym.core import Prompt, Reward, Task, TextGenerationEnv
from textgym.errors import ConfigError, UnknownArgumentError, did_you_mean
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


def short_name(env_id: str) -> str:
    """``DataToText`` for ``textgym/DataToText-v0``; other ids stay as they are.

    >>> short_name("textgym/Copy-v0"), short_name("textgym/Copy-v1"), short_name("mine/Haiku-v0")
    ('Copy', 'textgym/Copy-v1', 'mine/Haiku-v0')
    """
    if env_id.startswith("textgym/") and env_id.endswith("-v0"):
        return env_id.removeprefix("textgym/").removesuffix("-v0")
    return env_id


def text_ids() -> list[str]:
    """The ids of the built-in tasks, then those that :func:`register` has added.

    >>> text_ids()[0]
    'textgym/DataToText-v0'
    """
    built_in = "textgym.registration:make_env"
    return [
        id
        for id, spec in gymnasium.registry.items()
        if spec.entry_point == built_in or isinstance(spec.entry_point, _Entry)
    ]


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
    """What ``gymnasium.make_vec`` calls: one seed gives other prompts here than in its modes "sync" and "async".

    Those seed row i with seed + i, so ``reset(seed=[seed, seed + 1, ...])`` gives the same prompts in all three modes.
    Arguments as in ``make_env``, and those of :class:`TextGenerationVectorEnv`.
    """
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
    _check(defaults, (*ENV_ARGUMENTS, *_own_arguments(task)), id)
    entry: Any = _Entry(id, task, reward, defaults)
    gymnasium.register(id=id, entry_point=entry, vector_entry_point=replace(entry, vector=True))


@dataclass(frozen=True)
class _Entry:
    """Makes the environments of a registered task. An object, not a function, so that an environment's spec pickles."""

    id: str
    task: TaskLike | Callable[..., TaskLike]
    reward: "Reward | str | None"
    defaults: Mapping[str, Any]
    vector: bool = False

    def __call__(self, **kwargs: Any) -> TextGenerationEnv | TextGenerationVectorEnv:
        options = {**self.defaults, **kwargs}
        names = _own_arguments(self.task)
        _check(options, (*(VECTOR_ARGUMENTS if self.vector else ENV_ARGUMENTS), *names), self.id)
        own = {name: options.pop(name) for name in names if name in options}
        chosen = options.pop("reward", DEFAULT)
        reward = _as_reward(self.reward if isinstance(chosen, str) and chosen == DEFAULT else chosen)
        task = cast("Callable[..., TaskLike]", self.task)(**own) if _is_factory(self.task) else self.task
        if self.vector:
            return TextGenerationVectorEnv(options.pop("num_envs", 1), cast(TaskLike, task), reward, **options)
        return TextGenerationEnv(cast(TaskLike, task), reward, **options)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Entry":
        return self  # Gymnasium copies the spec on every make; the task is not to be copied with it


def split_argument(id: str, split: str) -> dict[str, Any]:
    """``{"split": split}`` where the id's task has splits, else nothing: a list of prompts of your own has none.

    >>> split_argument("textgym/Copy-v0", "test")
    {'split': 'test'}
    """
    entry = gymnasium.spec(id).entry_point
    return {} if isinstance(entry, _Entry) and "split" not in _own_arguments(entry.task) else {"split": split}


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


def _own_arguments(task: object) -> tuple[str, ...]:
    """The arguments that a registered task takes in ``gymnasium.make``."""
    return _parameters(cast("Callable[..., Any]", task)) if _is_factory(task) else ()


def _parameters(factory: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a task's own arguments."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(name for name, value in inspect.signature(factory).parameters.items() if value.kind in named)


def _check(kwargs: Iterable[str], valid: Iterable[str], where: str) -> None:
    names = set(valid)
    for name in kwargs:
        if name not in names:
            listed = f"Valid arguments: {', '.join(sorted(names))}."
            raise UnknownArgumentError(
                f"{where} got an unexpected keyword argument {name!r}. {_closest(name, names)}{listed}"
            )


def _closest(name: str, names: set[str]) -> str:
    sentence = did_you_mean(name, names)
    return f"{sentence} " if sentence.startswith("Did you mean") else ""
