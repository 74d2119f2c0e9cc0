"""Rewards that are asked in threads while episodes go on, such as a judge behind a server.

A reward says that it may be with its attribute ``background``. Who plays puts a :class:`Background` into the
environment's ``mdp`` and awaits the rewards later; an environment alone asks every reward at an episode's end.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from textgym.core import Reward, Sample, Score
from textgym.scoring import background_of, checked_scores, score_samples


class Asked:
    """The scores of a batch that a reward is working on. Called, it waits for them.

    Where the reward raises, so does this; called again it asks the reward again.

    Args:
        reward: who is asked.
        samples: the batch.
        values: waits for the reward's values.
    """

    def __init__(
        self, reward: Reward, samples: Sequence[Sample], values: Callable[[], Sequence[float | Score | None]]
    ) -> None:
        self._reward, self._samples = reward, samples
        self._values: Callable[[], Sequence[float | Score | None]] | None = values
        self._scores: list[Score] | None = None

    def __call__(self) -> list[Score]:
        if self._scores is None:
            values, self._values = self._values, None
            if values is None:
                self._scores = score_samples(self._reward, self._samples)
            else:
                self._scores = checked_scores(self._reward, self._samples, values())
        return self._scores


class Background:
    """Threads in which rewards score, as many for each as its attribute ``background`` says.

    A reward that is made of others has a method ``begin_scoring(samples, ask)``: it calls ``ask(part, samples)`` for
    each part and returns what waits for its own values. So of a product of a judge and a function only the judge is in
    threads.

    >>> class Slow:
    ...     background = 2
    ...     def __call__(self, samples):
    ...         return [float(len(sample.completion)) for sample in samples]
    >>> background = Background()
    >>> asked = background.ask(Slow(), [Sample("Say hi:", "hi")])
    >>> asked()
    [Score(value=2.0, components={})]
    """

    def __init__(self) -> None:
        # With each pool the reward, so that no other one gets its id.
        self._pools: dict[int, tuple[Reward, ThreadPoolExecutor]] = {}

    def ask(self, reward: Reward, samples: Sequence[Sample]) -> Asked:
        """Begin to score a batch. A reward that may not be asked in the background scores at once."""
        begin = getattr(reward, "begin_scoring", None)
        if begin is not None:
            return Asked(reward, samples, begin(samples, self.ask))
        threads = background_of(reward)
        if not threads:
            scores = score_samples(reward, samples)
            return Asked(reward, samples, lambda: scores)
        if id(reward) not in self._pools:
            self._pools[id(reward)] = reward, ThreadPoolExecutor(threads, thread_name_prefix="background")
        return Asked(reward, samples, self._pools[id(reward)][1].submit(score_samples, reward, samples).result)

    def __getstate__(self) -> dict[str, Any]:
        return {"_pools": {}}  # threads can't be pickled
