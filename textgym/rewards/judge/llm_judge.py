"""A language model as judge: criteria in your own words, a score from 1 to 5, a reward from 0 to 1.

prompt      "Tell me about the harbour."
completion  " The harbour lies in the north of the town. Forty boats sail from it."
criteria    "Is the text fluent, and does it stay on its subject?"
verdict     4, so the reward is (4 - 1) / (5 - 1) = 0.75
"""

import hashlib
import json
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from textgym.core import Sample, Score
from textgym.errors import ConfigError, JudgeError, TextGymError, did_you_mean
from textgym.rewards.base import BatchReward, Value
from textgym.rewards.judge.backends.base import BatchBackend, JudgeBackend, Verdict, backend_name
from textgym.rewards.judge.prompt import Chat, judge_messages
from textgym.rewards.judge.reading import read_reply
from textgym.rewards.judge.rubric import Rubric, as_rubric
from textgym.rewards.judge.text import has_words, shorten

Outcome = Verdict | JudgeError


class LLMJudge(BatchReward):
    """What a language model gives by your criteria, in [0, 1].

    A call that fails (no reply, a refusal, no verdict) is a JudgeError and never a score. Only a completion without a
    visible character gets the lowest score unasked, with the component ``judge_gated`` set to 1: there is nothing to
    judge, and judges are known to like empty answers.

    Components: ``judge_score`` (1 to 5), ``judge_gated`` (0 or 1), and what the backend adds, such as
    ``judge_label_mass``. An abstention has only ``judge_failed``. ``name`` replaces "judge" in these.

    What is judged can't change the structure of the chat (see ``judge.prompt``), but it can talk a judge into a score,
    and training against a judge finds its blind spots: report a metric that was not trained on beside it.

    Args:
        criteria: what a good completion is, in your own words.
        backend: what answers: LocalBackend, OpenAIBackend, or any callable from a chat to a Verdict or a reply.
        show_prompt: show the prompt of the completion.
        show_references: show the references. Off by default: judges reward likeness to what they see.
        max_chars: characters shown of each of these; what is longer is cut in the middle, with a note.
        max_concurrency: calls at a time for a backend that answers one chat per call; 1 if it isn't thread-safe.
        cache_size: verdicts to remember, least recently used dropped first. Failures aren't remembered. 0 for none.
        on_failure: "raise", or "abstain": a failed call gives None and is counted in ``failures``; the first one warns.
        name: the name in messages and components.

    Attributes:
        calls: chats sent to the backend so far. Equal questions in a batch, and remembered ones, are asked once.
        failures: how many of them failed.

    Raises:
        ConfigError: an argument makes no sense.
        JudgeError: (when called, with "raise") a call failed. The message names sample and backend, and what was tried.

    >>> def backend(messages):  # any client of yours; see textgym.rewards.judge.backends.base
    ...     return f"Fluent, but it strays from the subject.\\nScore {messages.code}: 3"
    >>> judge = LLMJudge("Is the text fluent, and does it stay on its subject?", backend)
    >>> judge([Sample("Tell me about the harbour.", " Boats sail. Bread is good."), Sample("Tell me.", " ")])
    [Score(value=0.5, components={'judge_score': 3.0, 'judge_gated': 0.0}), \
Score(value=0.0, components={'judge_score': 1.0, 'judge_gated': 1.0})]
    """

    def __init__(
        self,
        criteria: str | Rubric,
        backend: JudgeBackend,
        *,
        show_prompt: bool = True,
        show_references: bool = False,
        max_chars: int = 4000,
        max_concurrency: int = 4,
        cache_size: int = 10_000,
        on_failure: Literal["raise", "abstain"] = "raise",
        name: str = "judge",
    ) -> None:
        if not isinstance(criteria, str | Rubric) or not criteria:
            raise ConfigError(f"LLMJudge got criteria={criteria!r}. Expected words, such as 'Is the text fluent?'.")
        if not callable(backend):
            raise ConfigError(
                f"LLMJudge got backend={backend!r}. Expected LocalBackend('folder or name'), OpenAIBackend('model', "
                "'http://127.0.0.1:8000/v1'), or a callable from a list of messages to a reply."
            )
        if on_failure not in ("raise", "abstain"):
            hint = did_you_mean(str(on_failure), ("raise", "abstain"))
            raise ConfigError(f"LLMJudge got on_failure={on_failure!r}. {hint}")
        if max_chars < 1 or max_concurrency < 1 or cache_size < 0:
            raise ConfigError(
                f"LLMJudge got max_chars={max_chars}, max_concurrency={max_concurrency}, cache_size={cache_size}. "
                "Expected 1 or more characters, 1 or more calls at a time, and 0 or more verdicts."
            )
        self.rubric, self.backend, self.name = as_rubric(criteria), backend, name
        self.show_prompt, self.show_references, self.max_chars = show_prompt, show_references, max_chars
        self.max_concurrency, self.cache_size, self.on_failure = max_concurrency, cache_size, on_failure
        self.calls = self.failures = 0
        self._cache: OrderedDict[str, Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def score(self, sample: Sample, /) -> Value:
        """The Score of one sample."""
        return self([sample])[0]

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        """One Score per sample. Raises JudgeError when a call fails, unless ``on_failure="abstain"``."""
        if isinstance(samples, Sample):
            return super().__call__(samples)  # explains the mistake
        questions: dict[str, int] = {}  # key -> first sample that asks it
        keys: list[str | None] = []
        for i, sample in enumerate(samples):
            key = self._question_key(sample) if has_words(sample.completion) else None
            keys.append(key)
            if key is not None:
                questions.setdefault(key, i)
        verdicts = {key: verdict for key in questions if (verdict := self._remembered(key)) is not None}
        asked = [key for key in questions if key not in verdicts]
        outcomes = self._ask([self.messages(samples[questions[key]]) for key in asked])
        failed: dict[str, JudgeError] = {}
        for key, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Verdict):
                verdicts[key] = outcome
                self._remember(key, outcome)
            elif outcome is not None:
                failed[key] = outcome
        self._report(samples, {questions[key]: error for key, error in failed.items()})
        return [self._score(key, verdicts) for key in keys]

    def messages(self, sample: Sample) -> Chat:
        """The chat that the backend would be asked for ``sample``, to look at or to test a prompt with."""
        return judge_messages(
            self.rubric,
            shorten(sample.completion, self.max_chars),
            prompt=shorten(sample.prompt, self.max_chars) if self.show_prompt else None,
            references=[shorten(text, self.max_chars) for text in sample.references] if self.show_references else (),
            instruction=getattr(self.backend, "instruction", None),
            control_tokens=getattr(self.backend, "control_tokens", ()),
        )

    def _ask(self, chats: list[Chat]) -> list[Outcome | None]:
        """One outcome per chat; None for one that was not asked because an earlier one failed."""
        if not chats:
            return []
        if isinstance(self.backend, BatchBackend):
            return self._ask_batch(self.backend, chats)
        stop = threading.Event()

        def ask(chat: Chat) -> Outcome | None:
            if stop.is_set():
                return None
            outcome = self._ask_one(chat)
            if isinstance(outcome, JudgeError) and self.on_failure == "raise":
                stop.set()
            return outcome

        if len(chats) == 1 or self.max_concurrency == 1:
            return [ask(chat) for chat in chats]
        with ThreadPoolExecutor(min(self.max_concurrency, len(chats)), thread_name_prefix="judge") as pool:
            return list(pool.map(ask, chats))

    def _ask_one(self, chat: Chat) -> Outcome:
        with self._lock:
            self.calls += 1
        try:
            return read_reply(self.backend, self.backend(chat), chat)
        except Exception as error:
            return self._failure(error)

    def _ask_batch(self, backend: BatchBackend, chats: list[Chat]) -> list[Outcome | None]:
        with self._lock:
            self.calls += len(chats)
        try:
            replies = list(backend.judge_batch(chats))
        except Exception as error:
            return [self._failure(error)] * len(chats)
        if len(replies) != len(chats):
            raise JudgeError(f"{backend_name(backend)} answered {len(replies)} of {len(chats)} chats, expected all.")
        return [read_reply(backend, reply, chat) for chat, reply in zip(chats, replies, strict=True)]

    def _failure(self, error: Exception) -> JudgeError:
        """What a backend raised, as a failed call. A wrong setting is none: it is raised as it is."""
        if isinstance(error, JudgeError):
            return error
        if isinstance(error, TextGymError):
            raise error
        failure = JudgeError(f"{backend_name(self.backend)} raised {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure

    def _report(self, samples: Sequence[Sample], failed: dict[int, JudgeError]) -> None:
        if not failed:
            return
        first = min(failed)
        sample, error = samples[first], failed[first]
        message = (
            f"Judge {self.name!r} has no verdict for sample {first} (prompt_id {sample.prompt_id}, completion "
            f"{sample.completion[:60]!r}): {error}"
        )
        if self.on_failure == "raise":
            self.failures += len(failed)
            raise JudgeError(message) from error.__cause__
        if not self.failures:
            warnings.warn(f"{message} It abstains; further failures are only counted.", RuntimeWarning, stacklevel=3)
        self.failures += len(failed)

    def _score(self, key: str | None, verdicts: dict[str, Verdict]) -> Score:
        if key is None:
            return Score(0.0, {f"{self.name}_score": float(self.rubric.lowest), f"{self.name}_gated": 1.0})
        if key not in verdicts:
            return Score(None, {f"{self.name}_failed": 1.0})
        verdict = verdicts[key]
        parts = {f"{self.name}_{part}": number for part, number in verdict.components.items()}
        return Score(
            self.rubric.value(verdict.score), {f"{self.name}_score": verdict.score, f"{self.name}_gated": 0.0, **parts}
        )

    def _question_key(self, sample: Sample) -> str:
        shown = [self.rubric.describe(), sample.completion]
        shown += ["prompt", sample.prompt] if self.show_prompt else []
        shown += ["references", *sample.references] if self.show_references else []
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()

    def _remembered(self, key: str) -> Verdict | None:
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
            return self._cache.get(key)

    def _remember(self, key: str, verdict: Verdict) -> None:
        with self._lock:
            self._cache[key] = verdict
            while len(self._cache) > self.cache_size:
                self._cache.popitem(last=False)

    def __repr__(self) -> str:
        return f"LLMJudge({shorten(self.rubric.describe(), 60)!r}, {backend_name(self.backend)})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict(), "_lock": None}  # a lock can't be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())
