"""Whether a Python program passes tests, each run in a child process that can do nothing but compute.

prompt      "# Return the sum of the even numbers.\\n# f([3, 4, 8]) == 12\\ndef f(values):\\n    return"
completion  " sum(n for n in values if n % 2 == 0)"
reward      1.0, and 0.0 for " 12", or for a program that tries to write its own verdict
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from textgym.arguments import flag
from textgym.core import Sample, Score
from textgym.errors import ConfigError, RewardError
from textgym.rewards.base import BatchReward, check_batch
from textgym.sandbox import check_available, run, same


class CodeTests(BatchReward):
    """1 if the program passes all tests of its prompt, otherwise 0; it is run in a child process with limits.

    The program is ``metadata["before"]``, if there is any, and the completion. ``metadata["tests"]`` are pairs of the
    arguments of a call of ``metadata["function"]`` and what it should return. The child gets the arguments alone, can
    open no file, start no process and send no signal, and has limited time and memory, see :mod:`textgym.sandbox`; what
    it returns is compared here. A component "syntax" says whether the program compiles.

    Args:
        run_code: True, or the reward refuses: it runs what a model wrote.
        share: the share of tests that it passes instead.
        seconds: of processor time for all calls of a program.
        workers: children at a time; None: as many as there are processors, at most 8.

    Raises:
        ConfigError: ``run_code`` isn't True, or another argument makes no sense.
        SandboxError: this system can't hold a child process to its limits. Nothing is run then.
        RewardError: when called with a sample whose metadata lacks function or tests.

    >>> facts = {"function": "f", "tests": ((([3, 4],), 7), (([],), 0))}
    >>> texts = ["def f(values):\\n    return sum(values)", "def f(values):\\n    return 7", "def f("]
    >>> [score.value for score in CodeTests(run_code=True)([Sample("", text, metadata=facts) for text in texts])]
    [1.0, 0.0, 0.0]
    """

    name = "code_tests"

    def __init__(
        self, run_code: bool, *, share: bool = False, seconds: float = 1.0, workers: int | None = None
    ) -> None:
        if not flag("run_code", run_code):
            raise ConfigError(
                "The reward 'code_tests' runs programs that a model wrote, in child processes that can only compute. "
                "Say that you want that: CodeTests(run_code=True), in a formula code_tests(run_code=true)."
            )
        if not 0 < seconds <= 60:
            raise ConfigError(f"seconds={seconds!r} makes no sense, expected more than 0 and at most 60.")
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ConfigError(f"workers={workers!r} makes no sense, expected an integer from 1 up, or None.")
        check_available()
        self.run_code, self.share, self.seconds, self.workers = True, flag("share", share), seconds, workers

    def __call__(self, samples: Sequence[Sample], /) -> list[Score]:  # type: ignore[override]
        check_batch(self, samples)
        facts = [self._facts(sample) for sample in samples]
        workers = self.workers or min(8, os.cpu_count() or 1)
        if len(samples) < 2 or workers < 2:
            return [self._scored(sample, *one) for sample, one in zip(samples, facts, strict=True)]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(lambda pair: self._scored(pair[0], *pair[1]), zip(samples, facts, strict=True)))

    def score(self, sample: Sample, /) -> Score:
        return self([sample])[0]

    def _scored(self, sample: Sample, before: str, function: str, tests: list[tuple[list[Any], Any]]) -> Score:
        inputs = [given for given, _ in tests]
        outcome = run(before + sample.completion, function, inputs, seconds=self.seconds)
        passed = sum(
            len(output) == 1 and same(output[0], right)
            for output, (_, right) in zip(outcome.outputs, tests, strict=True)
        )
        share = passed / len(tests)
        return Score(share if self.share else float(share == 1), {self.name: share, "syntax": float(outcome.syntax)})

    def _facts(self, sample: Sample) -> tuple[str, str, list[tuple[list[Any], Any]]]:
        """The code before the completion, the function's name and its tests."""
        facts = sample.metadata
        before, function = facts.get("before", ""), facts.get("function")
        try:
            tests = [(list(given), right) for given, right in facts["tests"]]
        except (KeyError, TypeError, ValueError):
            tests = []
        if not tests or not isinstance(function, str) or not isinstance(before, str):
            raise RewardError(
                f"Reward {self.name!r} expects the name of a function in metadata['function'], and pairs of arguments "
                f"and what it returns in metadata['tests'], but prompt {sample.prompt_id} has {str(dict(facts))[:120]}."
            )
        return before, function, tests
