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


MOST = 3.0  # what a factor of a damped coefficient counts as at most
NEW_MAXIMUM = 1.05  # times the last one, for a KL to be on its way


class AdaptiveKL(_Coefficient):
    """Moves the coefficient so that the KL of an episode settles at ``target`` nats.

    Ziegler et al., "Fine-Tuning Language Models from Human Preferences" (2019), section 2.2,
    https://arxiv.org/abs/1909.08593: each rollout multiplies the coefficient by ``1 + error * num_episodes / horizon``,
    with the error ``kl / target - 1`` clipped to +-0.2.

    That is integral control. While the KL is on its way to the target the coefficient falls, so that it is too small to
    stop the KL once it is there. ``damping`` adds proportional and derivative control, as Stooke et al., "Responsive
    Safety in Reinforcement Learning by PID Lagrangian Methods" (2020), https://arxiv.org/abs/2007.03964, do, here with
    factors in place of sums because a coefficient is positive:

        coef = integral * (kl / target * kl / average) ** damping

    The average is that of the last ``horizon`` episodes or so, exponentially weighted: its factor answers a KL that
    rises before it is too large. The integral moves as above, but waits on the way to the target: until the KL has
    first reached it, or has had no maximum that is higher by a twentieth for ``horizon`` episodes.

    Args:
        coef: to begin with; with ``damping``, a guess of the one that holds the KL at the target.
        target: nats an episode.
        horizon: the smaller, the faster: episodes in which an error of 0.2 changes the coefficient by a fifth.
        damping: the exponent. 0: integral control alone. 1 holds a target also in a short training.

    Raises:
        ConfigError: ``coef`` or ``damping`` is negative, or ``target`` or ``horizon`` isn't positive.

    >>> controller = AdaptiveKL(0.1, target=6.0, horizon=100); controller.update(12.0, 10); round(controller.coef, 4)
    0.102
    >>> damped = AdaptiveKL(0.1, target=6.0, horizon=100, damping=1); damped.update(12.0, 10); round(damped.coef, 4)
    0.204
    """

    def __init__(self, coef: float, target: float, horizon: float = 10_000, damping: float = 0.0) -> None:
        self.coef = self.integral = _non_negative("coef", coef)
        if target <= 0 or horizon <= 0:
            raise ConfigError(f"target is {target} and horizon is {horizon}, both must be positive.")
        self.target, self.horizon, self.damping = target, horizon, _non_negative("damping", damping)
        self.average: float | None = None
        self.highest, self.since = 0.0, 0  # maximum of the KL, and episodes since then

    def update(self, kl: float, num_episodes: int) -> None:
        step = 1 + float(np.clip(kl / self.target - 1, -0.2, 0.2)) * num_episodes / self.horizon
        if not self.damping:
            self.coef *= step
            return
        self.since += num_episodes
        if kl >= min(self.target, NEW_MAXIMUM * self.highest):
            self.highest, self.since = max(kl, self.highest), 0
        if self.highest >= self.target or self.since >= self.horizon:
            self.integral *= step
        # What is estimated can be negative, or 0 as that of the first rollout.
        before = kl if self.average is None else self.average
        rise = float(np.clip(kl / max(before, 1e-6), 1 / MOST, MOST))
        self.coef = self.integral * (float(np.clip(kl / self.target, 0, MOST)) * rise) ** self.damping
        self.average = before + min(1.0, num_episodes / self.horizon) * (kl - before)

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        own = {name: getattr(self, name) for name in ("integral", "average", "highest", "since")}
        return {**super().get_state(), **(own if self.damping else {})}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        super().set_state(state)
        if self.damping:
            self.integral, self.highest = float(state["integral"]), float(state["highest"])
            self.average = None if state["average"] is None else float(state["average"])
            self.since = int(state["since"])


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
