"""Baselines of prompts: what they are by hand, how much variance is left, and that no return is in its own."""

import numpy as np
import pytest

from textgym_agents.objectives.prompt_baseline import PromptBaseline


def test_two_rollouts_by_hand():
    baseline = PromptBaseline(0.5)
    ids, returns = np.array([3, 0, 3]), np.array([1.0, 0.4, 0.2])
    # No mean yet: that of the others, 0.3, 0.6, 0.7; one other return of prompt 3, which counts 1 / (1 + 2).
    assert baseline.baselines(ids, returns) == pytest.approx([0.3 + (0.2 - 0.3) / 3, 0.6, 0.7 + (1.0 - 0.7) / 3])
    baseline.update(ids, returns)
    mean = 1.6 / 3
    between = (1 - mean) * (0.2 - mean)  # of the two returns of prompt 3
    assert between < 0
    assert (baseline.mean, baseline.shrinkage) == (pytest.approx(mean), np.inf)
    assert baseline.baselines(np.array([3, 7]), np.array([9.0, 9.0])) == pytest.approx([mean, mean])
    assert baseline.counts.tolist() == [1, 0, 0, 2, 0, 0, 0, 0]
    assert baseline.deviations[[0, 3]] == pytest.approx([0.4 - mean, 0.6 - mean])


def left(share, prompts, rollouts=200, group=1, seed=0):
    """The variance of returns minus their baselines over that of returns, in the second half of the rollouts."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(0.4, share**0.5, prompts)
    baseline, rest, plain = PromptBaseline(), [], []
    for number in range(rollouts):
        ids = np.repeat(rng.integers(prompts, size=64 // group), group)
        returns = worth[ids] + rng.normal(0, (1 - share) ** 0.5, len(ids)) + 0.01 * number  # the policy improves
        if number >= rollouts // 2:
            rest.extend(returns - baseline.baselines(ids, returns))
            plain.extend(returns - (baseline.mean or 0))
        baseline.update(ids, returns)
    return np.mean(np.square(rest)) / np.mean(np.square(plain)), baseline.shrinkage


@pytest.mark.parametrize(
    ("share", "prompts", "group", "least", "most"),
    [
        (0.68, 100, 1, 0.32, 0.40),  # as on Copy, with prompts that come again
        (0.68, 100_000, 4, 0.32, 0.48),  # other completions of the same rollout alone
        (0.61, 1000, 2, 0.39, 0.60),
        (0.01, 100, 1, 0.97, 1.02),  # as on SentimentContinuation: nothing to gain, nothing lost
        (0.68, 100_000, 1, 0.93, 1.02),  # hardly any prompt comes again
    ],
)
def test_variance_within_prompts_is_what_is_left(share, prompts, group, least, most):
    rest, shrinkage = left(share, prompts, group=group)
    assert least < rest < most
    if share > 0.5 and (group > 1 or prompts < 1000):
        assert shrinkage == pytest.approx((1 - share) / share, rel=0.5)


def test_no_return_is_in_its_own_baseline():
    rng = np.random.default_rng(1)
    baseline = PromptBaseline()
    for _ in range(3):  # the first rollout too
        ids, returns = rng.integers(4, size=12), rng.normal(size=12)
        for episode in range(12):
            other = returns.copy()
            other[episode] += 5
            one, two = (baseline.baselines(ids, values)[episode] for values in (returns, other))
            assert one == pytest.approx(two)
        baseline.update(ids, returns)


def test_it_goes_on_from_its_state():
    rng = np.random.default_rng(2)
    whole, later = PromptBaseline(), PromptBaseline()
    rollouts = [(rng.integers(6, size=16), rng.normal(size=16)) for _ in range(4)]
    for rollout in rollouts[:2]:
        whole.update(*rollout)
    later.set_state(whole.get_state())
    for rollout in rollouts[2:]:
        assert np.array_equal(whole.baselines(*rollout), later.baselines(*rollout))
        whole.update(*rollout)
        later.update(*rollout)
