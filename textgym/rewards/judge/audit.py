"""A judge's log in JSON lines: each reward with the question, the reply and all from which it can be computed again.

python -m textgym.rewards.judge judge.jsonl
1,204 rewards: 1,180 agree with their replies, 21 abstained, 3 were gated, 0 differ
3 requests, 1,290 tokens (1,200 read, 90 written)
"""

import json
import math
import os
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textgym.core import Sample
from textgym.errors import ConfigError, JudgeError, StorageError
from textgym.rewards.judge.asking import Answer, Part, weighted_mean
from textgym.rewards.judge.backends.account import Usage
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.cache import verdict_as_dict, verdict_from
from textgym.rewards.judge.prompt import PROMPT_VERSION, Chat
from textgym.rewards.judge.reading import parse_verdict
from textgym.rewards.judge.rubric import Criterion, Rubric
from textgym.rewards.judge.text import has_words

SAME = 1e-9  # difference of two rewards that are equal


class AuditLog:
    """A file to which a judge adds a line for each reward. Threads and processes may share it.

    It holds prompts, completions and replies, is readable for its owner only, and has no key in it.

    Args:
        path: the file. It is made at the first use, with its folder, and never shortened.

    Raises:
        StorageError: (at a reward) it can't be written: a log with gaps would prove nothing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def write(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add lines, all of them in one piece."""
        text = "".join(json.dumps(entry, ensure_ascii=True) + "\n" for entry in entries)
        if not text:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                data = memoryview(text.encode())
                while data:
                    data = data[os.write(file, data) :]
            finally:
                os.close(file)
        except OSError as error:
            raise StorageError(f"The judge's log {self.path} can't be written: {error}.") from error

    def __repr__(self) -> str:
        return f"AuditLog({str(self.path)!r})"


def batch_fields(judge: str, backend: str, on_failure: str | float) -> dict[str, Any]:
    """What the lines of a batch have in common.

    Args:
        judge: the judge's name.
        backend: what its backend is called.
        on_failure: what a failed call is paid.
    """
    return {
        "time": time.time(),
        "batch": uuid.uuid4().hex,
        "judge": judge,
        "backend": backend,
        "on_failure": on_failure,
        "prompt_version": PROMPT_VERSION,
    }


def audit_entry(
    batch: Mapping[str, Any],
    rubric: Rubric,
    index: int,
    sample: Sample,
    part: Part | None,
    answer: Answer | None,
    value: float | None,
) -> dict[str, Any]:
    """The line of a question that a reward is made of; most rewards are made of one.

    Args:
        batch: what the lines of its batch have in common.
        rubric: what the completion is judged by.
        index: tells the rewards of a batch apart.
        sample: the completion.
        part: the question; None: the completion has no visible character and was not asked about.
        answer: what came of it.
        value: the reward.
    """
    chat = None if part is None else part.chat
    outcome = None if answer is None else answer.outcome
    return {
        **batch,
        "rubric": asdict(rubric),
        "index": index,
        "weight": 1.0 if part is None else part.weight,
        "prompt_id": sample.prompt_id,
        "completion": sample.completion,
        "messages": None if chat is None else list(chat),
        "code": None if chat is None else chat.code,
        "source": "gated" if answer is None else answer.source,
        "verdict": verdict_as_dict(outcome) if isinstance(outcome, Verdict) else None,
        "error": str(outcome) if isinstance(outcome, JudgeError) else None,
        "reward": value,
    }


@dataclass(frozen=True, slots=True)
class Audit:
    """What a log says when its rewards are computed again.

    Attributes:
        rewards: how many.
        agree: rewards that their replies give again.
        abstained: those without a verdict, which have no reward or what the judge's ``on_failure`` pays.
        gated: completions without a visible character, which have the lowest reward.
        differ: (number of the first line, the reward there, what it should be or why it is none) of all others.
        usage: what the requests of these lines took, those of remembered verdicts left out.
    """

    rewards: int
    agree: int
    abstained: int
    gated: int
    differ: tuple[tuple[int, float | None, float | str | None], ...]
    usage: Usage

    def __str__(self) -> str:
        counts = f"{self.agree:,} agree with their replies, {self.abstained:,} abstained, {self.gated:,} were gated"
        lines = [f"{self.rewards:,} rewards: {counts}, {len(self.differ):,} differ"]
        lines += [str(self.usage)] if self.usage.requests else []
        lines += [f"line {number}: {logged} where it should be {right}" for number, logged, right in self.differ]
        return "\n".join(lines)


def recompute(path: str | Path) -> Audit:
    """Compute every reward of a judge's log again, from the reply or the probabilities in its line.

    Raises:
        ConfigError: the file can't be read, or a line in it is none of a judge's log.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The judge's log {path} can't be read: {error}.") from error
    rewards: dict[tuple[str, int], list[_Line]] = {}  # the lines of each
    for number, line in enumerate(lines, start=1):
        entry, right = _entry(line, f"Line {number} of {path}")
        rewards.setdefault((entry["batch"], entry["index"]), []).append((number, entry, right))
    means = {key: _combined(parts) for key, parts in rewards.items()}
    found: dict[str, list[float]] = {}  # the rewards of each batch that come from verdicts
    for (batch, _), right in means.items():
        if isinstance(right, float):
            found.setdefault(batch, []).append(right)
    counts = Counter[str]()
    differ: list[tuple[int, float | None, float | str | None]] = []
    usage, counted = Usage(), set[tuple[str, ...]]()
    for key, parts in rewards.items():
        number, entry, _ = parts[0]
        failed = means[key] is None
        right = _instead(entry["on_failure"], found.get(key[0], [])) if failed else means[key]
        wrong = [one["reward"] for _, one, _ in parts if not _equal(one["reward"], right)]
        if wrong:
            differ.append((number, wrong[0], right))
        else:
            counts["abstained" if failed else "gated" if entry["source"] == "gated" else "agree"] += 1
        for _, one, _ in parts:
            question = (one["judge"], one["backend"], json.dumps(one["messages"]))
            taken = (one["verdict"] or {}).get("usage")
            if one["source"] == "asked" and taken and question not in counted:
                counted.add(question)  # equal completions of a batch have a line each and were asked once
                usage += Usage(**taken)
    return Audit(len(rewards), counts["agree"], counts["abstained"], counts["gated"], tuple(differ), usage)


_Line = tuple[int, dict[str, Any], float | str | None]  # its number, what it says, and what its evidence gives


def _combined(parts: Sequence[_Line]) -> float | str | None:
    """The reward of its parts, each from 0 to 1; what is wrong with one of them; or None: one failed."""
    values = [(float(entry["weight"]), right) for _, entry, right in parts]
    known = [(weight, right) for weight, right in values if isinstance(right, float)]
    if len(known) == len(values):
        return weighted_mean(known)
    return next((right for _, right in values if isinstance(right, str)), None)


def _entry(line: str, where: str) -> tuple[dict[str, Any], float | str | None]:
    """A line, and the reward that its evidence gives."""
    try:
        entry = json.loads(line)
        right = _reward_of(entry)
        for name in ("reward", "batch", "index", "weight", "judge", "backend", "on_failure"):
            entry[name]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{where} is none of a judge's log ({error!r}).") from error
    return entry, right


def _instead(on_failure: str | float, others: Sequence[float]) -> float | None:
    """What a failed call was paid."""
    if on_failure == "mean":
        return statistics.fmean(others) if others else None
    return None if isinstance(on_failure, str) else float(on_failure)


def _equal(logged: float | None, right: float | str | None) -> bool:
    if isinstance(right, str) or logged is None or right is None:
        return logged is right
    return math.isclose(logged, right, rel_tol=0, abs_tol=SAME)


def _reward_of(entry: Mapping[str, Any]) -> float | str | None:
    """The reward of a line as its evidence gives it, or what is wrong with the evidence."""
    rubric = _rubric_from(entry["rubric"])
    if entry["source"] == "gated":
        return "a visible completion that was not judged" if has_words(entry["completion"]) else 0.0
    if entry["verdict"] is None:
        return None
    verdict, chat = verdict_from(entry["verdict"]), Chat(entry["messages"], entry["code"], rubric)
    if not any(chat.code in message["content"] for message in chat):
        return "another question's code"
    if verdict.probabilities:
        means = {name: _mean(levels) for name, levels in verdict.probabilities.items()}
        return rubric.value(rubric.score(means))
    if not verdict.reply:
        return rubric.value(verdict.score)  # the backend's own number is all the evidence there is
    try:
        return rubric.value(parse_verdict(verdict.reply, chat).score)
    except JudgeError as error:
        return str(error)


def _mean(levels: Mapping[int, float]) -> float:
    """The expected value of the levels.

    >>> _mean({4: 0.5, 5: 0.5})
    4.5
    """
    return math.fsum(level * p for level, p in levels.items()) / math.fsum(levels.values())


def _rubric_from(stored: Mapping[str, Any]) -> Rubric:
    criteria = (
        Criterion(**{**criterion, "levels": {int(level): words for level, words in criterion["levels"].items()}})
        for criterion in stored["criteria"]
    )
    return Rubric(tuple(criteria), stored["lowest"], stored["highest"])
