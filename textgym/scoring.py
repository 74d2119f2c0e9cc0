"""How completions are scored: one call of a reward on a batch, what it returns checked, and what an info says of it.

Whoever calls a reward calls :func:`score_samples`: a reward that returns too few values, NaN or nothing at all is an
error that names the reward and the sample.
"""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

from textgym.core import Reward, Sample, Score
from textgym.errors import ConfigError, RewardError, TextGymError
from textgym.infos import Metadata


def reward_name(reward: object) -> str:
    """The name that a reward goes by in messages and in ``info["reward_components"]``."""
    name = getattr(reward, "name", None) or getattr(reward, "__name__", None)
    return str(name or type(reward).__name__)


def scores_groups(reward: object) -> bool:
    """Whether a reward compares the completions of a prompt, so that it needs all of a group at once.

    An environment can't ask it at an episode's end: it gives 0 with ``info["reward_abstained"]`` and
    ``info["reward_pending"]``. Who plays a group scores its samples together when the last of them has ended.

    >>> scores_groups(lambda samples: [0.0 for _ in samples])
    False
    """
    return getattr(reward, "scope", "sample") == "group"


def background_of(reward: object) -> int:
    """How many batches a reward may be given at a time, in threads, while episodes go on; 0: it is asked at their ends.

    It pays for a reward that waits, such as a judge behind a server. Training collects what comes late; an environment
    alone asks every reward at an episode's end.

    >>> background_of(lambda samples: [0.0 for _ in samples])
    0
    """
    return 0 if scores_groups(reward) else max(0, int(getattr(reward, "background", 0)))


def groups_of(samples: Sequence[Sample]) -> list[list[int]]:
    """The positions of the samples that belong together: equal in ``group`` and prompt.

    >>> groups_of([Sample("a:", "x"), Sample("b:", "x"), Sample("a:", "y"), Sample("a:", "z", group=7)])
    [[0, 2], [1], [3]]
    """
    groups: dict[tuple[int, int, str], list[int]] = {}
    for i, sample in enumerate(samples):
        groups.setdefault((sample.group, sample.prompt_id, sample.prompt), []).append(i)
    return list(groups.values())


def score_samples(reward: Reward, samples: Sequence[Sample]) -> list[Score]:
    """Call ``reward`` once on ``samples`` and check what comes back.

    Returns one ``Score`` per sample. A plain number becomes a ``Score`` without components, ``None`` one that abstains.

    Raises:
        RewardError: wrong number of values, NaN, infinity, or not a number. The message names reward and sample.

    >>> score_samples(lambda samples: [len(s.completion) for s in samples], [Sample("Say hi:", "hi")])
    [Score(value=2.0, components={})]
    """
    if not samples:
        return []
    try:
        values = reward(samples)
    except Exception as error:
        say_whose(error, reward, samples)
        raise
    return checked_scores(reward, samples, values)


def checked_scores(reward: object, samples: Sequence[Sample], values: Sequence[float | Score | None]) -> list[Score]:
    """What a reward has returned for a batch, as one ``Score`` per sample.

    Raises:
        RewardError: as :func:`score_samples`.
    """
    name = reward_name(reward)
    try:
        if isinstance(values, Mapping | Set):  # whose keys are no values in order
            raise TypeError
        count = len(values)
    except TypeError:
        raise RewardError(
            f"Reward {name!r} returned {type(values).__name__}, expected a sequence of {len(samples)} numbers, one per "
            "sample. To score one sample at a time, decorate the function with @textgym.reward."
        ) from None
    if count != len(samples):
        raise RewardError(
            f"Reward {name!r} returned {count} values for {len(samples)} samples, expected one per sample."
        )
    return [_checked(name, value, i, samples[i]) for i, value in enumerate(values)]


def say_whose(error: Exception, reward: object, samples: Sequence[Sample]) -> None:
    """Add to an exception of a user's reward which reward it comes from and what was scored, unless it says so."""
    begin = "Raised by the reward"
    if isinstance(error, TextGymError) or any(note.startswith(begin) for note in getattr(error, "__notes__", ())):
        return
    first = f"prompt_id {samples[0].prompt_id}, completion {samples[0].completion[:60]!r}"
    more = f", and {len(samples) - 1} more" if len(samples) > 1 else ""
    error.add_note(f"{begin} {reward_name(reward)!r}, scoring the sample of {first}{more}.")


def _checked(name: str, value: object, index: int, sample: Sample) -> Score:
    score = value if isinstance(value, Score) else Score(value)  # type: ignore[arg-type]
    where = f"sample {index} (prompt_id {sample.prompt_id}, completion {sample.completion[:60]!r})"
    for part, number in (("value", score.value), *score.components.items()):
        if number is None and part == "value":
            continue
        try:
            finite = math.isfinite(number)  # type: ignore[arg-type]
        except (TypeError, OverflowError):  # an integer beyond the largest float
            raise RewardError(
                f"Reward {name!r} returned {number!r} as {part} of {where}, expected a finite number, a Score or None."
            ) from None
        if not finite:
            raise RewardError(f"Reward {name!r} returned {number} as {part} of {where}, expected a finite number.")
    value = None if score.value is None else float(score.value)
    return Score(value, {part: float(number) for part, number in score.components.items()}, score.failure)


@dataclass(frozen=True, slots=True)
class PendingReward:
    """``info["reward_pending"]`` of a completion that is being scored in the background.

    Attributes:
        sample: the completion.
        reward: what scores it.
        scores: waits for the scores of its batch.
        index: its place among them.
    """

    sample: Sample
    reward: Reward
    scores: Callable[[], Sequence[Score]]
    index: int

    def result(self) -> tuple[float | None, dict[str, Any]]:
        """Wait for the reward, None where it abstains, and for the final info in place of the pending one."""
        score = self.scores()[self.index]
        return score.value, final_info(self.sample, score, self.reward)


class AsksInBackground(Protocol):
    """What :class:`textgym.background.Background` does for an environment."""

    def ask(self, reward: Reward, samples: Sequence[Sample], /) -> Callable[[], Sequence[Score]]: ...


def final_info(sample: Sample, score: Score, reward: Reward | None) -> dict[str, Any]:
    """What the last step of an episode says of it."""
    components = dict(score.components)
    if not components and reward is not None and score.value is not None:
        components = {reward_name(reward): score.value}  # a reward without parts is its own only part
    if sample.turns:
        components["partner"] = sum(turn.reward for turn in sample.turns)
    info: dict[str, Any] = {
        "prompt": sample.prompt,
        "prompt_id": sample.prompt_id,
        "metadata": Metadata(sample.metadata),
        "completion": sample.completion,
        "references": sample.references,
        "finish_reason": sample.finish_reason,
        "num_tokens": len(sample.token_ids),
        "reward_components": components,
    }
    if sample.turns:
        info["turns"] = sample.turns
    if score.failure:
        info["reward_failure"] = score.failure
    return info if score.value is not None else {**info, "reward_abstained": True}


def checked_reward(reward: Reward | None) -> Reward | None:
    """The reward, if it can be called, or None.

    Raises:
        ConfigError: it is something else.
    """
    if reward is not None and not callable(reward):
        raise ConfigError(
            f"reward={reward!r} can't be called, expected a function of a batch of samples, or None for no reward. "
            "Rewards by name work with gymnasium.make."
        )
    return reward
