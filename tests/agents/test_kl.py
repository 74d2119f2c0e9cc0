"""KL estimators and controllers by hand-computed numbers."""

import numpy as np
import pytest

from textgym.errors import ConfigError
from textgym_agents.kl import AdaptiveKL, FixedKL, as_controller, k1, k3


def test_estimators_agree_in_expectation_with_the_exact_kl():
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.25, 0.25])
    log_ratio = np.log(p / q)
    exact = float((p * log_ratio).sum())
    assert exact == pytest.approx(0.09928, abs=1e-4)
    assert float((p * k1(log_ratio)).sum()) == pytest.approx(exact)
    assert float((p * k3(log_ratio)).sum()) == pytest.approx(exact)
    assert (k3(log_ratio) >= 0).all()
    assert (k1(log_ratio) < 0).any()


@pytest.mark.parametrize(("kl", "expected"), [(6.0, 0.1), (12.0, 0.102), (0.0, 0.098), (6.6, 0.101)])
def test_adaptive_step(kl, expected):
    """coef * (1 + clip(kl / 6 - 1, -0.2, 0.2) * 10 / 100)."""
    controller = AdaptiveKL(0.1, target=6.0, horizon=100)
    controller.update(kl, 10)
    assert controller.coef == pytest.approx(expected)


def test_as_controller():
    assert as_controller(None) is None
    assert as_controller(0) is None
    assert as_controller(0.0) is None
    fixed = as_controller(0.3)
    assert isinstance(fixed, FixedKL)
    assert fixed.coef == 0.3
    adaptive = AdaptiveKL(0.1, 6)
    assert as_controller(adaptive) is adaptive


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_bad_coefficients(bad):
    with pytest.raises(ConfigError, match="not negative"):
        FixedKL(bad)
    with pytest.raises(ConfigError, match="must be positive"):
        AdaptiveKL(0.1, target=0)
