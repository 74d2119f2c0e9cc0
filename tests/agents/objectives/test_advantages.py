"""The shared mathematics of policy gradients, on numbers worked out by hand."""

import itertools

import numpy as np
import pytest

from textgym.errors import ConfigError
from textgym_agents.objectives.advantages import (
    group_normalized,
    group_scale,
    leave_one_out,
    mean_of_others,
    token_weights,
    whiten,
    without_past_rewards,
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


def test_without_past_rewards():
    # returns 3 and 1, of 3 and 2 tokens; baselines 1 and 3. Before their tokens 0, 1, 1 and 0, 2 have come.
    rewards, lengths = np.array([1.0, 0.0, 2.0, 2.0, -1.0]), np.array([3, 2])
    advantages = leave_one_out(np.array([[3.0, 1.0]]))
    assert without_past_rewards(advantages, rewards, lengths).tolist() == [2.0, 1.0, 1.0, -2.0, -4.0]
    assert without_past_rewards(advantages / 2, rewards, lengths, 2.0).tolist() == [1.0, 0.5, 0.5, -1.0, -2.0]


def test_the_scale_of_groups_is_what_they_are_divided_by():
    returns = np.array([[4.0, 1.0, 1.0], [2.0, 2.0, 2.0], [1.0, 5.0, 9.0]])
    scored = np.array([[True, True, True], [True, True, True], [True, False, False]])
    scale = group_scale(returns, scored)
    centered = group_normalized(returns, scored, normalize_std=False)
    np.testing.assert_allclose(centered / scale, group_normalized(returns, scored))
    assert np.isinf(scale).tolist() == [[False] * 3, [True] * 3, [True] * 3]  # equal, and alone
    np.testing.assert_allclose(scale[0], 3**0.5 + 1e-4)


def test_returns_to_go_minus_whole_returns_are_unbiased_and_baselines_of_turns_are_not():
    """A policy that may stop after its first turn: the expected gradient over all pairs of episodes, by hand."""
    logits = np.array([[0.3, -0.2], [0.1, 0.5]])  # of the actions in two turns; the first action of the first one stops
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    episodes = [((0,), (1.0,)), ((1, 0), (0.2, -0.5)), ((1, 1), (0.2, 2.0))]

    def score(turn, action):
        """The gradient of an action's log-probability by the logits."""
        gradient = np.zeros_like(logits)
        gradient[turn] = -probability[turn]
        gradient[turn, action] += 1
        return gradient

    def chance(actions):
        return np.prod([probability[turn, action] for turn, action in enumerate(actions)])

    def expected(advantages):
        total = np.zeros_like(logits)
        for pair in itertools.product(episodes, repeat=2):
            lengths = np.array([len(actions) for actions, _ in pair])
            rewards = np.concatenate([np.array(rewards) for _, rewards in pair])
            steps = [(turn, action) for actions, _ in pair for turn, action in enumerate(actions)]
            weights = advantages(rewards, lengths)
            share = chance(pair[0][0]) * chance(pair[1][0]) / 2
            total += share * sum(w * score(*step) for w, step in zip(weights, steps, strict=True))
        return total

    def returns(rewards, lengths):
        return np.array([part.sum() for part in np.split(rewards, np.cumsum(lengths)[:-1])])[None]

    def of_turns(rewards, lengths):
        """Each return to go minus that of the other episode from the same turn on, if it has come so far."""
        parts = [part[::-1].cumsum()[::-1] for part in np.split(rewards, np.cumsum(lengths)[:-1])]
        return [
            mine - (other[turn] if turn < len(other) else mine)
            for one, other in (parts, parts[::-1])
            for turn, mine in enumerate(one)
        ]

    exact = sum(
        chance(actions) * sum(rewards) * sum(score(turn, action) for turn, action in enumerate(actions))
        for actions, rewards in episodes
    )
    whole = expected(lambda rewards, lengths: leave_one_out(returns(rewards, lengths)).reshape(-1).repeat(lengths))
    to_go = expected(
        lambda rewards, lengths: without_past_rewards(leave_one_out(returns(rewards, lengths)), rewards, lengths)
    )
    np.testing.assert_allclose(whole, exact, atol=1e-12)
    np.testing.assert_allclose(to_go, exact, atol=1e-12)
    assert np.abs(expected(of_turns) - exact).max() > 0.01
