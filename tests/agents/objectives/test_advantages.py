"""The shared mathematics of policy gradients, on numbers worked out by hand."""

import numpy as np
import pytest

from textgym.errors import ConfigError
from textgym_agents.objectives.advantages import (
    group_normalized,
    leave_one_out,
    mean_of_others,
    token_weights,
    whiten,
    without_signal,
)

GROUPS = np.array([[4.0, 1.0, 1.0], [2.0, 2.0, 2.0], [-3.0, 0.0, 3.0]])


def test_leave_one_out():
    # 4 - (1 + 1) / 2 = 3; 1 - (4 + 1) / 2 = -1.5; -3 - (0 + 3) / 2 = -4.5
    expected = [[3.0, -1.5, -1.5], [0.0, 0.0, 0.0], [-4.5, 0.0, 4.5]]
    np.testing.assert_allclose(leave_one_out(GROUPS), expected)


def test_mean_of_others():
    assert mean_of_others(GROUPS).tolist() == [[1.0, 2.5, 2.5], [2.0, 2.0, 2.0], [1.5, 0.0, -1.5]]


def test_leave_one_out_of_two_is_their_difference():
    assert leave_one_out(np.array([[5.0, 2.0]])).tolist() == [[3.0, -3.0]]


def test_group_normalized():
    # mean 2, deviations 2, -1, -1: variance (4 + 1 + 1) / 2 = 3. The last group: variance (9 + 0 + 9) / 2 = 9.
    expected = [[2 / 3**0.5, -1 / 3**0.5, -1 / 3**0.5], [0, 0, 0], [-1, 0, 1]]
    np.testing.assert_allclose(group_normalized(GROUPS, eps=0), expected)


def test_eps_is_added_to_the_deviation():
    np.testing.assert_allclose(group_normalized(GROUPS, eps=1)[2], [-0.75, 0, 0.75])


def test_without_the_deviation():
    np.testing.assert_allclose(group_normalized(GROUPS, normalize_std=False), [[2, -1, -1], [0, 0, 0], [-3, 0, 3]])


def test_rounding_is_no_signal():
    group = np.array([[0.1 + 0.2, 0.3, 0.3]])  # 0.30000000000000004
    assert without_signal(group).tolist() == [True]
    assert group_normalized(group, eps=0).tolist() == [[0, 0, 0]]


def test_without_signal():
    assert without_signal(GROUPS).tolist() == [False, True, False]


def test_whiten():
    # mean 3, variance (4 + 0 + 4) / 3
    np.testing.assert_allclose(whiten(np.array([1.0, 3.0, 5.0])), np.array([-2, 0, 2]) / (8 / 3) ** 0.5)
    assert whiten(np.array([[2.0], [2.0]])).tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("loss_reduction", "expected"),
    [
        ("episode", [1 / 2, 1 / 8, 1 / 8, 1 / 8, 1 / 8]),
        ("token", [1 / 5] * 5),
        ("constant", [1 / 40] * 5),
        ("sum", [1 / 2] * 5),
    ],
)
def test_token_weights(loss_reduction, expected):
    np.testing.assert_allclose(token_weights(np.array([1, 4]), loss_reduction, 20), expected)


@pytest.mark.parametrize(
    ("function", "values", "message"),
    [
        (leave_one_out, np.array([[1.0]]), r"\(1, 1\) are no groups"),
        (group_normalized, np.array([1.0, 2.0]), r"\(2,\) are no groups"),
        (leave_one_out, np.array([[1.0, np.nan]]), "Value 1 of 2 is nan"),
        (group_normalized, np.array([[np.inf, 1.0]]), "Value 0 of 2 is inf"),
        (whiten, np.array([1.0]), "1 value can't be whitened"),
        (whiten, np.array([1.0, 2.0, np.nan]), "Value 2 of 3 is nan"),
    ],
)
def test_what_makes_no_sense_is_an_error(function, values, message):
    with pytest.raises(ConfigError, match=message):
        function(values)


def test_an_unknown_reduction():
    with pytest.raises(ConfigError, match="Did you mean 'token'"):
        token_weights(np.array([1]), "tokens")
