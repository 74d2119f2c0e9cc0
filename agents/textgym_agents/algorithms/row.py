"""What the table of algorithms holds of each."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from textgym_agents.algorithms.options import OnPolicyOptions, arguments, takes_anything
from textgym_agents.algorithms.search import Space
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.policies.base import LanguageModelPolicy

# What every algorithm takes and what says nothing of how it learns.
PLUMBING = {"policy", "env", "replay_buffer_class", "replay_buffer_kwargs", *OnPolicyOptions.__annotations__}


@dataclass(frozen=True)
class Learning:
    """A run on ``Copy-v0`` from the built-in model, and what it must gain: the proof that an algorithm learns.

    Attributes:
        timesteps: tokens.
        gain: what the held-out reward must gain over the initial model's on the same 200 prompts.
        measured: gains with seeds 0, 1 and 2 when ``gain`` was set, with room below the smallest.
    """

    timesteps: int
    gain: float
    measured: tuple[float, float, float]


@dataclass(frozen=True)
class Algorithm:
    """One row of the table.

    Attributes:
        cls: the SB3 class.
        paper: title, year and link.
        defaults: constructor arguments that suit text, for a class whose own defaults are another's; anything given to
            :func:`make` replaces them. A class of one's own has its defaults in its signature.
        family: the kind of algorithm that it is, for lists.
        kl_coef: default coefficient of the KL to the reference model; None: it takes no such penalty.
        policy: its policy class, whose ``forms`` are the forms of model that the algorithm can train.
        buffer: its rollout or replay buffer, by default the class's ``buffer_class`` if it has one; None: it has none.
        wrap: what puts a wrapper around the environment: ``wrap(vec_env, model, **wrap_defaults)``.
        wrap_defaults: arguments of ``wrap``, which :func:`make` takes like those of the class.
        small: arguments of ``make`` with which updates come after a few tokens, for tests.
        tests: the files that prove it, below ``tests/agents``.
        learning: what it must gain on ``Copy-v0``.
        search: the values that ``textgym tune`` tries, by argument.
        origins: where defaults come from, by argument; those that are a library's own need no entry.
    """

    cls: Callable[..., BaseAlgorithm]
    paper: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    family: str = "actor-critic"
    kl_coef: float | None = 0.0
    policy: type[LanguageModelPolicy] = LanguageModelPolicy
    buffer: type[Any] | None = EpisodeRolloutBuffer
    wrap: Callable[..., VecEnv] | None = None
    wrap_defaults: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    tests: tuple[str, ...] = ()
    learning: Learning | None = None
    search: Space = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = getattr(self.cls, "buffer_class", None)
        if own is not None and self.buffer is EpisodeRolloutBuffer:
            object.__setattr__(self, "buffer", own)

    def takes(self, argument: str) -> bool:
        """Whether ``make`` has an argument of that name for this algorithm."""
        return argument in self.arguments() or takes_anything(self.cls)

    def arguments(self) -> list[str]:
        """The names of the arguments that its class and its wrapper take."""
        return [*arguments(self.cls), *self.wrap_defaults]

    def settings(self) -> dict[str, Any]:
        """The settings that textgym chose, as ``make`` sets them: those of the row, and of the class's own signature.

        What a class of another library leaves at its own defaults isn't among them, nor what every algorithm takes.

        >>> from textgym_agents import ALGORITHMS
        >>> ALGORITHMS["rloo"].settings()["group_size"], ALGORITHMS["dqn"].settings()["num_candidates"]
        (4, 8)
        """
        chosen = _chosen(self.cls) - PLUMBING
        own = {name: value for name, value in arguments(self.cls).items() if name in chosen}
        kl = {} if self.kl_coef is None else {"kl_coef": self.kl_coef}
        return {**own, **self.defaults, **self.wrap_defaults, **kl}

    def origin(self, argument: str) -> str:
        """Where a default comes from: as ``origins`` says, or else the library whose class has it; "" if neither.

        >>> from textgym_agents import ALGORITHMS
        >>> ALGORITHMS["ppo"].origin("gamma"), ALGORITHMS["rloo"].origin("group_size")
        ('TRL', 'paper')
        """
        library = {"stable_baselines3": "SB3", "sb3_contrib": "sb3-contrib"}.get(self.cls.__module__.partition(".")[0])
        same = arguments(self.cls).get(argument, inspect.Parameter.empty) == self.settings().get(argument)
        return self.origins.get(argument, library if library and same else "")


def is_of_sb3(cls: Any) -> bool:
    """Whether a class is Stable-Baselines3's or sb3-contrib's own, so that its defaults are not textgym's."""
    return getattr(cls, "__module__", "").partition(".")[0] in ("stable_baselines3", "sb3_contrib")


def _chosen(cls: Any) -> set[str]:
    """The arguments in the signatures of a class and its bases, down to those of Stable-Baselines3."""
    names: set[str] = set()
    for base in cls.__mro__ if isinstance(cls, type) else ():
        if is_of_sb3(base):
            break
        if "__init__" in vars(base):
            names |= {*inspect.signature(base.__init__).parameters}  # type: ignore[misc]
    return names
