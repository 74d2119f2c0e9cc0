"""What becomes of completions for which a reward fails: the same four policies for every reward that can."""

import math
import statistics
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, Literal, cast

from textgym.core import Reward, Sample, Score
from textgym.errors import ConfigError, JudgeError, MetricError, RewardError, TextGymError, did_you_mean
from textgym.rewards.base import Ask, BatchReward, Value, check_batch
from textgym.rewards.functions import as_reward
from textgym.scoring import background_of, groups_of, reward_name, score_samples, scores_groups

OnFailure = Literal["raise", "abstain", "mean"] | float
POLICIES = ("raise", "abstain", "mean")
# What is wrong with one sample or one call. Other errors of textgym's say that something is set up wrongly.
FAILURES = (JudgeError, MetricError, RewardError)


class Fallback(BatchReward):
    """Another reward, and what a completion gets for which that reward fails.

    It fails where it raises an exception, returns what is no finite number, or says so with ``Score.failure``. Settings
    that make no sense and extras that are missing are errors under every policy.

    ==========  ======================================================================================================
    on_failure  A completion for which the reward fails
    ==========  ======================================================================================================
    "raise"     ends the program with the exception
    "abstain"   has no reward: it teaches nothing, and is in no mean
    "mean"      gets the mean of the others of its batch, and abstains if there are none. A batch is what was scored
                together: in an environment, the completions that ended in the same step
    a number    gets that number. Training takes it for what the text is worth
    ==========  ======================================================================================================

    A reward that raised for a batch is asked again for each sample alone, or for each group if it compares the
    completions of a prompt, so that one bad sample costs no other its value. The first failure warns, and
    ``info["reward_failure"]`` has the reason of each, whatever the policy.

    Args:
        reward: any reward.
        on_failure: "raise", "abstain", "mean" or a number.

    Attributes:
        failures: samples for which the reward failed until now.

    Raises:
        ConfigError: no reward, or another policy.

    >>> from textgym.rewards import reward
    >>> @reward
    ... def ratio(sample):
    ...     return len(sample.completion) / len(sample.references)
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     Fallback(ratio, "mean")([Sample("", "four", ("a",)), Sample("", "six", ("b", "c")), Sample("", "lost")])
    [Score(value=4.0, components={}), Score(value=1.5, components={}), Score(value=2.75, components={})]
    """

    def __init__(self, reward: Reward, on_failure: OnFailure = "abstain") -> None:
        self.inner = as_reward(reward)
        self.on_failure = checked_policy(on_failure, "Fallback")
        self.name = reward_name(self.inner)
        self.scope = "group" if scores_groups(self.inner) else "sample"
        self.background = background_of(self.inner)
        self.failures = 0
        self._lock = threading.Lock()

    def score(self, sample: Sample, /) -> Value:
        return self([sample])[0]

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        check_batch(self, samples)
        if self.on_failure == "raise":
            return [*settled(score_samples(self.inner, samples), self.on_failure)]
        return [*settled(self._scored(samples), self.on_failure)]

    def begin_scoring(self, samples: Sequence[Sample], ask: Ask) -> Callable[[], list[Value]]:
        """Begin to score a batch, as the other reward may be asked. Returns what waits for the values."""
        try:
            asked = ask(self.inner, samples)
        except Exception as error:  # of a part that isn't asked in the background
            if self.on_failure == "raise":
                raise
            asked = _raiser(error)
        if self.on_failure == "raise":
            return lambda: [*settled(asked(), self.on_failure)]
        return lambda: [*settled(self._scored(samples, asked), self.on_failure)]

    def _scored(self, samples: Sequence[Sample], asked: Callable[[], list[Score]] | None = None) -> list[Score]:
        """One Score a sample, with a failure instead of an exception. ``asked`` waits for scores that were begun."""
        try:
            return score_samples(self.inner, samples) if asked is None else asked()
        except Exception as error:
            if isinstance(error, TextGymError) and not isinstance(error, FAILURES):
                raise
            parts = groups_of(samples) if self.scope == "group" else [[i] for i in range(len(samples))]
            if len(parts) == 1:
                return self._failed(samples, error)
        scores = [Score(None)] * len(samples)
        for members in parts:
            for i, score in zip(members, self._scored([samples[i] for i in members]), strict=True):
                scores[i] = score
        return scores

    def _failed(self, samples: Sequence[Sample], error: Exception) -> list[Score]:
        reason = f"{self.name}: {type(error).__name__}: {error}"
        with self._lock:
            first, self.failures = self.failures == 0, self.failures + len(samples)
        if first:
            warnings.warn(
                f"Reward {self.name!r} failed for prompt_id {samples[0].prompt_id}, completion "
                f"{samples[0].completion[:60]!r}: {type(error).__name__}: {error} "
                f"{described(self.on_failure)}; further failures are only counted.",
                RuntimeWarning,
                stacklevel=4,
            )
        return [Score(None, {}, reason)] * len(samples)

    def __repr__(self) -> str:
        return f"Fallback({self.inner!r}, {self.on_failure!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}  # a lock can't be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def _raiser(error: Exception) -> Callable[[], list[Score]]:
    def fail() -> list[Score]:
        raise error

    return fail


def settled(scores: Iterable[Score], on_failure: OnFailure) -> list[Score]:
    """The scores of a batch, with what the policy puts in the place of those that failed. Their ``failure`` stays.

    Raises:
        RewardError: one failed, and the policy is "raise".

    >>> [score.value for score in settled([Score(1.0), Score(2.0), Score(None, {}, "no reply"), Score(None)], "mean")]
    [1.0, 2.0, 1.5, None]
    """
    batch = list(scores)
    failed = [score for score in batch if score.value is None and score.failure]
    if not failed or on_failure == "abstain":
        return batch
    if on_failure == "raise":
        raise RewardError(f"{failed[0].failure} To go on without such rewards, choose another policy than 'raise'.")
    present = [score.value for score in batch if score.value is not None]
    value = (statistics.fmean(present) if present else None) if on_failure == "mean" else float(on_failure)
    return [
        Score(value, score.components, score.failure) if score.value is None and score.failure else score
        for score in batch
    ]


def checked_policy(on_failure: object, owner: str) -> OnFailure:
    """The policy.

    Raises:
        ConfigError: there is no such policy. The message names ``owner``.
    """
    number = isinstance(on_failure, Real) and not isinstance(on_failure, bool)
    if on_failure in POLICIES or (number and math.isfinite(cast(float, on_failure))):
        return cast(OnFailure, on_failure)
    hint = did_you_mean(str(on_failure), POLICIES)
    raise ConfigError(f"{owner} got on_failure={on_failure!r}, expected one of these or a finite number. {hint}")


def described(on_failure: OnFailure) -> str:
    """What becomes of a completion, in words, for messages.

    >>> described("abstain"), described("mean"), described(0.5)
    ('It abstains', 'It gets the mean of its batch', 'It gets 0.5')
    """
    gets = "the mean of its batch" if on_failure == "mean" else str(on_failure)
    return "It abstains" if on_failure == "abstain" else f"It gets {gets}"
