"""Asking each question once: equal ones together, remembered ones not at all, and several at a time."""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from textgym.errors import ConfigError, JudgeError, TextGymError
from textgym.rewards.judge.backends.base import BatchBackend, JudgeBackend, Verdict, backend_identity, backend_name
from textgym.rewards.judge.cache import VerdictCache, question_key
from textgym.rewards.judge.prompt import Chat
from textgym.rewards.judge.reading import read_reply

Outcome = Verdict | JudgeError


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Attributes:
        outcome: a verdict, or what is wrong. None: not asked, because an earlier question failed.
        source: "asked", "remembered" (by this judge), "cache" (in the file), or "joined" (another thread asked it).
    """

    outcome: Outcome | None
    source: str


@dataclass(frozen=True, slots=True)
class Part:
    """One of the questions that a reward is made of.

    Attributes:
        sample: the position of the completion in its batch.
        weight: of its score in the reward.
        chat: the question.
    """

    sample: int
    weight: float
    chat: Chat


def is_failure(answer: Answer) -> bool:
    """Whether something went wrong with a question."""
    return isinstance(answer.outcome, JudgeError)


def weighted_mean(scores: Sequence[tuple[float, float]]) -> float:
    """The mean of (weight, score) pairs.

    >>> weighted_mean([(3.0, 4.0), (1.0, 2.0)])
    3.5
    """
    if len(scores) == 1:
        return scores[0][1]  # to the last bit
    return math.fsum(weight * score for weight, score in scores) / math.fsum(weight for weight, _ in scores)


class Questions:
    """What a judge has asked and was answered.

    Args:
        cache_size: verdicts to remember in this process, least recently used dropped first.
        cache: a file that keeps them all.
    """

    def __init__(self, cache_size: int, cache: VerdictCache | None) -> None:
        self.cache_size, self.cache = cache_size, cache
        self.calls = 0
        self._remembered: OrderedDict[str, Verdict] = OrderedDict()
        self._open: dict[str, Future[Outcome | None]] = {}  # asked by a thread that has no answer yet
        self._lock = threading.Lock()
        self._free, self._running = threading.Condition(), 0  # calls of all threads

    def ask(
        self, backend: JudgeBackend, chats: Sequence[Chat], *, max_concurrency: int, stop_at_failure: bool
    ) -> list[Answer]:
        """One answer per chat. Equal chats are asked once, also by several threads at the same time."""
        identity = self._identity(backend)
        keys = [question_key(chat, identity) for chat in chats]
        by_key = dict(zip(keys, chats, strict=True))
        answers: dict[str, Answer] = {}
        while missing := [key for key in by_key if key not in answers]:
            mine, others = self._take(missing)
            try:
                answers.update(self._known(mine))
                new = {key: by_key[key] for key in mine if key not in answers}
                asked = self._ask_new(backend, new, max_concurrency, stop_at_failure)
                answers.update({key: Answer(outcome, "asked") for key, outcome in asked.items()})
            finally:
                self._give_back(mine, answers)
            for key, future in others.items():
                outcome = future.result()
                if outcome is not None:  # else it was not asked: its thread had another failure
                    answers[key] = Answer(outcome, "joined")
            if stop_at_failure and any(isinstance(answer.outcome, JudgeError) for answer in answers.values()):
                answers.update({key: Answer(None, "asked") for key in by_key if key not in answers})
        return [answers[key] for key in keys]

    def forget(self) -> None:
        """Drop what is remembered in this process."""
        with self._lock:
            self._remembered.clear()

    def _identity(self, backend: JudgeBackend) -> str:
        identity = backend_identity(backend)
        if identity is None and self.cache is not None:
            raise ConfigError(
                f"A judge with a cache can't tell {backend_name(backend)} from other backends. Give it the attribute "
                "'identity': a text that changes whenever its verdicts could, such as the name of its model."
            )
        return f"of this process: {id(backend)}" if identity is None else identity

    def _known(self, keys: list[str]) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        with self._lock:
            for key in keys:
                if key in self._remembered:
                    self._remembered.move_to_end(key)
                    answers[key] = Answer(self._remembered[key], "remembered")
        rest = [key for key in keys if key not in answers]
        if self.cache is not None and rest:
            for key, verdict in self.cache.get(rest).items():
                answers[key] = Answer(verdict, "cache")
                self._remember(key, verdict)
        return answers

    def _take(self, keys: list[str]) -> tuple[list[str], dict[str, Future[Outcome | None]]]:
        """Those that this thread asks, and the open ones of others."""
        with self._lock:
            others = {key: self._open[key] for key in keys if key in self._open}
            mine = [key for key in keys if key not in others]
            self._open.update({key: Future() for key in mine})
        return mine, others

    def _give_back(self, keys: list[str], answers: dict[str, Answer]) -> None:
        with self._lock:
            futures = {key: self._open.pop(key) for key in keys}
        for key, future in futures.items():
            future.set_result(answers[key].outcome if key in answers else None)

    def _ask_new(
        self, backend: JudgeBackend, chats: dict[str, Chat], max_concurrency: int, stop_at_failure: bool
    ) -> dict[str, Outcome | None]:
        if not chats:
            return {}
        if isinstance(backend, BatchBackend):
            with self._turn(1):
                outcomes = self._ask_batch(backend, list(chats.values()))
            for key, outcome in zip(chats, outcomes, strict=True):
                self._keep(key, outcome)
            return dict(zip(chats, outcomes, strict=True))
        stop = threading.Event()

        def ask(key: str) -> Outcome | None:
            if stop.is_set():
                return None
            with self._turn(max_concurrency):
                outcome = None if stop.is_set() else self._ask_one(backend, chats[key])
            self._keep(key, outcome)  # at once: what is paid for isn't lost when a later one fails
            if isinstance(outcome, JudgeError) and stop_at_failure:
                stop.set()
            return outcome

        if len(chats) == 1 or max_concurrency == 1:
            return {key: ask(key) for key in chats}
        with ThreadPoolExecutor(min(max_concurrency, len(chats)), thread_name_prefix="judge") as pool:
            return dict(zip(chats, pool.map(ask, chats), strict=True))

    @contextmanager
    def _turn(self, most: int) -> Iterator[None]:
        """Within the block, one of at most so many calls at a time."""
        with self._free:
            self._free.wait_for(lambda: self._running < most)
            self._running += 1
        try:
            yield
        finally:
            with self._free:
                self._running -= 1
                self._free.notify_all()

    def _ask_one(self, backend: JudgeBackend, chat: Chat) -> Outcome:
        with self._lock:
            self.calls += 1
        try:
            return read_reply(backend, backend(chat), chat)
        except Exception as error:
            return _failure(backend, error)

    def _ask_batch(self, backend: BatchBackend, chats: list[Chat]) -> list[Outcome]:
        with self._lock:
            self.calls += len(chats)
        try:
            replies = list(backend.judge_batch(chats))
        except Exception as error:
            return [_failure(backend, error)] * len(chats)
        if len(replies) != len(chats):
            raise JudgeError(f"{backend_name(backend)} answered {len(replies)} of {len(chats)} chats, expected all.")
        return [read_reply(backend, reply, chat) for chat, reply in zip(chats, replies, strict=True)]

    def _keep(self, key: str, outcome: Outcome | None) -> None:
        if isinstance(outcome, Verdict):
            self._remember(key, outcome)
            if self.cache is not None:
                self.cache.put(key, outcome)

    def _remember(self, key: str, verdict: Verdict) -> None:
        with self._lock:
            self._remembered[key] = verdict
            while len(self._remembered) > self.cache_size:
                self._remembered.popitem(last=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"cache_size": self.cache_size, "cache": self.cache, "calls": self.calls}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["cache_size"], state["cache"])  # type: ignore[misc]
        self.calls = state["calls"]


def _failure(backend: object, error: Exception) -> JudgeError:
    """What a backend raised, as a failed call. A wrong setting is none: it is raised as it is."""
    if isinstance(error, JudgeError):
        return error
    if isinstance(error, TextGymError):
        raise error
    failure = JudgeError(f"{backend_name(backend)} raised {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
