"""Each algorithm reaches its row's score on Copy, from the built-in model, with plain defaults and the same tokens."""

import pytest

from textgym_agents import ALGORITHMS, make
from textgym_agents.evaluation import evaluate

ID = "textgym/Copy-v0"
SCORES = {name: row.learning for name, row in ALGORITHMS.items() if row.learning is not None}


def test_every_algorithm_states_a_score_below_all_that_was_measured():
    assert {*SCORES} == {*ALGORITHMS} - {"random", "zero_shot"}
    assert all(score.gain < min(score.measured) for score in SCORES.values())


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", SCORES)
def test_it_reaches_its_score_on_copy(name, seed):
    score = SCORES[name]
    start = evaluate(make("zero_shot", ID, seed=seed), ID, 200, seed=seed).reward
    algorithm = make(name, ID, seed=seed)
    algorithm.learn(score.timesteps)
    assert 0.5 < start < 0.7
    assert evaluate(algorithm, ID, 200, seed=seed).reward > start + score.gain
