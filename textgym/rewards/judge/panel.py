"""Several judges instead of one: their mean is harder to please by accident, and their agreement says what it is worth.

judges      a small model in this process, a large one behind a server
verdicts    0.75 and 0.25
reward      0.5, with a spread of 0.5 among the components
"""

import statistics
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textgym.core import Reward, Sample, Score
from textgym.errors import ConfigError, did_you_mean
from textgym.rewards.base import Ask, BatchReward, Value, check_batch
from textgym.rewards.combine import statistics_of, unique_names
from textgym.rewards.functions import as_reward
from textgym.rewards.judge.agreement import krippendorff_alpha, mean_spearman
from textgym.rewards.judge.text import has_words
from textgym.scoring import background_of, reward_name, score_samples, scores_groups

COMBINE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far judges have agreed on the last texts.

    Attributes:
        alpha: Krippendorff's alpha for interval data. 1: perfect; 0: that of chance. Human raters of chats reach little
            more than 0.4.
        spearman: mean rank correlation of each two.
        texts: how many at least two of them have judged.
    """

    alpha: float
    spearman: float
    texts: int


class JudgeReward(BatchReward):
    """The mean of several judges, with their agreement.

    Each judge gets each batch once, all at the same time, in threads. A judge that has no verdict is left out of a
    text's mean; with fewer verdicts than ``quorum`` the reward abstains. Components: what each judge gave, by its name,
    and ``judges_spread``, the largest minus the smallest. ``statistics()`` has ``judges_alpha`` and ``judges_spearman``
    of the last texts, and a training run logs them.

    Args:
        judges: rewards, usually LLMJudge; a mapping names them. What they give should be on one scale, such as [0, 1].
        combine: "mean", "median" or "min" (a text is as good as the strictest judge finds it).
        quorum: verdicts that a text needs. None: more than half of the judges.
        disagreement_penalty: this times the standard deviation of a text's verdicts is subtracted: what one judge alone
            likes may be its blind spot (Coste et al., 2024, https://arxiv.org/abs/2310.02743).
        window: texts that the agreement is computed over, the last ones.
        name: the name in messages.

    Raises:
        ConfigError: fewer than two judges, another ``combine``, or a quorum that can't be met.

    >>> panel = JudgeReward({"strict": lambda samples: [0.25] * len(samples), "mild": lambda samples: [0.75, None]})
    >>> panel([Sample("", "one"), Sample("", "two")])
    [Score(value=0.5, components={'strict': 0.25, 'mild': 0.75, 'judges_spread': 0.5}), \
Score(value=None, components={'strict': 0.25, 'judges_spread': 0.0})]
    """

    def __init__(
        self,
        judges: Mapping[str, Reward] | Iterable[Reward],
        *,
        combine: Literal["mean", "median", "min"] = "mean",
        quorum: int | None = None,
        disagreement_penalty: float = 0.0,
        window: int = 1000,
        name: str = "judges",
    ) -> None:
        named: dict[str, Reward] = dict(judges) if isinstance(judges, Mapping) else {}
        each: list[Reward] = list(named.values()) if isinstance(judges, Mapping) else list(judges)
        self.judges = tuple(as_reward(judge) for judge in each)
        if len(self.judges) < 2:
            raise ConfigError(f"JudgeReward got {len(self.judges)} judges, expected two or more.")
        if combine not in COMBINE:
            raise ConfigError(f"JudgeReward got combine={combine!r}. {did_you_mean(str(combine), COMBINE)}")
        self.quorum = len(self.judges) // 2 + 1 if quorum is None else quorum
        if not 1 <= self.quorum <= len(self.judges) or not disagreement_penalty >= 0 or window < 2:
            raise ConfigError(
                f"JudgeReward got quorum={quorum!r} for {len(self.judges)} judges, disagreement_penalty="
                f"{disagreement_penalty!r}, window={window!r}. Expected a quorum of 1 to {len(self.judges)}, a penalty "
                "of 0 or more, and a window of 2 texts or more."
            )
        self.combine, self.disagreement_penalty, self.window, self.name = combine, disagreement_penalty, window, name
        self.names = list(named) if named else unique_names(reward_name(judge) for judge in self.judges)
        self.scope = "group" if any(scores_groups(judge) for judge in self.judges) else "sample"
        self.background = max(background_of(judge) for judge in self.judges)
        self._verdicts: deque[list[float]] = deque(maxlen=window)  # of the last texts, NaN for none
        self._lock = threading.Lock()

    def score(self, sample: Sample, /) -> Value:
        return self([sample])[0]

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        check_batch(self, samples)
        if not samples:
            return []
        with ThreadPoolExecutor(len(self.judges), thread_name_prefix="judges") as pool:
            return self._scores(samples, list(pool.map(lambda judge: score_samples(judge, samples), self.judges)))

    def begin_scoring(self, samples: Sequence[Sample], ask: Ask) -> Callable[[], list[Value]]:
        """Begin to score a batch: each judge as it may be asked. Returns what waits for the values."""
        asked = [ask(judge, samples) for judge in self.judges]
        return lambda: self._scores(samples, [wait() for wait in asked])

    def _scores(self, samples: Sequence[Sample], columns: Sequence[Sequence[Score]]) -> list[Value]:
        """The values of a batch, from the scores of each judge."""
        rows = [[column[i] for column in columns] for i in range(len(samples))]
        with self._lock:
            for sample, row in zip(samples, rows, strict=True):
                if has_words(sample.completion):  # judges give nothing for an empty text, unasked
                    self._verdicts.append([np.nan if score.value is None else score.value for score in row])
        return [self._joined(row) for row in rows]

    def _joined(self, row: Sequence[Score]) -> Score:
        components: dict[str, float] = {}
        for name, judge, score in zip(self.names, self.judges, row, strict=True):
            if score.value is not None:
                components[name] = score.value
            for part, value in score.components.items():
                if (key := f"{name}_{part.removeprefix(f'{reward_name(judge)}_')}") not in components:
                    components[key] = value
        failure = "; ".join(dict.fromkeys(score.failure for score in row if score.failure))
        given = [score.value for score in row if score.value is not None]
        if given:
            components[f"{self.name}_spread"] = max(given) - min(given)
        if len(given) < self.quorum:
            return Score(None, components, failure)
        penalty = self.disagreement_penalty * statistics.pstdev(given)
        return Score(COMBINE[self.combine](given) - penalty, components, failure)

    def agreement(self) -> Agreement:
        """Of the judges on the last ``window`` texts. NaN where there are too few."""
        with self._lock:
            rows = list(self._verdicts)
        table = np.array(rows, dtype=np.float64).reshape(-1, len(self.judges)).T  # (judges, texts)
        both = int(((~np.isnan(table)).sum(0) > 1).sum())
        return Agreement(krippendorff_alpha(table), mean_spearman(table), both)

    def statistics(self) -> dict[str, float]:
        found = self.agreement()
        own = {f"{self.name}_alpha": found.alpha, f"{self.name}_spearman": found.spearman}
        known = {name: value for name, value in own.items() if np.isfinite(value)}
        return {**known, **statistics_of(self.names, self.judges)}

    def __repr__(self) -> str:
        pairs = ", ".join(f"{name!r}: {judge!r}" for name, judge in zip(self.names, self.judges, strict=True))
        return f"JudgeReward({{{pairs}}})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}  # a lock can't be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())
