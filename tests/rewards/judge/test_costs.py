"""What a run's judges will cost, before anything is asked."""

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.rewards import BLEU
from textgym.rewards.judge import (
    Account,
    Criterion,
    JudgeReward,
    LLMJudge,
    OpenAIBackend,
    PairwiseJudge,
    Prices,
    RankingJudge,
    Rubric,
    estimate,
)
from textgym.rewards.judge.costs import judges_in

TEXTS = [Sample(f"Say {i % 5}.", f"Text {i % 8}.", references=("A text.",), prompt_id=i % 5) for i in range(40)]
URL = "http://127.0.0.1:9/v1"  # where nobody answers


def never(chat: object) -> str:
    raise AssertionError("nothing is asked for an estimate")


def chars(judge: LLMJudge) -> int:
    return sum(len(message["content"]) for message in judge.messages(TEXTS[0]))


def test_calls_tokens_and_money_follow_from_a_sample(tmp_path) -> None:
    account = Account(prices=Prices(input=1, output=10))
    log = tmp_path / "log"
    judge = LLMJudge("Is it kind?", OpenAIBackend("m", URL, account=account), audit=log, cache=tmp_path / "cache")
    found = estimate(judge, TEXTS, 10_000)
    assert found.usage.requests == 10_000  # 40 different pairs of prompt and text
    tokens = chars(judge) / 4 * 10_000
    assert found.usage.input_tokens == pytest.approx(tokens, rel=0.01)
    assert found.usage.output_tokens == 1_000_000
    assert found.usage.money == pytest.approx(tokens / 1e6 + 10, rel=0.01)
    assert str(found).startswith("about 10,000 judge calls for 10,000 completions, ")
    assert (judge.calls, account.used.requests, [*tmp_path.iterdir()]) == (0, 0, [])


def test_equal_and_empty_texts_are_not_counted() -> None:
    texts = [Sample("Say.", " " if i < 10 else f"Text {i % 3}.") for i in range(40)]
    assert estimate(LLMJudge("Is it kind?", never), texts, 400).usage.requests == 30


def test_what_was_spent_makes_it_exact_and_a_budget_that_is_too_small_is_named() -> None:
    account = Account(max_requests=1000, max_tokens=100_000)
    judge = LLMJudge("Is it kind?", OpenAIBackend("m", URL, account=account))
    with account.request(chars(judge)) as spend:
        spend(50, 7)
    found = estimate(judge, TEXTS, 990)
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.money) == (990 * 50, 990 * 7, None)
    assert found.beyond == ()
    found = estimate(judge, TEXTS, 2000)
    assert found.beyond == ("requests", "tokens")
    assert str(found).endswith("; more than the budget in requests and tokens")


def test_judges_are_found_in_rewards_of_all_kinds() -> None:
    kind = LLMJudge("Is it kind?", never, name="kind")
    short = LLMJudge("Is it short?", never, name="short")
    panel = JudgeReward([kind, short])
    assert list(judges_in(0.5 * kind + 0.5 * BLEU() * panel)) == [kind, short]
    assert estimate(0.5 * BLEU() + 0.5 * panel, TEXTS, 100).usage.requests == 200
    assert estimate(BLEU(), TEXTS, 100) is None
    with pytest.raises(ConfigError, match="needs samples"):
        estimate(kind, [], 100)


def test_two_criteria_cost_one_call() -> None:
    both = Rubric((Criterion("Is it kind?", "kind"), Criterion("Is it short?", "short")))
    assert estimate(LLMJudge(both, never), TEXTS, 100).usage.requests == 100


@pytest.mark.parametrize(
    ("judge", "group_size", "calls"),
    [
        (PairwiseJudge("Which is kinder?", never), 1, 200),  # both orders
        (RankingJudge("Which is kinder?", never), 4, 300),  # 4 * 3 for each four
        (RankingJudge("Which is kinder?", never, method="list"), 4, 50),  # 2 for each four
        (RankingJudge("Which is kinder?", never, method="list"), 80, None),
    ],
)
def test_judges_that_compare_take_their_own_number(judge, group_size: int, calls: int | None) -> None:
    texts = [Sample(f"Say {i}.", f"Text {i}.", references=("A text.",), prompt_id=i) for i in range(40)]
    if calls is None:
        with pytest.raises(ConfigError, match="26"):
            estimate(judge, texts, 100, group_size=group_size)
    else:
        assert estimate(judge, texts, 100, group_size=group_size).usage.requests == calls


def test_prices_that_one_judge_lacks_leave_tokens_alone() -> None:
    paid = LLMJudge("Is it kind?", OpenAIBackend("m", URL, account=Account(prices=Prices(1, 1))), name="a")
    free = LLMJudge("Is it short?", never, name="b")
    assert estimate(0.5 * paid + 0.5 * free, TEXTS, 100).usage.money is None
    assert estimate(paid, TEXTS, 100).usage.money is not None
