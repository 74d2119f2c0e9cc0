"""The Kullback-Leibler divergence to a reference model: estimators and coefficient controllers."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.objectives.arrays import Floats


def k1(log_ratio: Floats) -> Floats:
    """Per-token estimate of KL(policy || reference): ``log p - log q``. Unbiased, can be negative.

    >>> k1(np.array([0.5, -0.1])).tolist()
    [0.5, -0.1]
    """
    return log_ratio


def k3(log_ratio: Floats) -> Floats:
    """Per-token estimate ``q/p - 1 - log(q/p)``: unbiased too, never negative, less variance.

    Schulman, "Approximating KL divergence" (2020), http://joschu.net/blog/kl-approx.html.

    >>> k3(np.array([0.0, np.log(2.0)])).round(4).tolist()
    [0.0, 0.1931]
    """
    return np.exp(-log_ratio) - 1 + log_ratio


ESTIMATORS: Mapping[str, Callable[[Floats], Floats]] = {"k1": k1, "k3": k3}


def estimator(name: str) -> Callable[[Floats], Floats]:
    """The estimator of that name, from log-ratios (tokens,) to nats (tokens,).

    Both have the KL as their expectation, but what is subtracted from a reward is not differentiated itself. With k1
    the policy gradient is that of KL(policy || reference). With k3 it is that minus the gradient of
    KL(reference || policy); the two cancel where the models are close, so that k3 hardly pulls until they are apart.

    Raises:
        ConfigError: there is no such estimator.

    >>> estimator("k3")(np.array([0.0])).tolist()
    [0.0]
    """
    if name not in ESTIMATORS:
        raise ConfigError(f"kl_estimator is {name!r}. {did_you_mean(str(name), ESTIMATORS)}")
    return ESTIMATORS[name]


class KLController(Protocol):
    """Anything with a current coefficient that learns from the measured KL.

    Where it has ``advance(num_tokens)``, this is called with the number of tokens of each rollout. A checkpoint calls
    ``get_state``; a controller without it can train, but not be saved.
    """

    coef: float

    def update(self, kl: float, num_episodes: int) -> None:
        """Take the mean KL of an episode (summed over its tokens, in nats) after a rollout of so many episodes.

        The KL is estimated as the buffer's ``kl_estimator`` says.
        """

    def get_state(self) -> dict[str, Any]:
        """What it remembers between rollouts, as plain values."""

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""


class _Coefficient:
    """A coefficient as all the state there is."""

    coef: float

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"coef": self.coef}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.coef = float(state["coef"])


class FixedKL(_Coefficient):
    """A constant coefficient.

    >>> controller = FixedKL(0.1); controller.update(5.0, 100); controller.coef
    0.1
    """

    def __init__(self, coef: float) -> None:
        self.coef = _non_negative("coef", coef)

    def update(self, kl: float, num_episodes: int) -> None:
        pass


class AdaptiveKL(_Coefficient):
    """Moves the coefficient so that the KL of an episode settles at ``target`` nats.

    Ziegler et al., "Fine-Tuning Language Models from Human Preferences" (2019), section 2.2,
    https://arxiv.org/abs/1909.08593.

    >>> controller = AdaptiveKL(0.1, target=6.0, horizon=100); controller.update(12.0, 10); round(controller.coef, 4)
    0.102
    """

    def __init__(self, coef: float, target: float, horizon: float = 10_000) -> None:
        self.coef = _non_negative("coef", coef)
        if target <= 0 or horizon <= 0:
            raise ConfigError(f"target is {target} and horizon is {horizon}, both must be positive.")
        self.target, self.horizon = target, horizon

    def update(self, kl: float, num_episodes: int) -> None:
        error = float(np.clip(kl / self.target - 1, -0.2, 0.2))
        self.coef *= 1 + error * num_episodes / self.horizon


class ScheduledKL(_Coefficient):
    """A coefficient that follows a schedule of tokens, such as those of ``textgym_agents.objectives.schedules``.

    Args:
        schedule: the coefficient, given how many tokens earlier rollouts had.

    Attributes:
        tokens: in all rollouts so far.

    Raises:
        ConfigError: the schedule gives a negative number, or none.

    >>> controller = ScheduledKL(lambda tokens: 0.1 if tokens < 1000 else 0.01)
    >>> controller.advance(1000); controller.coef
    0.01
    """

    def __init__(self, schedule: Callable[[int], float]) -> None:
        self.schedule = schedule
        self.tokens = 0
        self.coef = _non_negative("coef", schedule(0))

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"coef": self.coef, "tokens": self.tokens}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.coef, self.tokens = float(state["coef"]), int(state["tokens"])

    def advance(self, num_tokens: int) -> None:
        """A rollout had so many tokens."""
        self.tokens += num_tokens
        self.coef = _non_negative("coef", self.schedule(self.tokens))

    def update(self, kl: float, num_episodes: int) -> None:
        pass


def as_controller(kl: "float | KLController | None") -> "KLController | None":
    """A controller from what a user passes: None or 0 (no KL), a number (fixed), or a controller."""
    if kl is None or (isinstance(kl, int | float) and kl == 0):
        return None
    return FixedKL(float(kl)) if isinstance(kl, int | float) else kl


def _non_negative(name: str, value: float) -> float:
    if not value >= 0:
        raise ConfigError(f"{name} is {value}, expected a number that is not negative.")
    return value
