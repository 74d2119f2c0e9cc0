"""What judges that compare have in common: they ask which of two texts is better, in both orders."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from textgym.core import Sample, Score
from textgym.errors import JudgeError
from textgym.rewards.fallback import OnFailure
from textgym.rewards.judge.asking import Answer, Part
from textgym.rewards.judge.audit import AuditLog, audit_entry, batch_fields
from textgym.rewards.judge.backends.base import JudgeBackend, Verdict, backend_name
from textgym.rewards.judge.cache import VerdictCache
from textgym.rewards.judge.comparing import list_messages, pair_messages
from textgym.rewards.judge.llm_judge import LLMJudge
from textgym.rewards.judge.prompt import Chat
from textgym.rewards.judge.rubric import Rubric
from textgym.rewards.judge.text import has_words, shorten


class JudgeOptions(TypedDict, total=False):
    """Arguments of LLMJudge that judges that compare have too."""

    show_prompt: bool
    max_chars: int
    max_concurrency: int
    cache_size: int
    cache: str | Path | VerdictCache | None
    audit: str | Path | AuditLog | None
    on_failure: OnFailure
    name: str


class Comparisons:
    """Asks an LLMJudge's backend to compare texts, with its cache, its limits and its way with failures.

    Args:
        criteria: which of two texts is better, in your own words, or a rubric.
        backend: what answers, as for LLMJudge.
        options: further arguments of LLMJudge.

    Attributes:
        judge: the LLMJudge.
    """

    def __init__(self, criteria: str | Rubric, backend: JudgeBackend, **options: Unpack[JudgeOptions]) -> None:
        self.judge = LLMJudge(criteria, backend, **options)

    def failure(self) -> Score:
        """The score of a text whose comparisons failed."""
        return Score(None, {f"{self.judge.name}_failed": 1.0}, f"{self.judge.name}: {self.judge.last_failure}")

    def preferences(self, pairs: Sequence[tuple[Sample, Sample]]) -> list[tuple[float, float] | None]:
        """How much the first of each pair is preferred, 0 to 1: shown first and shown second. None: a call failed.

        Equal texts are as good as each other, and one with words is better than one without: that is not asked.
        """
        known = [_obvious(one.completion, other.completion) for one, other in pairs]
        open_pairs = [pair for pair, value in zip(pairs, known, strict=True) if value is None]
        chats = [self._pair(*order) for one, other in open_pairs for order in ((one, other), (other, one))]
        answers = self._ask(chats, [sample for pair in open_pairs for sample in (pair[0], pair[0])])
        found = []
        for i in range(len(open_pairs)):
            ahead, behind = (self._value(answers[2 * i + k], chats[2 * i + k]) for k in (0, 1))
            found.append(None if ahead is None or behind is None else (1 - ahead, behind))
        rest = iter(found)
        return [next(rest) if value is None else (value, value) for value in known]

    def listed(self, groups: Sequence[Sequence[Sample]]) -> list[list[tuple[float, float] | None]]:
        """The score of each text of each group, 0 to 1, beside the others: in a list and in the reversed one.

        Equal texts are shown once. A text without words has 0 and isn't shown, and one that is left alone has 1.
        """
        shown = [_different(group) for group in groups]
        several = [texts for texts in shown if len(texts) > 1]
        chats = [self._list(order) for texts in several for order in (texts, texts[::-1])]
        answers = self._ask(chats, [texts[0] for texts in several for _ in range(2)])
        columns = iter([self._parts(answer, chat) for answer, chat in zip(answers, chats, strict=True)])
        found: list[list[tuple[float, float] | None]] = []
        for group, texts in zip(groups, shown, strict=True):
            scores: dict[str, tuple[float, float] | None] = {sample.completion: (1.0, 1.0) for sample in texts}
            if len(texts) > 1:
                ahead, behind = next(columns), next(columns)
                for i, sample in enumerate(texts):
                    known = ahead is not None and behind is not None
                    scores[sample.completion] = (ahead[i], behind[-1 - i]) if known else None  # type: ignore[index]
            found.append([scores.get(sample.completion, (0.0, 0.0)) for sample in group])
        return found

    def _pair(self, first: Sample, second: Sample) -> Chat:
        judge = self.judge
        return pair_messages(
            judge.rubric,
            shorten(first.completion, judge.max_chars),
            shorten(second.completion, judge.max_chars),
            prompt=shorten(first.prompt, judge.max_chars) if judge.show_prompt else None,
            instruction=getattr(judge.backend, "instruction", None),
            control_tokens=getattr(judge.backend, "control_tokens", ()),
        )

    def _list(self, group: Sequence[Sample]) -> Chat:
        judge = self.judge
        return list_messages(
            judge.rubric,
            [shorten(sample.completion, judge.max_chars) for sample in group],
            prompt=shorten(group[0].prompt, judge.max_chars) if judge.show_prompt else None,
            instruction=getattr(judge.backend, "instruction", None),
            control_tokens=getattr(judge.backend, "control_tokens", ()),
        )

    def _ask(self, chats: list[Chat], about: Sequence[Sample]) -> list[Answer]:
        """The answers; what is logged are the verdicts, from 0 to 1 as their chats' scales have them."""
        answers = self.judge.ask(chats)
        if self.judge.audit is not None:
            batch = batch_fields(self.judge.name, backend_name(self.judge.backend), "abstain")
            self.judge.audit.write(
                audit_entry(batch, chat.rubric, i, sample, Part(i, 1.0, chat), answer, self._value(answer, chat))
                for i, (sample, chat, answer) in enumerate(zip(about, chats, answers, strict=True))
            )
        self.judge.report(about, dict(enumerate(answers)))
        return answers

    @staticmethod
    def _value(answer: Answer, chat: Chat) -> float | None:
        return chat.rubric.value(answer.outcome.score) if isinstance(answer.outcome, Verdict) else None

    @staticmethod
    def _parts(answer: Answer, chat: Chat) -> list[float] | None:
        if not isinstance(answer.outcome, Verdict):
            return None
        missing = [name for name in chat.rubric.names if name not in answer.outcome.components]
        if missing:
            raise JudgeError(f"A backend's verdict has no component {missing[0]!r}, expected {chat.rubric.names}.")
        return [chat.rubric.value(answer.outcome.components[name]) for name in chat.rubric.names]


def _different(group: Sequence[Sample]) -> list[Sample]:
    """The texts with words, each once, in an order that is not the group's."""
    by_text = {sample.completion: sample for sample in group if has_words(sample.completion)}
    return [by_text[text] for text in sorted(by_text)]


def _obvious(one: str, other: str) -> float | None:
    """The preference for the first text where it needs no judge."""
    words = has_words(one), has_words(other)
    if one == other or not any(words):
        return 0.5
    return None if all(words) else float(words[0])


def consistent(values: tuple[float, float]) -> bool:
    """Whether the same text is preferred in both orders, or neither in either."""
    ahead, behind = (round(value - 0.5, 9) for value in values)
    return (ahead > 0) == (behind > 0) and (ahead < 0) == (behind < 0)
