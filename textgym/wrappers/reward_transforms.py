"""Reward transforms: a completion's reward with penalties, clipped, scaled or whitened.

Gymnasium's ``ClipReward``, ``TransformReward`` and ``NormalizeReward`` change the reward of every step, also the zeros
before the last: clipped to [0.1, 1], each token would get 0.1. These change the reward of the completion alone.
"""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textgym.arguments import count
from textgym.core import Sample
from textgym.errors import ConfigError, did_you_mean
from textgym.wrappers.reward import RewardWrapper


class LengthPenalty(RewardWrapper):
    """Subtract ``per_token`` for each token of the completion (its end token included) beyond the first ``beyond``.

    >>> import gymnasium
    >>> env = LengthPenalty(gymnasium.make("textgym/Copy-v1"), per_token=0.1, beyond=1)
    >>> env.reward(Sample("", "hi", token_ids=(7, 7, 7)), 1.0)
    0.8
    """

    def __init__(self, env: Any, per_token: float = 0.01, beyond: int = 0) -> None:
        self.per_token, self.beyond = _number("per_token", per_token), count("beyond", beyond, least=0)
        super().__init__(env)

    def reward(self, sample: Sample, reward: float) -> float:
        return reward - self.per_token * max(0, len(sample.token_ids) - self.beyond)


class MissingEOSPenalty(RewardWrapper):
    """Subtract ``penalty`` from the reward of a completion without an end token (``finish_reason`` "length").

    >>> import gymnasium
    >>> MissingEOSPenalty(gymnasium.make("textgym/Copy-v1"), 0.5).reward(Sample("", "hi", finish_reason="length"), 1.0)
    0.5
    """

    def __init__(self, env: Any, penalty: float = 0.5) -> None:
        self.penalty = _number("penalty", penalty)
        super().__init__(env)

    def reward(self, sample: Sample, reward: float) -> float:
        return reward - self.penalty * (sample.finish_reason == "length")


class ClipReward(RewardWrapper):
    """Keep the reward of a completion between ``low`` and ``high``.

    >>> import gymnasium
    >>> ClipReward(gymnasium.make("textgym/Copy-v1"), -1, 1).reward(Sample("", "hi"), 7.0)
    1.0
    """

    def __init__(self, env: Any, low: float, high: float) -> None:
        self.low, self.high = _number("low", low), _number("high", high)
        if low > high:
            raise ConfigError(f"ClipReward got low={low} and high={high}, expected low to be no larger than high.")
        super().__init__(env)

    def reward(self, sample: Sample, reward: float) -> float:
        return min(max(reward, self.low), self.high)


class ScaleReward(RewardWrapper):
    """Multiply the reward of a completion by ``factor``.

    >>> import gymnasium
    >>> ScaleReward(gymnasium.make("textgym/Copy-v1"), 2).reward(Sample("", "hi"), 0.25)
    0.5
    """

    def __init__(self, env: Any, factor: float) -> None:
        self.factor = _number("factor", factor)
        super().__init__(env)

    def reward(self, sample: Sample, reward: float) -> float:
        return reward * self.factor


class WhitenReward(RewardWrapper):
    """Shift and scale rewards to mean 0 and deviation 1, by the mean and deviation of all completions so far.

    The same completion gets another reward later on: values and baselines must follow, and rewards of different times
    can't be compared (``info["untransformed_reward"]`` keeps them). Leave it out of evaluations. The first
    reward is 0, and so is any while all have been equal. The sums are Welford's (1962),
    https://doi.org/10.1080/00401706.1962.10490022.

    Attributes:
        count, mean: of the rewards so far.
        squares: sum of their squared distances from the mean.

    >>> import gymnasium
    >>> env = WhitenReward(gymnasium.make("textgym/Copy-v1"))
    >>> [round(env.reward(Sample("", "hi"), reward), 4) for reward in (3.0, 1.0, 2.0)]
    [0.0, -1.0, 0.0]
    """

    EQUAL = 1e-8  # a deviation below this is rounding

    def __init__(self, env: Any) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        super().__init__(env)

    def reward(self, sample: Sample, reward: float) -> float:
        self.count += 1
        distance = reward - self.mean
        self.mean += distance / self.count
        self.squares += distance * (reward - self.mean)
        deviation = math.sqrt(self.squares / self.count)
        return (reward - self.mean) / deviation if deviation > self.EQUAL else 0.0

    def get_state(self) -> dict[str, float]:
        """The running numbers, as JSON has them."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    def set_state(self, state: Mapping[str, float]) -> None:
        """Go on from :meth:`get_state`."""
        self.count, self.mean, self.squares = int(state["count"]), float(state["mean"]), float(state["squares"])


REWARD_TRANSFORMS: Mapping[str, type[RewardWrapper]] = {
    "length_penalty": LengthPenalty,
    "missing_eos_penalty": MissingEOSPenalty,
    "clip": ClipReward,
    "scale": ScaleReward,
    "whiten": WhitenReward,
}


def transform_reward(env: Any, how: str | Mapping[str, Any] | None) -> Any:
    """Wrap an ``Env`` or a ``VectorEnv`` in wrappers named in ``how``, the first one innermost.

    Args:
        env: the environment.
        how: a string, ``name=value`` with commas between and colons between the values of one name; or a dict whose
            values are the first argument, a sequence of arguments or a dict of them, and True or None for no argument.
            Names: those of ``REWARD_TRANSFORMS``. Nothing or None: the environment as it is.

    Raises:
        ConfigError: an unknown name, or a value that it doesn't take.

    >>> import gymnasium
    >>> env = gymnasium.make("textgym/Copy-v1")
    >>> env = transform_reward(env, "length_penalty=0.1:2, missing_eos_penalty=0.5, clip=-1:1, scale=2, whiten")
    >>> type(env).__name__, env.env.factor, env.env.env.low, env.env.env.env.env.beyond
    ('WhitenReward', 2.0, -1.0, 2)
    >>> type(transform_reward(env, {"clip": (0, 1), "length_penalty": {"beyond": 20}})).__name__
    'LengthPenalty'
    """
    for name, given in _parts(how):
        if name not in REWARD_TRANSFORMS:
            raise ConfigError(f"No reward transform is called {name!r}. {did_you_mean(name, REWARD_TRANSFORMS)}")
        build = REWARD_TRANSFORMS[name]
        signature = inspect.signature(build.__init__)
        positional: Sequence[Any] = ()
        named: Mapping[str, Any] = {}
        if isinstance(given, Mapping):
            named = given
        elif isinstance(given, Sequence) and not isinstance(given, str):
            positional = given
        elif given is not None and given is not True:
            positional = [given]
        try:
            signature.bind(None, env, *positional, **named)
        except TypeError as error:
            names = list(signature.parameters)[2:]
            takes = f"takes {' and '.join(names)}" if names else "takes no value"
            raise ConfigError(f"{name}={given!r} can't be: {name} {takes} ({error}).") from None
        env = build(env, *positional, **named)
    return env


def _parts(how: str | Mapping[str, Any] | None) -> Iterator[tuple[str, Any]]:
    if isinstance(how, Mapping):
        yield from how.items()
        return
    if not isinstance(how, str | None):
        raise ConfigError(f"transform_reward got {how!r}, expected a string such as 'clip=-1:1, scale=2' or a dict.")
    for part in (how or "").split(","):
        name, equals, values = part.strip().partition("=")
        if name or equals:
            yield name.strip(), [_parsed(part, value) for value in values.split(":")] if equals else None


def _parsed(part: str, text: str) -> float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ConfigError(f"{text.strip()!r} in {part.strip()!r} is no number. Write name=number, or name=number:number.")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{name} is {value!r}, expected a finite number.")
    return float(value)
