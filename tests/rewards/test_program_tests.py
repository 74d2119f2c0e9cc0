"""Programs are scored by all their tests; what is no test is an error that says so."""

import pickle

import pytest

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.rewards import ProgramTests, parse_reward
from textgym.scoring import score_samples

TESTS = (((3, 1, 2), (1, 2, 3)), ((1, 9), (1, 9)), ((), ()))


def scored(completion, reward, tests=TESTS):
    return score_samples(reward, [Sample("", completion, metadata={"tests": tests})])[0].value


@pytest.mark.parametrize(
    ("completion", "value", "share"),
    [(" sort", 1, 1), (" sort, take 9", 1, 1), (" take 9", 0, 2 / 3), (" sort it", 0, 0), ("", 0, 0), (" sum", 0, 0)],
)
def test_values(completion, value, share):
    assert scored(completion, ProgramTests()) == value
    assert scored(completion, parse_reward("program_tests(share=true)")) == pytest.approx(share)
    assert scored(completion, pickle.loads(pickle.dumps(ProgramTests(share=True)))) == pytest.approx(share)


def test_lists_are_as_good_as_tuples():
    assert scored("sort", ProgramTests(), [[[3, 1, 2], [1, 2, 3]]]) == 1


@pytest.mark.parametrize("tests", [None, (), 3, "abc", [1], [(1, 2)], [((1,), (2,), (3,))], [(("a",), (1,))]])
def test_what_is_no_test(tests):
    with pytest.raises(RewardError, match=r"expects pairs of lists of integers in metadata\['tests'\], but prompt -1"):
        scored("sort", ProgramTests(), tests)
