"""Arguments that classes pass on to those they are derived from, and what an algorithm takes in all."""

import inspect
from collections.abc import Iterable
from typing import Any, Literal, TypedDict, Unpack, get_args, get_origin

import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import Schedule

from textgym.errors import ConfigError, did_you_mean


class SB3Options(TypedDict, total=False):
    """What every algorithm of Stable-Baselines3 takes."""

    stats_window_size: int
    tensorboard_log: str | None
    policy_kwargs: dict[str, Any] | None
    verbose: int
    seed: int | None
    device: torch.device | str
    _init_setup_model: bool


class OnPolicyOptions(SB3Options, total=False):
    """What every algorithm takes that learns from rollouts: also their buffer."""

    rollout_buffer_class: type[RolloutBuffer] | None
    rollout_buffer_kwargs: dict[str, Any] | None


class UpdateOptions(OnPolicyOptions, total=False):
    """What ``EpisodicAlgorithm`` takes, without the sizes of a rollout and the learning rate."""

    ent_coef: float
    max_grad_norm: float
    same_partner: bool


class EpisodicOptions(UpdateOptions, total=False):
    """What ``EpisodicAlgorithm`` takes, without the sizes of a rollout, which each algorithm chooses."""

    learning_rate: float | Schedule


class PolicyGradientOptions(EpisodicOptions, total=False):
    """What ``EpisodicPolicyGradient`` takes, without the sizes of a rollout."""

    normalize_advantage: bool
    skip_without_signal: bool


class GroupOptions(PolicyGradientOptions, total=False):
    """The same, where a completion's advantage is that of all its tokens unless ``credit`` says otherwise."""

    credit: Literal["episode", "to_go"]


class PPOOptions(OnPolicyOptions, total=False):
    """What SB3's PPO takes and ``NLPO`` leaves at PPO's defaults."""

    clip_range: float | Schedule
    clip_range_vf: float | Schedule | None
    normalize_advantage: bool
    ent_coef: float
    use_sde: bool
    sde_sample_freq: int
    target_kl: float | None


def arguments(function: Any) -> dict[str, Any]:
    """All arguments of a class or function with their defaults, those included that a class passes on to its bases.

    An argument without a default has ``inspect.Parameter.empty``. Where ``**options`` are annotated by a ``TypedDict``
    (``Unpack[SB3Options]``), its keys are what is passed on, and else all that the next class takes.

    >>> class Base:
    ...     def __init__(self, env, gamma=1.0, seed=None, device="auto"): ...
    >>> class Some(TypedDict, total=False):
    ...     seed: int | None
    >>> class Derived(Base):
    ...     def __init__(self, env, beta=0.1, **options: Unpack[Some]): ...
    >>> {name: default for name, default in arguments(Derived).items() if name != "env"}
    {'beta': 0.1, 'seed': None}
    """
    if not isinstance(function, type):
        return _named(inspect.signature(function))
    return _passed_on([cls for cls in function.__mro__ if "__init__" in vars(cls)])


def check_arguments(cls: type, given: Iterable[str]) -> None:
    """Raise ConfigError for a name that a class doesn't take."""
    taken = arguments(cls)
    for name in given:
        if name not in taken:
            raise ConfigError(f"{cls.__name__} takes no argument {name!r}. {did_you_mean(name, taken)}")


def check_policy(algorithm: str, policy: Any, expected: type) -> None:
    """Raise ConfigError unless ``policy`` is a class of the kind that an algorithm needs."""
    if not (isinstance(policy, type) and issubclass(policy, expected)):
        name = getattr(policy, "__name__", repr(policy))
        raise ConfigError(f"{algorithm} got the policy {name}, expected {expected.__name__}.")


def takes_anything(function: Any) -> bool:
    """Whether no signature says what a callable takes."""
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    return not isinstance(function, type) and inspect.Parameter.VAR_KEYWORD in kinds


def _passed_on(classes: list[type]) -> dict[str, Any]:
    signature = inspect.signature(vars(classes[0])["__init__"])
    named = _named(signature)
    rest = [p for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD]
    if not rest or len(classes) == 1:
        return named
    further = _passed_on(classes[1:])
    if get_origin(rest[0].annotation) is Unpack:
        keys = get_args(rest[0].annotation)[0].__annotations__
        further = {name: further.get(name, inspect.Parameter.empty) for name in keys}
    return {**named, **{name: default for name, default in further.items() if name not in named}}


def _named(signature: inspect.Signature) -> dict[str, Any]:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.kind not in variadic and name != "self"
    }
