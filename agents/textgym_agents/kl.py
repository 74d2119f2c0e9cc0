"""The Kullback-Leibler divergence to a reference model: estimators and coefficient controllers."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from textgym.errors import ConfigError

Floats = NDArray[np.floating]


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


class KLController(Protocol):
    """Anything with a current coefficient that learns from the measured KL."""

    coef: float

    def update(self, kl: float, num_episodes: int) -> None:
        """Tell the mean KL of an episode (summed over its tokens, in nats) after a rollout of so many episodes."""


class FixedKL:
    """A constant coefficient.

    >>> controller = FixedKL(0.1); controller.update(5.0, 100); controller.coef
    0.1
    """

    def __init__(self, coef: float) -> None:
        self.coef = _non_negative("coef", coef)

    def update(self, kl: float, num_episodes: int) -> None:
        pass


class AdaptiveKL:
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


def as_controller(kl: "float | KLController | None") -> "KLController | None":
    """A controller from what a user passes: None or 0 (no KL), a number (fixed), or a controller."""
    if kl is None or (isinstance(kl, int | float) and kl == 0):
        return None
    return FixedKL(float(kl)) if isinstance(kl, int | float) else kl


def _non_negative(name: str, value: float) -> float:
    if not value >= 0:
        raise ConfigError(f"{name} is {value}, expected a number that is not negative.")
    return value
