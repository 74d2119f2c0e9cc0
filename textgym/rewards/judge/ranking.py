"""Which of a prompt's completions are best? A ranking of them, turned into rewards.

prompt       "Tell me about the harbor."
completions  four, the judge prefers the second to all others and finds the rest equally good
rewards      0.333, 1.0, 0.333, 0.333
"""

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from textgym.core import Sample, Score
from textgym.errors import ConfigError, did_you_mean
from textgym.rewards.base import GroupReward, Value, check_batch
from textgym.rewards.fallback import settled
from textgym.rewards.judge.agreement import ranks
from textgym.rewards.judge.backends.base import JudgeBackend, backend_name
from textgym.rewards.judge.comparing import MOST_TEXTS
from textgym.rewards.judge.comparison import Comparisons, JudgeOptions, consistent
from textgym.rewards.judge.rubric import Rubric
from textgym.rewards.judge.text import shorten
from textgym.scoring import groups_of

METHODS = ("pairs", "list")
Both = tuple[float, float]  # what a text got shown first and shown second, or in a list and in the reversed one


class RankingJudge(GroupReward):
    """The place of a completion among the others of its prompt, by a judge: 0 for the last, 1 for the best.

    Equal ones share their places. Everything is asked in both orders, since judges prefer places.

    Components: ``judge_preference``, what the ranks are made of, from 0 to 1: with "pairs" the mean preference over the
    others, with "list" the mean score. ``judge_consistent``: with "pairs", the share of pairs whose orders agree. An
    abstention has only ``judge_failed``.

    Args:
        criteria: which of two texts is better, in your own words, or a rubric.
        backend: what answers, as for LLMJudge.
        method: "pairs" compares each two, k (k - 1) calls for k completions. "list" shows all in one chat, 2 calls:
            cheap, for judges that can hold many texts in view; 26 texts at most.
        opponents: with "pairs" and m here, each is compared with m neighbors on either side, in a circle by text, for
            2 k m calls. None: with all.
        as_ranks: False gives the preference itself.
        options: ``show_prompt``, ``max_chars``, ``max_concurrency``, ``cache_size``, ``cache``, ``audit`` (of
            the verdicts that the reward is made of), ``on_failure`` and ``name``, as for LLMJudge.

    Raises:
        ConfigError: an argument makes no sense.
        JudgeError: (when called, with ``on_failure="raise"``) a call failed.

    >>> def backend(chat):  # likes exclamation marks
    ...     first, second = (text.count("!") for text in chat[1]["content"].split("TEXT B")[:2])
    ...     return f"Score {chat.code}: {1 if first > second else 5 if second > first else 3}"
    >>> judge = RankingJudge("Which text is more lively?", backend)
    >>> [score.value for score in judge([Sample("Say hi:", text) for text in (" Hi.", " Hi!!", " Hi!", " Hello.")])]
    [0.16666666666666666, 1.0, 0.6666666666666666, 0.16666666666666666]
    """

    def __init__(
        self,
        criteria: str | Rubric,
        backend: JudgeBackend,
        *,
        method: Literal["pairs", "list"] = "pairs",
        opponents: int | None = None,
        as_ranks: bool = True,
        **options: Unpack[JudgeOptions],
    ) -> None:
        if method not in METHODS:
            raise ConfigError(f"RankingJudge got method={method!r}. {did_you_mean(str(method), METHODS)}")
        if opponents is not None and (opponents < 1 or method == "list"):
            raise ConfigError(f"RankingJudge got opponents={opponents} with {method!r}, expected 1 or more of 'pairs'.")
        self.comparisons = Comparisons(criteria, backend, **options)
        self.method, self.opponents, self.as_ranks = method, opponents, as_ranks
        self.name = self.comparisons.judge.name

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        check_batch(self, samples)
        groups = [members for members in groups_of(samples) if len(members) > 1]
        values: list[Value] = [None] * len(samples)
        scored = self._by_pairs(samples, groups) if self.method == "pairs" else self._by_lists(samples, groups)
        for members, preferences in zip(groups, scored, strict=True):
            scores = settled(self._scores(preferences), self.comparisons.judge.on_failure)
            for i, score in zip(members, scores, strict=True):
                values[i] = score
        return values

    def _by_pairs(self, samples: Sequence[Sample], groups: Sequence[list[int]]) -> list[list[list[Both]]]:
        """For each completion of each group, its preferences over others. All pairs of all groups are asked at once."""
        in_order = [sorted(members, key=lambda i: samples[i].completion) for members in groups]
        pairs = [pair for members in in_order for pair in self._pairs(members)]
        found: dict[int, list[Both]] = {i: [] for members in groups for i in members}
        asked = self.comparisons.preferences([(samples[i], samples[j]) for i, j in pairs])
        for (i, j), both in zip(pairs, asked, strict=True):
            if both is not None:
                found[i].append(both)
                found[j].append((1 - both[1], 1 - both[0]))
        return [[found[i] for i in members] for members in groups]

    def _pairs(self, members: Sequence[int]) -> list[tuple[int, int]]:
        """Each two, or of ``opponents`` = m, each with the m that follow it in a circle."""
        k = len(members)
        if self.opponents is None or 2 * self.opponents >= k - 1:
            return [(members[i], members[j]) for j in range(k) for i in range(j)]
        return [(members[i], members[(i + step) % k]) for i in range(k) for step in range(1, self.opponents + 1)]

    def _by_lists(self, samples: Sequence[Sample], groups: Sequence[list[int]]) -> list[list[list[Both]]]:
        longest = max(map(len, groups), default=0)
        if longest > MOST_TEXTS:
            raise ConfigError(f"A group has {longest} completions, a list {MOST_TEXTS}: take method='pairs'.")
        each = self.comparisons.listed([[samples[i] for i in members] for members in groups])
        return [[[] if both is None else [both] for both in group] for group in each]

    def _scores(self, preferences: Sequence[Sequence[Both]]) -> list[Score]:
        """The scores of a group: of each completion, what it got. Nothing: it abstains."""
        known = [i for i, each in enumerate(preferences) if each]
        means = {i: sum(map(sum, preferences[i])) / (2 * len(preferences[i])) for i in known}
        places = ranks(list(means.values())) if self.as_ranks else list(means.values())
        by_place = dict(zip(known, places, strict=True))
        scores = []
        for i, each in enumerate(preferences):
            if i not in means or (len(known) < 2 and self.as_ranks):
                scores.append(self.comparisons.failure())
                continue
            parts = {f"{self.name}_preference": means[i]}
            if self.method == "pairs":
                parts[f"{self.name}_consistent"] = sum(map(consistent, each)) / len(each)
            scores.append(Score(by_place[i], parts))
        return scores

    def statistics(self) -> dict[str, float]:
        return self.comparisons.judge.statistics()

    def __repr__(self) -> str:
        judge: Any = self.comparisons.judge
        return f"RankingJudge({shorten(judge.rubric.describe(), 60)!r}, {backend_name(judge.backend)})"
