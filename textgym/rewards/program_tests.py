"""Whether a program of the list language does what its examples show.

prompt      "Examples: 3 1 2 -> 1 2; 9 4 5 -> 4 5; ..."
completion  " sort, take 2"
reward      1.0, and 0.0 for " sort", or for what is no program
"""

from collections.abc import Sequence
from typing import Any

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.rewards.base import BatchReward
from textgym.world.list_language import Numbers, parse


class ProgramTests(BatchReward):
    """1 if the completion is a program of the list language that passes all tests in ``metadata[key]``, otherwise 0.

    The program is interpreted by :mod:`textgym.world.list_language`, in which every program ends: no sandbox is needed.

    Args:
        share: the share of tests that it passes instead.
        key: where the tests are in the metadata: pairs of an input and the output that is right, each a sequence of
            integers.

    Raises:
        RewardError: when called with a sample whose metadata has no such pairs there.

    >>> tests = (((3, 1, 2), (1, 2, 3)), ((1, 9), (1, 9)))
    >>> samples = [Sample("", text, metadata={"tests": tests}) for text in (" sort", " take 9", " sort it")]
    >>> ProgramTests()(samples), ProgramTests(share=True)(samples)
    ([1.0, 0.0, 0.0], [1.0, 0.5, 0.0])
    """

    name = "program_tests"

    def __init__(self, share: bool = False, key: str = "tests") -> None:
        self.share, self.key = share, key

    def score(self, sample: Sample, /) -> float:
        tests = self._tests(sample)
        steps = parse(sample.completion)
        if steps is None:
            return 0.0
        passed = 0
        for numbers, right in tests:
            for step in steps:
                numbers = step(numbers)
            passed += numbers == right
        return passed / len(tests) if self.share else float(passed == len(tests))

    def _tests(self, sample: Sample) -> list[tuple[Numbers, Numbers]]:
        given: Any = sample.metadata.get(self.key)
        try:
            tests = [(_numbers(numbers), _numbers(right)) for numbers, right in given]
        except (TypeError, ValueError):
            tests = []
        if not tests:
            raise RewardError(
                f"Reward {self.name!r} expects pairs of lists of integers in metadata[{self.key!r}], but prompt "
                f"{sample.prompt_id} has {str(given)[:80]}. ProgramInduction's prompts have them."
            )
        return tests


def _numbers(value: Sequence[int]) -> Numbers:
    numbers = tuple(value)
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError
    return numbers
