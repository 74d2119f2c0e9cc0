"""The ids that ``gymnasium.make`` accepts. The only place that joins a task with its default reward."""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import gymnasium
from gymnasium.envs.registration import EnvSpec, find_highest_version, get_env_id, load_env_creator, parse_env_id

from textgym.core import Prompt, Reward, Task
from textgym.env import TextGenerationEnv
from textgym.errors import ConfigError, UnknownArgumentError, did_you_mean
from textgym.importable import name_of, named, names_object
from textgym.plugins import load_plugins
from textgym.rewards import parse_reward
from textgym.rules import DEFAULTS
from textgym.tasks import CONVERSATIONS, OPT_IN, PROBES, TASKS
from textgym.tokenizer import model_of
from textgym.vector import TextGenerationVectorEnv

ENV_ARGUMENTS = (*DEFAULTS, "reward", "tokenizer", "render_mode", "partner")
OF_VECTORS_ALONE = ("num_envs", "autoreset_mode", "copy")  # which gymnasium.make_vec or an algorithm's maker sets
VECTOR_ARGUMENTS = (*ENV_ARGUMENTS, *OF_VECTORS_ALONE)
DEFAULT = "default"  # reward="default": the task's own
BUILT_IN, REGISTERED = "textgym.registration:make_env", "textgym.registration:make_registered"

TaskLike = Task | Sequence[Prompt]


def built_in_tasks() -> dict[str, Callable[..., TaskLike]]:
    """The classes of the built-in tasks by name: of one turn, of several, and the probes."""
    return {**TASKS, **OPT_IN, **CONVERSATIONS, **PROBES}


def versions(task_name: str) -> tuple[int, ...]:
    """The versions of a built-in task's id, the newest first. Version 1 has the task's ``guarded_reward``.

    >>> versions("Copy"), versions("DataToText")
    ((1, 0), (0,))
    """
    return (1, 0) if getattr(TASKS.get(task_name), "guarded_reward", None) is not None else (0,)


def env_id(task_name: str, version: int | None = None) -> str:
    """The id of a built-in task, by default the newest.

    >>> env_id("Copy"), env_id("Copy", 0)
    ('textgym/Copy-v1', 'textgym/Copy-v0')
    """
    return f"textgym/{task_name}-v{versions(task_name)[0] if version is None else version}"


def built_in_versions() -> list[tuple[str, int]]:
    """The names of the built-in tasks with each of their versions, the newest first."""
    return [(name, version) for name in built_in_tasks() for version in versions(name)]


def short_name(env_id: str) -> str:
    """``DataToText`` for the newest version of ``textgym/DataToText``; an older one keeps its number.

    >>> short_name("textgym/Copy-v1"), short_name("textgym/Copy-v0"), short_name("mine/Haiku-v0")
    ('Copy', 'Copy-v0', 'mine/Haiku-v0')
    """
    if not env_id.startswith("textgym/"):
        return env_id
    short = env_id.removeprefix("textgym/")
    return short.rpartition("-v")[0] or short if newest_id(env_id) == env_id else short


def newest_id(id: str) -> str:
    """The newest version of an id that may have one; an id that is registered without a version is itself the newest.

    >>> newest_id("textgym/Copy"), newest_id("textgym/Copy-v0"), newest_id("mine/Haiku-v0")
    ('textgym/Copy-v1', 'textgym/Copy-v1', 'mine/Haiku-v0')
    """
    namespace, name, version = parse_env_id(id)
    newest = None if version is None and id in gymnasium.registry else find_highest_version(namespace, name)
    return id if newest is None else get_env_id(namespace, name, newest)


def text_ids() -> list[str]:
    """The ids of the built-in tasks, then those that :func:`register` has added. An older version follows the newest.

    >>> text_ids()[:3]
    ['textgym/DataToText-v0', 'textgym/Summarization-v1', 'textgym/Summarization-v0']
    """
    made_by = (BUILT_IN, REGISTERED)
    return [
        id
        for id, spec in gymnasium.registry.items()
        if spec.entry_point in made_by or isinstance(spec.entry_point, _Entry)
    ]


def register_all() -> None:
    """Register the ids of the built-in tasks with Gymnasium. Calling it again changes nothing."""
    for name, version in built_in_versions():
        if env_id(name, version) not in gymnasium.registry:
            gymnasium.register(
                id=env_id(name, version),
                entry_point=BUILT_IN,
                vector_entry_point="textgym.registration:make_vector_env",
                kwargs={"task_name": name, **({"version": version} if version else {})},
            )


def make_env(task_name: str, version: int = 0, **kwargs: Any) -> TextGenerationEnv:
    """The environment of a built-in task: what ``gymnasium.make("textgym/<task_name>-v<version>", ...)`` calls.

    Takes the arguments of :class:`TextGenerationEnv` (tokenizer, max_new_tokens, ...), those of the task (split,
    dataset, load_kwargs, columns, seed, ...), and ``reward``: a function of a batch of samples, a formula such as
    ``"0.7*bleu + 0.3*rougeL"``, the name that imports a function, such as ``"my_module:my_reward"``, None for no
    reward, or "default".

    Raises:
        ConfigError: an argument is unknown or has a value that makes no sense.
    """
    return cast(TextGenerationEnv, _built_in(task_name, version)(**kwargs))


def make_vector_env(task_name: str, num_envs: int = 1, version: int = 0, **kwargs: Any) -> TextGenerationVectorEnv:
    """What ``gymnasium.make_vec`` calls: one seed gives other prompts here than in its modes "sync" and "async".

    Those seed row i with seed + i, so ``reset(seed=[seed, seed + 1, ...])`` gives the same prompts in all three modes.
    Arguments as in ``make_env``, and those of :class:`TextGenerationVectorEnv`.
    """
    return cast(
        TextGenerationVectorEnv, replace(_built_in(task_name, version), vector=True)(num_envs=num_envs, **kwargs)
    )


def register(
    id: str,
    task: TaskLike | Callable[..., TaskLike],
    reward: "Reward | str | None" = DEFAULT,
    **defaults: Any,
) -> None:
    """Join a task of your own with a reward under an id, for ``gymnasium.make`` and the command line.

    Args:
        id: the id, such as "mine/Haiku-v0".
        task: a sequence of ``Prompt``, or a class or function that returns one. The named parameters of a class or
            function (``split``, ...) can be set in ``gymnasium.make``.
        reward: a function of a batch of samples, a formula, None for no reward, or "default": the formula in the task's
            attribute ``default_reward``, and no reward if it has none. A formula, and a task and a function that a
            module defines, make a spec that can be written as JSON: ``env.spec.to_json()``.
        **defaults: arguments of ``TextGenerationEnv`` that differ from their defaults, such as ``max_new_tokens=32``.

    Raises:
        ConfigError: the id is one of the built-in tasks, or a default is no argument of the environment.

    >>> register("mine/Hi-v0", [Prompt("Say hi:", ("hi",))], max_prompt_tokens=16, max_new_tokens=8)
    >>> gymnasium.make("mine/Hi-v0").reset()[1]["prompt"]
    'Say hi:'
    """
    if id in {env_id(*one) for one in built_in_versions()}:
        raise ConfigError(f"{id} is a built-in environment. Choose another id, such as 'mine/{id.partition('/')[2]}'.")
    _check(defaults, (*ENV_ARGUMENTS, *_own_arguments(task)), id)
    names = {"task": name_of(task), "reward": reward if isinstance(reward, str | None) else name_of(reward)}
    if names["task"] is not None and (reward is None or names["reward"] is not None) and _is_json(defaults):
        kwargs = {"registration": {"id": id, **names, "defaults": defaults}}
        gymnasium.register(id=id, entry_point=REGISTERED, vector_entry_point=f"{REGISTERED}_vector", kwargs=kwargs)
        return
    entry: Any = _Entry(id, task, reward, defaults)
    gymnasium.register(id=id, entry_point=entry, vector_entry_point=replace(entry, vector=True))


def make_registered(registration: Mapping[str, Any], **kwargs: Any) -> TextGenerationEnv:
    """The environment of a registered task and reward that a module defines, given by name."""
    return cast(TextGenerationEnv, _registered(registration)(**kwargs))


def make_registered_vector(registration: Mapping[str, Any], **kwargs: Any) -> TextGenerationVectorEnv:
    """Many of them at once."""
    return cast(TextGenerationVectorEnv, replace(_registered(registration), vector=True)(**kwargs))


def task_of(id: str) -> TaskLike | Callable[..., TaskLike]:
    """What an id of ours plays: a sequence of prompts, or the class or function that makes it.

    Raises:
        ConfigError: the id is none of ours.

    >>> task_of("textgym/Copy-v1").__name__
    'Copy'
    """
    return _entry(id).task


def default_reward(id: str) -> Reward | None:
    """The reward that an id of ours comes with, or None.

    Raises:
        ConfigError: the id is none of ours.

    >>> default_reward("textgym/Copy-v1"), default_reward("textgym/Copy-v0")
    (BLEU(), ChrF())
    """
    return _entry(id).made_reward()


def default_model(id: str, env_kwargs: Mapping[str, Any] | None = None) -> str:
    """The model that plays an id where the user names none: what the task's class says as ``default_model``.

    A function that makes tasks may have the attribute, too. Of an id that isn't ours: ``textgym/small``.

    Args:
        id: with or without its version.
        env_kwargs: arguments that it will be made with. ``form="seq2seq"`` is for the encoder-decoder in its place.

    >>> default_model("textgym/Copy"), default_model("textgym/Copy-v1", {"form": "seq2seq"})
    ('textgym/small', 'textgym/small-seq2seq')
    """
    try:
        task: object = _entry(spec_of(id).id).task
    except (ConfigError, gymnasium.error.Error):
        task = None
    return model_of(task, "seq2seq" if (env_kwargs or {}).get("form") == "seq2seq" else "causal")


@dataclass(frozen=True)
class _Entry:
    """Makes the environments of one id. An object, not a function, so that an environment's spec pickles."""

    id: str
    task: TaskLike | Callable[..., TaskLike]
    reward: "Reward | str | None" = DEFAULT
    defaults: Mapping[str, Any] = field(default_factory=dict)
    vector: bool = False

    def __call__(self, **kwargs: Any) -> TextGenerationEnv | TextGenerationVectorEnv:
        options = {**self.defaults, **kwargs}
        names = _own_arguments(self.task)
        _check(options, (*(VECTOR_ARGUMENTS if self.vector else ENV_ARGUMENTS), *names), self.id)
        own = {name: options.pop(name) for name in names if name in options}
        chosen = options.pop("reward", DEFAULT)
        self._check_opt_in(own)
        self._check_world(chosen, own)
        reward = self.made_reward(chosen)
        task = cast("Callable[..., TaskLike]", self.task)(**own) if _is_factory(self.task) else self.task
        if self.vector:
            return TextGenerationVectorEnv(options.pop("num_envs", 1), cast(TaskLike, task), reward, **options)
        return TextGenerationEnv(cast(TaskLike, task), reward, **options)

    def made_reward(self, chosen: "Reward | str | None" = DEFAULT) -> Reward | None:
        """The reward chosen in ``gymnasium.make``; by default the one registered, and by default the task's own."""
        for default in (self.reward, getattr(self.task, "default_reward", None)):
            if isinstance(chosen, str) and chosen == DEFAULT:
                chosen = default
        if not isinstance(chosen, str):
            return chosen
        return cast(Reward, named(chosen) if names_object(chosen) else parse_reward(chosen))

    def _check_opt_in(self, own: Mapping[str, Any]) -> None:
        """A task that runs what a policy writes has no environment until someone says so."""
        argument = getattr(self.task, "opt_in", "")
        if argument and own.get(argument) is not True:
            raise ConfigError(
                f"{self.id} runs programs that a policy writes, each in a child process that can only compute. Say "
                f"that you want that: gymnasium.make({self.id!r}, {argument}=True), or --env-kwarg {argument}=true."
            )

    def _check_world(self, chosen: "Reward | str | None", own: Mapping[str, Any]) -> None:
        """A guarded reward whose model was trained on the small world alone would be 0 for every text of a dataset."""
        task: Any = self.task
        needs = getattr(task, "needs_world", "") and self.reward == (task.guarded_reward or DEFAULT)
        if needs and isinstance(chosen, str) and chosen == DEFAULT and own.get("dataset") is not None:
            raise ConfigError(
                f"The default reward of {self.id}, {task.guarded_reward or task.default_reward}, suits the small "
                "world's prompts alone: its model or its rule is for no other texts. With a dataset, pass a reward, "
                f"such as reward={task.needs_world!r}."
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Entry":
        return self  # Gymnasium copies the spec on every make; the task is not to be copied with it


def _built_in(task_name: str, version: int = 0) -> _Entry:
    tasks = built_in_tasks()
    if task_name not in tasks:
        raise ConfigError(f"No built-in task is called {task_name!r}. {did_you_mean(task_name, tasks)}")
    task: Any = tasks[task_name]
    return _Entry(env_id(task_name, version), task, task.guarded_reward if version else DEFAULT)


def _registered(registration: Mapping[str, Any]) -> _Entry:
    return _Entry(**{**registration, "task": named(registration["task"])})


def _is_json(value: object) -> bool:
    try:
        return bool(json.dumps(value))
    except (TypeError, ValueError):
        return False


def _entry(id: str) -> _Entry:
    spec = gymnasium.registry.get(id)
    if spec is not None and isinstance(spec.entry_point, _Entry):
        return spec.entry_point
    if spec is not None and spec.entry_point == REGISTERED:
        return _registered(spec.kwargs["registration"])
    if spec is None or spec.entry_point != BUILT_IN:
        raise ConfigError(f"{id!r} is no text environment. {did_you_mean(id, text_ids())}")
    return _built_in(spec.kwargs["task_name"], spec.kwargs.get("version", 0))


def spec_of(id: str) -> EnvSpec:
    """The spec of an id, or of ``module:id``, whose module is imported as ``gymnasium.make`` does.

    An id without a version means the newest. ``gymnasium.make`` takes the spec too, and says nothing where the version
    that was asked for isn't the newest.

    >>> spec_of("textgym:textgym/Copy-v0").id, spec_of("textgym/Copy").id
    ('textgym/Copy-v0', 'textgym/Copy-v1')
    """
    module, colon, rest = id.partition(":")
    if colon:
        load_plugins([module], installed=False)
    name = rest if colon else id
    return gymnasium.spec(newest_id(name) if parse_env_id(name)[2] is None else name)


def split_argument(id: str, split: str) -> dict[str, Any]:
    """``{"split": split}`` where the id's task has splits, else nothing: a list of prompts of your own has none.

    >>> split_argument("textgym/Copy-v1", "test")
    {'split': 'test'}
    """
    entry: Any = spec_of(id).entry_point
    if entry == REGISTERED:
        entry = _registered(spec_of(id).kwargs["registration"])
    if isinstance(entry, _Entry):
        taken = _own_arguments(entry.task)
    else:  # of a function that a user has registered with Gymnasium itself
        maker = load_env_creator(entry) if isinstance(entry, str) else entry
        kinds = inspect.signature(maker).parameters
        taken = tuple("split" if one.kind is inspect.Parameter.VAR_KEYWORD else name for name, one in kinds.items())
    return {"split": split} if "split" in taken else {}


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
            listed = f"Valid arguments: {', '.join(sorted(names.difference(OF_VECTORS_ALONE)))}."
            raise UnknownArgumentError(
                f"{where} got an unexpected keyword argument {name!r}. {_closest(name, names)}{listed}"
            )


def _closest(name: str, names: set[str]) -> str:
    sentence = did_you_mean(name, names)
    return f"{sentence} " if sentence.startswith("Did you mean") else ""
