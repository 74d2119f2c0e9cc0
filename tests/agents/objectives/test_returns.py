"""Returns of several episodes' tokens, on numbers worked out by hand."""

import numpy as np
import pytest

from tests.agents.four_tokens import slow_returns
from textgym.errors import ConfigError
from textgym_agents.objectives.returns import lambda_returns, n_step_returns, returns_to_go


def test_returns_to_go():
    rewards = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    assert returns_to_go(rewards, np.array([3, 1, 2])).tolist() == [7, 6, 4, 8, 48, 32]


def test_n_step_returns():
    rewards = np.array([1.0, 2.0, 4.0, 8.0])
    assert n_step_returns(rewards, 1).tolist() == [1, 2, 4, 8]
    assert n_step_returns(rewards, 2, 0.5).tolist() == [2, 4, 8, 8]
    assert n_step_returns(rewards, 9, 0.5).tolist() == [4, 6, 8, 8]


@pytest.mark.parametrize("td_lambda", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("cut", [False, True])
def test_lambda_returns_are_mixtures_of_n_step_returns(td_lambda, cut):
    rng = np.random.default_rng(0)
    lengths = np.array([4, 1, 6, 2])
    rewards, values = rng.normal(size=(2, 13))
    greedy = rng.random(13) < 0.5
    actual = lambda_returns(rewards, values, lengths, td_lambda, greedy if cut else None)
    parts = np.split(np.arange(13), lengths.cumsum()[:-1])
    follow = greedy if cut else np.ones(13, bool)
    expected = [g for part in parts for g in slow_returns(rewards[part], values[part], td_lambda, follow[part])]
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_lambda_returns_by_hand():
    rewards, values, lengths = np.array([1.0, 2.0, 4.0, 8.0]), np.array([9.0, 10.0, 20.0, 30.0]), np.array([3, 1])
    assert lambda_returns(rewards, values, lengths, 0.0).tolist() == [11.0, 22.0, 4.0, 8.0]
    assert lambda_returns(rewards, values, lengths, 1.0).tolist() == [7.0, 6.0, 4.0, 8.0]
    # 2 + (20 + 4) / 2 = 14, 1 + (10 + 14) / 2 = 13
    assert lambda_returns(rewards, values, lengths, 0.5).tolist() == [13.0, 14.0, 4.0, 8.0]
    # the second token was exploratory: the first one's return ends in the best one's value
    tried = np.array([True, False, True, True])
    assert lambda_returns(rewards, values, lengths, 0.5, tried).tolist() == [11.0, 14.0, 4.0, 8.0]


def test_lambda_returns_say_what_is_wrong():
    with pytest.raises(ConfigError, match=r"td_lambda is 1\.5"):
        lambda_returns(np.zeros(2), np.zeros(2), np.array([2]), 1.5)
    with pytest.raises(ConfigError, match="don't fit"):
        lambda_returns(np.zeros(3), np.zeros(3), np.array([2]), 1.0)
