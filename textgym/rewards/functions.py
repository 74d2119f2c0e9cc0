"""A user's functions as rewards: ``@reward`` for one of a sample, ``@group_reward`` for one of a prompt's completions.

``as_reward`` is for one of a batch.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, overload

from textgym.core import Reward, Sample
from textgym.errors import ConfigError
from textgym.rewards.base import Ask, BatchReward, GroupReward, Value
from textgym.scoring import background_of, reward_name, score_samples, scores_groups


class CallableReward(BatchReward):
    """Any callable over a batch as a reward with arithmetic. Made by :func:`as_reward`."""

    def __init__(self, function: Reward, name: str | None = None) -> None:
        self.function = function
        self.name = name or reward_name(function)
        self.scope = "group" if scores_groups(function) else "sample"
        self.background = background_of(function)

    def begin_scoring(self, samples: Sequence[Sample], ask: Ask) -> Callable[[], list[Value]]:
        """Begin to score a batch, as the callable may be asked. Returns what waits for the values."""
        asked = ask(self.function, samples)
        return lambda: [*asked()]

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        return self.function(samples)  # type: ignore[return-value]  # score_samples checks what comes back

    def score(self, sample: Sample, /) -> Value:
        return score_samples(self, [sample])[0]

    def __repr__(self) -> str:
        return f"as_reward({self.name})"


def as_reward(function: Reward, name: str | None = None) -> BatchReward:
    """A callable over a batch of samples as a reward with arithmetic; ``name`` (re)names it.

    Raises:
        ConfigError: it is no callable, or a class instead of an object of it.

    >>> def characters(samples):
    ...     return [len(sample.completion) for sample in samples]
    >>> (0.5 * as_reward(characters))([Sample("Say hi:", "hi")])
    [Score(value=1.0, components={'characters': 2.0})]
    """
    if isinstance(function, type):
        raise ConfigError(f"{function.__name__} is a class, expected an object of it: {function.__name__}(...).")
    if not callable(function):
        raise ConfigError(f"{function!r} is no reward: expected a callable that takes a list of samples.")
    return function if isinstance(function, BatchReward) and name is None else CallableReward(function, name)


class _Wrapper(BatchReward):
    """A reward in the place of a function of a module, whose name it takes over: ``__wrapped__`` is the function."""

    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        functools.update_wrapper(self, function)
        self.name = name or reward_name(function)

    def __reduce__(self) -> tuple[Any, ...]:
        function = self.__wrapped__
        # After decoration the module holds this object under the function's name. Pickle would look the function up
        # there and complain: point it to where the function is now.
        owner: Any = sys.modules.get(str(getattr(function, "__module__", None)))
        path = getattr(function, "__qualname__", "")
        for step in path.split("."):
            owner = getattr(owner, step, None)
        if isinstance(owner, _Wrapper) and owner.__wrapped__ is function:
            function.__qualname__ = f"{path}.__wrapped__"
        return type(self), (function, self.name, *self._further())

    def _further(self) -> tuple[Any, ...]:
        """Other arguments of its constructor."""
        return ()


class FunctionReward(_Wrapper):
    """A function of one sample as a reward. Made by :func:`reward`; the function itself is ``__wrapped__``."""

    __wrapped__: Callable[[Sample], Value]

    def __init__(self, function: Callable[[Sample], Value], name: str | None = None, background: int = 0) -> None:
        super().__init__(function, name)
        self.background = background

    def score(self, sample: Sample, /) -> Value:
        return self.__wrapped__(sample)

    def _further(self) -> tuple[Any, ...]:
        return (self.background,)

    def __repr__(self) -> str:
        return f"reward({self.name})"


class GroupFunctionReward(_Wrapper, GroupReward):
    """A function of a prompt's completions as a reward. Made by :func:`group_reward`."""

    __wrapped__: Callable[[Sequence[Sample]], Sequence[Value]]

    def score_group(self, samples: Sequence[Sample], /) -> Sequence[Value]:
        return self.__wrapped__(samples)

    def __repr__(self) -> str:
        return f"group_reward({self.name})"


@overload
def reward(function: Callable[[Sample], Value], /) -> FunctionReward: ...


@overload
def reward(
    *, name: str | None = None, background: int = 0
) -> Callable[[Callable[[Sample], Value]], FunctionReward]: ...


def reward(
    function: Callable[[Sample], Value] | None = None, /, *, name: str | None = None, background: int = 0
) -> FunctionReward | Callable[[Callable[[Sample], Value]], FunctionReward]:
    """Turn a function of one sample into a reward: ``@reward``, or ``@reward(name="...")``.

    The function returns a number, a Score, or None to abstain. The reward takes part in arithmetic, and it pickles
    when the function is defined at the top of a module. One that waits, for a server say, may be asked in the
    background while a training's episodes go on: ``@reward(background=8)``, in up to 8 threads.

    >>> @reward
    ... def brevity(sample):
    ...     "Short texts are good."
    ...     return 1 / (1 + len(sample.completion.split()))
    >>> brevity([Sample("", "one two three"), Sample("", "")])
    [0.25, 1.0]
    >>> 0.5 * brevity
    0.5 * reward(brevity)
    """
    if function is None:
        return functools.partial(FunctionReward, name=name, background=background)
    if isinstance(function, type) or not callable(function):
        raise ConfigError(
            f"@reward decorates a function of one sample, got {function!r}. To name it: @reward(name=...)."
        )
    return FunctionReward(function, name, background)


def group_reward(function: Callable[[Sequence[Sample]], Sequence[Value]], /) -> GroupFunctionReward:
    """Turn a function of the completions of one prompt into a reward that compares them: ``@group_reward``.

    The function gets two or more samples and returns a number, a Score or None for each. See
    :class:`textgym.rewards.GroupReward` for who calls it, and when.

    >>> @group_reward
    ... def unlike_others(samples):
    ...     texts = [sample.completion for sample in samples]
    ...     return [float(texts.count(text) == 1) for text in texts]
    >>> unlike_others([Sample("Say hi:", "hi"), Sample("Say hi:", "hello"), Sample("Say hi:", "hi")])
    [0.0, 1.0, 0.0]
    >>> 0.5 * unlike_others
    0.5 * group_reward(unlike_others)
    """
    if isinstance(function, type) or not callable(function):
        raise ConfigError(f"@group_reward decorates a function of several samples, got {function!r}.")
    return GroupFunctionReward(function)
