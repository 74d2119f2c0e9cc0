"""A language model as judge: criteria in your own words, a score from 1 to 5, a reward from 0 to 1.

prompt      "Tell me about the harbour."
completion  " The harbour lies in the north of the town. Forty boats sail from it."
criteria    "Is the text fluent, and does it stay on its subject?"
verdict     4, so the reward is (4 - 1) / (5 - 1) = 0.75
"""

import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from textgym.core import Sample, Score
from textgym.errors import BudgetError, ConfigError, JudgeError, did_you_mean
from textgym.rewards.base import BatchReward, Value
from textgym.rewards.fallback import OnFailure, checked_policy, described, settled
from textgym.rewards.judge.asking import Answer, Part, Questions, is_failure, weighted_mean
from textgym.rewards.judge.audit import AuditLog, audit_entry, batch_fields
from textgym.rewards.judge.backends.account import Account
from textgym.rewards.judge.backends.base import BatchBackend, JudgeBackend, Verdict, backend_name
from textgym.rewards.judge.cache import VerdictCache
from textgym.rewards.judge.prompt import Chat, judge_messages
from textgym.rewards.judge.rubric import Rubric, as_rubric
from textgym.rewards.judge.text import has_words, shorten, visible, windows


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
        long_texts: "cut", or "windows": a completion of more than ``max_chars`` is judged in as many pieces as it
            needs, each in a call of its own, so that nothing is unseen. Its reward is their mean by length.
        max_concurrency: calls at a time for a backend that answers one chat per call, over all threads; 1 if it isn't
            thread-safe.
        cache_size: verdicts to remember, least recently used dropped first. Failures aren't remembered. 0 for none.
        cache: a file that keeps all verdicts, for later runs and other processes, see VerdictCache. A question is known
            there by its every word, the rubric and the backend.
        audit: a file that gets a line for each reward, with its question and its reply: see AuditLog.
        on_failure: what a completion gets whose call failed: "raise", "abstain", "mean" or a number, see
            :class:`textgym.rewards.Fallback`. Failed calls are counted in ``failures``; the first one warns.
        name: the name in messages and components.

    Attributes:
        calls: chats sent to the backend so far. Equal questions, in a batch or of several threads at a time, and
            remembered ones are asked once.
        failures: how many of them failed.
        last_failure: why, of the last batch in which some did.
        background: batches that training may ask for at a time while episodes go on, see
            :func:`textgym.scoring.background_of`: ``max_concurrency``, or 1 for a backend that answers many chats at
            once. 0: it is asked at the end of each episode, which waits for it.

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
        long_texts: Literal["cut", "windows"] = "cut",
        max_concurrency: int = 32,
        cache_size: int = 10_000,
        cache: str | Path | VerdictCache | None = None,
        audit: str | Path | AuditLog | None = None,
        on_failure: OnFailure = "raise",
        name: str = "judge",
    ) -> None:
        if not isinstance(criteria, str | Rubric) or not criteria:
            raise ConfigError(f"LLMJudge got criteria={criteria!r}. Expected words, such as 'Is the text fluent?'.")
        if not callable(backend):
            raise ConfigError(
                f"LLMJudge got backend={backend!r}. Expected LocalBackend('folder or name'), OpenAIBackend('model', "
                "'http://127.0.0.1:8000/v1'), or a callable from a list of messages to a reply."
            )
        if max_chars < 1 or max_concurrency < 1 or cache_size < 0:
            raise ConfigError(
                f"LLMJudge got max_chars={max_chars}, max_concurrency={max_concurrency}, cache_size={cache_size}. "
                "Expected 1 or more characters, 1 or more calls at a time, and 0 or more verdicts."
            )
        if long_texts not in ("cut", "windows"):
            hint = did_you_mean(str(long_texts), ("cut", "windows"))
            raise ConfigError(f"LLMJudge got long_texts={long_texts!r}. {hint}")
        self.rubric, self._backend, self.name = as_rubric(criteria), backend, name
        self.show_prompt, self.show_references, self.max_chars = show_prompt, show_references, max_chars
        self.long_texts = long_texts
        self.max_concurrency, self.on_failure = max_concurrency, checked_policy(on_failure, "LLMJudge")
        self.questions = Questions(cache_size, VerdictCache(cache) if isinstance(cache, str | Path) else cache)
        self.audit = AuditLog(audit) if isinstance(audit, str | Path) else audit
        self.failures, self.last_failure = 0, ""
        self.background = 1 if isinstance(backend, BatchBackend) else max_concurrency
        self._lock = threading.Lock()

    @property
    def backend(self) -> JudgeBackend:
        """Who is asked. What another one said is not remembered."""
        return self._backend

    @backend.setter
    def backend(self, backend: JudgeBackend) -> None:
        self._backend = backend
        self.questions.forget()

    @property
    def calls(self) -> int:
        """Chats sent to the backend so far."""
        return self.questions.calls

    def score(self, sample: Sample, /) -> Value:
        """The Score of one sample."""
        return self([sample])[0]

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        """One Score per sample. Raises JudgeError when a call fails and ``on_failure`` is "raise"."""
        if isinstance(samples, Sample):
            return super().__call__(samples)  # explains the mistake
        parts = [part for i, sample in enumerate(samples) for part in self._parts(i, sample)]
        asked = self.ask([part.chat for part in parts])
        by_sample: dict[int, list[tuple[Part, Answer]]] = {i: [] for i in range(len(samples))}
        for part, answer in zip(parts, asked, strict=True):
            by_sample[part.sample].append((part, answer))
        scores = [self._score(answers) for answers in by_sample.values()]
        if self.on_failure != "raise":
            scores = settled(scores, self.on_failure)
        if self.audit is not None:
            self._log(self.audit, samples, by_sample, scores)
        failed = {i: answer for i, answers in by_sample.items() for _, answer in answers if is_failure(answer)}
        self.report(samples, failed)
        return list(scores)

    def messages(self, sample: Sample) -> Chat:
        """The chat that the backend would be asked for ``sample``, to look at or to test a prompt with."""
        return self._chat(sample, shorten(sample.completion, self.max_chars))

    def _chat(self, sample: Sample, text: str) -> Chat:
        return judge_messages(
            self.rubric,
            text,
            prompt=shorten(sample.prompt, self.max_chars) if self.show_prompt else None,
            references=[shorten(text, self.max_chars) for text in sample.references] if self.show_references else (),
            instruction=getattr(self.backend, "instruction", None),
            control_tokens=getattr(self.backend, "control_tokens", ()),
        )

    def _parts(self, i: int, sample: Sample) -> list[Part]:
        """What is asked about a sample: nothing if it has no words, one chat, or one for each window."""
        text = sample.completion
        if not has_words(text):
            return []
        if self.long_texts == "cut" or len(text) <= self.max_chars:
            return [Part(i, 1.0, self.messages(sample))]
        pieces = windows(visible(text), self.max_chars)
        notes = [f"[part {n} of {len(pieces)} of a longer text]\n{piece}" for n, piece in enumerate(pieces, start=1)]
        return [
            Part(i, float(len(piece)), self._chat(sample, note))
            for piece, note in zip(pieces, notes, strict=True)
            if has_words(piece)
        ]

    def _log(
        self,
        audit: AuditLog,
        samples: Sequence[Sample],
        by_sample: Mapping[int, Sequence[tuple[Part, Answer]]],
        scores: Sequence[Score],
    ) -> None:
        batch = batch_fields(self.name, backend_name(self.backend), self.on_failure)
        lines: list[tuple[int, Part | None, Answer | None]] = []
        for i, answers in by_sample.items():
            lines += [(i, part, answer) for part, answer in answers] or [(i, None, None)]
        audit.write(
            audit_entry(batch, self.rubric, i, samples[i], part, answer, scores[i].value) for i, part, answer in lines
        )

    def ask(self, chats: Sequence[Chat]) -> list[Answer]:
        """The answers to chats of any kind, equal and remembered ones asked once. Failures are answers too."""
        return self.questions.ask(
            self.backend,
            chats,
            max_concurrency=self.max_concurrency,
            stop_at_failure=self.on_failure == "raise",
        )

    def report(self, samples: Sequence[Sample], answers: dict[int, Answer]) -> None:
        """Count the failures, and raise or warn of the first."""
        failed = {i: answer.outcome for i, answer in answers.items() if isinstance(answer.outcome, JudgeError)}
        if not failed:
            return
        first = min(failed)
        sample, error = samples[first], failed[first]
        message = (
            f"Judge {self.name!r} has no verdict for sample {first} (prompt_id {sample.prompt_id}, completion "
            f"{sample.completion[:60]!r}): {error}"
        )
        calls = {id(answer) for i, answer in answers.items() if i in failed and answer.source == "asked"}
        with self._lock:
            before, self.failures = self.failures, self.failures + len(calls)
            self.last_failure = str(error)
        if self.on_failure == "raise":
            raise (BudgetError if isinstance(error, BudgetError) else JudgeError)(message) from error.__cause__
        if not before:
            then = f"{described(self.on_failure)}; further failures are only counted."
            warnings.warn(f"{message} {then}", RuntimeWarning, stacklevel=3)

    def statistics(self) -> dict[str, float]:
        """Calls and failures in this process, and the tokens and money of a backend with an account."""
        found = {"calls": float(self.calls), "failures": float(self.failures)}
        account = getattr(self.backend, "account", None)
        if isinstance(account, Account):
            found["tokens"] = float(account.used.tokens)
            found |= {} if account.used.money is None else {"money": account.used.money}
        return {f"{self.name}_{what}": number for what, number in found.items()}

    def _score(self, answers: Sequence[tuple[Part, Answer]]) -> Score:
        if not answers:
            return Score(0.0, {f"{self.name}_score": float(self.rubric.lowest), f"{self.name}_gated": 1.0})
        verdicts = []
        for part, answer in answers:
            if not isinstance(answer.outcome, Verdict):
                reason = answer.outcome or "it was not asked"
                return Score(None, {f"{self.name}_failed": 1.0}, f"{self.name}: {reason}")
            verdicts.append((part.weight, answer.outcome))
        score = weighted_mean([(weight, verdict.score) for weight, verdict in verdicts])
        names = [
            name for name in verdicts[0][1].components if all(name in verdict.components for _, verdict in verdicts)
        ]
        means = {
            f"{self.name}_{name}": weighted_mean([(weight, verdict.components[name]) for weight, verdict in verdicts])
            for name in names
        }
        return Score(self.rubric.value(score), {f"{self.name}_score": score, f"{self.name}_gated": 0.0, **means})

    def __repr__(self) -> str:
        return f"LLMJudge({shorten(self.rubric.describe(), 60)!r}, {backend_name(self.backend)})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}  # a lock can't be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())
