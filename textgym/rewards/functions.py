"""A user's functions as rewards: ``@reward`` for a function of one sample, ``as_reward`` for one of a batch."""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, overload

from textgym.core import Reward, Sample, reward_name, score_samples
from textgym.errors import ConfigError
from textgym.rewards.base import BatchReward, Value


class CallableReward(BatchReward):
    """Any callable over a batch as a reward with arithmetic. Made by :func:`as_reward`."""

    def __init__(self, function: Reward, name: str | None = None) -> None:
        self.function = function
        self.name = name or reward_name(function)

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


class FunctionReward(BatchReward):
    """A function of one sample as a reward. Made by :func:`reward`; the function itself is ``__wrapped__``."""

    __wrapped__: Callable[[Sample], Value]

    def __init__(self, function: Callable[[Sample], Value], name: str | None = None) -> None:
        functools.update_wrapper(self, function)
        self.name = name or reward_name(function)

    def score(self, sample: Sample, /) -> Value:
        return self.__wrapped__(sample)

    def __repr__(self) -> str:
        return f"reward({self.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        function = self.__wrapped__
        # After decoration the module holds this object under the function's name. Pickle would look the function up
        # there and complain: point it to where the function is now.
        owner: Any = sys.modules.get(str(getattr(function, "__module__", None)))
        path = getattr(function, "__qualname__", "")
        for step in path.split("."):
            owner = getattr(owner, step, None)
        if isinstance(owner, FunctionReward) and owner.__wrapped__ is function:
            function.__qualname__ = f"{path}.__wrapped__"
        return type(self), (function, self.name)


@overload
def reward(function: Callable[[Sample], Value], /) -> FunctionReward: ...


@overload
def reward(*, name: str | None = None) -> Callable[[Callable[[Sample], Value]], FunctionReward]: ...


def reward(
    function: Callable[[Sample], Value] | None = None, /, *, name: str | None = None
) -> FunctionReward | Callable[[Callable[[Sample], Value]], FunctionReward]:
    """Turn a function of one sample into a reward: ``@reward``, or ``@reward(name="...")``.

    The function returns a number, a Score, or None to abstain. The reward takes part in arithmetic, and it pickles
    when the function is defined at the top of a module.

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
        return functools.partial(FunctionReward, name=name)
    if isinstance(function, type) or not callable(function):
        raise ConfigError(
            f"@reward decorates a function of one sample, got {function!r}. To name it: @reward(name=...)."
        )
    return FunctionReward(function, name)
