"""Is the completion better than a reference? Asked in both orders, since judges prefer places.

prompt      "Tell me about the harbor."
completion  " The harbor lies in the north. Forty boats sail from it."
reference   "There is a harbor."
verdicts    1 of 5 shown first (it is much better), 4 of 5 shown second (it is better)
reward      (1.0 + 0.75) / 2 = 0.875
"""

from collections.abc import Sequence
from typing import Any, Unpack

from textgym.core import Sample, Score
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.rewards.base import BatchReward, Value, check_batch
from textgym.rewards.fallback import settled
from textgym.rewards.judge.backends.base import JudgeBackend, backend_name
from textgym.rewards.judge.comparison import Comparisons, JudgeOptions, consistent
from textgym.rewards.judge.rubric import Rubric
from textgym.rewards.judge.text import shorten


class PairwiseJudge(BatchReward):
    """How much a judge prefers the completion to the prompt's first reference: 0.5 is as good, 1 much better.

    Two calls for each text, one for each order. Comparisons are harder to talk round than scores, and a policy that
    writes as well as the references gets half: there is room above.

    Components: ``judge_first`` and ``judge_second``, the preference when the completion was shown first and second, and
    ``judge_consistent``, whether they agree. A share of 1 means that the judge reads; far below, that it goes by place.

    Args:
        criteria: which of two texts is better, in your own words, or a rubric.
        backend: what answers, as for LLMJudge.
        options: ``show_prompt``, ``max_chars``, ``max_concurrency``, ``cache_size``, ``cache``, ``audit`` (of
            the verdicts that the reward is made of), ``on_failure`` and ``name``, as for LLMJudge.

    Raises:
        ConfigError: an argument makes no sense.
        RewardError: (when called) a sample has no references.
        JudgeError: (when called, with ``on_failure="raise"``) a call failed.

    >>> def backend(chat):  # likes exclamation marks
    ...     first, second = (text.count("!") for text in chat[1]["content"].split("TEXT B")[:2])
    ...     return f"Score {chat.code}: {1 if first > second else 5 if second > first else 3}"
    >>> judge = PairwiseJudge("Which text is more lively?", backend)
    >>> judge([Sample("Say hi:", " Hi!", ("Hello.",))])
    [Score(value=1.0, components={'judge_first': 1.0, 'judge_second': 1.0, 'judge_consistent': 1.0})]
    """

    def __init__(self, criteria: str | Rubric, backend: JudgeBackend, **options: Unpack[JudgeOptions]) -> None:
        self.comparisons = Comparisons(criteria, backend, **options)
        self.name = self.comparisons.judge.name
        self.background = self.comparisons.judge.background

    def score(self, sample: Sample, /) -> Value:
        return self([sample])[0]

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        check_batch(self, samples)
        references = [references_of(sample, f"Reward {self.name!r}", RewardError)[0] for sample in samples]
        others = [Sample(sample.prompt, text) for sample, text in zip(samples, references, strict=True)]
        preferences = self.comparisons.preferences(list(zip(samples, others, strict=True)))
        return [*settled(map(self._score, preferences), self.comparisons.judge.on_failure)]

    def _score(self, both: tuple[float, float] | None) -> Score:
        if both is None:
            return self.comparisons.failure()
        parts = {"first": both[0], "second": both[1], "consistent": float(consistent(both))}
        return Score(sum(both) / 2, {f"{self.name}_{part}": value for part, value in parts.items()})

    def statistics(self) -> dict[str, float]:
        return self.comparisons.judge.statistics()

    def __repr__(self) -> str:
        judge: Any = self.comparisons.judge
        return f"PairwiseJudge({shorten(judge.rubric.describe(), 60)!r}, {backend_name(judge.backend)})"
