"""What judging will cost, before anything is asked: calls, tokens and money, from a sample of the texts."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.rewards.base import BatchReward
from textgym.rewards.judge.asking import Answer, Questions
from textgym.rewards.judge.backends.account import CHARS_PER_TOKEN, TOKENS_PER_REPLY, Account, Usage
from textgym.rewards.judge.backends.base import JudgeBackend, Verdict
from textgym.rewards.judge.cache import question_key
from textgym.rewards.judge.comparison import Comparisons
from textgym.rewards.judge.llm_judge import LLMJudge
from textgym.rewards.judge.prompt import Chat
from textgym.rewards.judge.rubric import Rubric
from textgym.scoring import scores_groups


@dataclass(frozen=True, slots=True)
class Estimate:
    """What judging so many completions will take.

    Attributes:
        completions: how many.
        usage: requests, a question to one judge each, tokens and money, of all judges together. Equal completions
            share a request. Money is None where a judge's prices are unknown.
        beyond: what of an account's budget this passes: "requests", "tokens" or "money".

    >>> print(Estimate(1200, Usage(1100, 400_000, 50_000, 0.31)))
    about 1,100 judge calls for 1,200 completions, 450,000 tokens (400,000 read, 50,000 written), money 0.31
    """

    completions: int
    usage: Usage
    beyond: tuple[str, ...] = ()

    def __str__(self) -> str:
        tokens = str(self.usage).partition(", ")[2]
        beyond = f"; more than the budget in {' and '.join(self.beyond)}" if self.beyond else ""
        return f"about {self.usage.requests:,} judge calls for {self.completions:,} completions, {tokens}{beyond}"


def estimate(reward: Any, samples: Sequence[Sample], completions: int, *, group_size: int = 1) -> Estimate | None:
    """What the judges in a reward will take for so many completions; None: there is no judge in it. Nothing is asked.

    Tokens are those of the chats that the samples would make: counted by the model's tokenizer for LocalBackend; by
    characters for a server, as many for a token as its replies have had so far (4 before the first), with replies as
    long as those so far (100 tokens before the first). Attempts that fail come on top.

    Args:
        reward: a judge, or a reward with judges in it: a sum, a product, a panel.
        samples: texts such as those to be judged, best of the policy itself: 30 or more.
        completions: how many will be judged.
        group_size: completions of one prompt, which a judge that compares them gets together. Samples of several
            prompts stand in for those of one.

    Raises:
        ConfigError: there are no samples.

    >>> judge = LLMJudge("Is it kind?", lambda chat: "never called")
    >>> estimate(0.5 * judge, [Sample("Say:", "You fool."), Sample("Say:", "Thanks.")], 1000).usage.requests
    1000
    """
    judges = list(judges_in(reward))
    if not judges:
        return None
    if not samples:
        raise ConfigError("An estimate needs samples of the texts that will be judged, got none.")
    usage, priced, spent = Usage(), [], dict[int, tuple[Account, Usage]]()
    for unit in judges:
        backend = _inner(unit).backend
        batch = _grouped(samples, group_size) if scores_groups(unit) else samples
        one = _usage(backend, _chats(unit, batch), completions / len(batch))
        usage += one
        priced.append(one.money is not None or hasattr(backend, "count_tokens"))  # a model in this process is free
        account = getattr(backend, "account", None)
        if isinstance(account, Account):
            spent[id(account)] = (account, spent.get(id(account), (account, account.used))[1] + one)
    if not all(priced):
        usage = replace(usage, money=None)
    beyond = {name for account, total in spent.values() for name in account.beyond(total)}
    return Estimate(completions, usage, tuple(sorted(beyond)))


def judges_in(reward: Any) -> Iterator[Any]:
    """The judges that a reward asks, each once: LLMJudge and those that compare, in sums, products, panels, lists."""
    seen: set[int] = set()
    waiting = [reward]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, LLMJudge) or isinstance(getattr(one, "comparisons", None), Comparisons):
            yield one
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, BatchReward):
            waiting += vars(one).values()


def _inner(unit: Any) -> LLMJudge:
    judge: LLMJudge = unit if isinstance(unit, LLMJudge) else unit.comparisons.judge
    return judge


class _Planned(Questions):
    """Questions that are noted and not asked; each gets the middle of its scale."""

    def __init__(self) -> None:
        super().__init__(0, None)
        self.chats: dict[str, Chat] = {}

    def ask(self, backend: JudgeBackend, chats: Sequence[Chat], **settings: Any) -> list[Answer]:
        self.chats |= {question_key(chat, ""): chat for chat in chats}
        return [Answer(_middle(chat.rubric), "asked") for chat in chats]


def _middle(rubric: Rubric) -> Verdict:
    score = (rubric.lowest + rubric.highest) / 2
    return Verdict(score, {name: score for name in rubric.names if name})


def _chats(unit: Any, samples: Sequence[Sample]) -> list[Chat]:
    """The chats that a judge would ask for these samples."""
    unit, judge, planned = copy(unit), copy(_inner(unit)), _Planned()
    judge.questions, judge.audit = planned, None
    if isinstance(unit, LLMJudge):
        unit = judge
    else:
        unit.comparisons = copy(unit.comparisons)
        unit.comparisons.judge = judge
    unit(samples)
    return list(planned.chats.values())


def _grouped(samples: Sequence[Sample], size: int) -> list[Sample]:
    """Whole groups of the samples, each with one prompt. Too few samples are repeated with a mark of their own."""
    rounds = -(-max(size, 1) // len(samples))
    enough = [
        replace(one, completion=f"{one.completion} {n}" if n else one.completion)
        for n in range(rounds)
        for one in samples
    ]
    groups = [enough[start : start + size] for start in range(0, len(enough) - size + 1, max(size, 1))]
    return [
        replace(one, prompt=group[0].prompt, prompt_id=group[0].prompt_id, group=number)
        for number, group in enumerate(groups)
        for one in group
    ]


def _usage(backend: Any, chats: Sequence[Chat], factor: float) -> Usage:
    """What these chats take, times a factor."""
    account = getattr(backend, "account", None)
    read = written = 0.0
    for chat in chats:
        chars = sum(len(message["content"]) for message in chat)
        if hasattr(backend, "count_tokens"):
            read += backend.count_tokens(chat)
        elif isinstance(account, Account):
            expected = account.expected(chars)
            read, written = read + expected[0], written + expected[1]
        else:
            read, written = read + chars / CHARS_PER_TOKEN, written + TOKENS_PER_REPLY
    read, written = read * factor, written * factor
    prices = account.prices if isinstance(account, Account) else None
    money = None if prices is None else prices.of(read, written)
    return Usage(round(len(chats) * factor), round(read), round(written), money)
