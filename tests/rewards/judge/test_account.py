"""What a judge spends: counted, bounded, and no faster than it may be."""

import copy
import json
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from textgym.core import Sample
from textgym.errors import BudgetError, ConfigError, JudgeError
from textgym.rewards.judge import Account, LLMJudge, Prices, Usage, Verdict
from textgym.rewards.judge.backends import account as module

CRITERIA = "Is the text kind?"
PRICES = Prices(input=1_000, output=1_000)  # for a million


def backend_with(account: Account, tokens: tuple[int, int] = (100, 10)):
    def backend(messages: list[dict[str, str]]) -> Verdict:
        with account.request(sum(len(message["content"]) for message in messages)) as spend:
            spend(*tokens)
        return Verdict(4)

    return backend


def samples(number: int) -> list[Sample]:
    return [Sample("Say.", f"Text {i:03}.") for i in range(number)]


def test_usage_is_counted_with_its_price() -> None:
    account = Account(prices=PRICES)
    LLMJudge(CRITERIA, backend_with(account))(samples(7))
    assert account.used == Usage(7, 700, 70, pytest.approx(7 * 0.11))
    assert Account().used == Usage(0, 0, 0, None)


@pytest.mark.parametrize(
    ("bounds", "allowed"),
    [({"max_requests": 5}, 5), ({"max_tokens": 560}, 5), ({"max_money": 0.6, "prices": PRICES}, 5)],
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_spent_budget_ends_it_and_loses_nothing(bounds: dict[str, float], allowed: int, concurrency: int) -> None:
    account = Account(**bounds)
    judge = LLMJudge(CRITERIA, backend_with(account), max_concurrency=concurrency, on_failure="abstain")
    judge(samples(1))  # from which the account knows what the others will take
    with pytest.warns(RuntimeWarning, match=r"budget .* Verdicts so far are kept"):
        values = [score.value for score in judge(samples(12))]
    assert sum(value is not None for value in values) == allowed
    assert account.used.requests == allowed
    account.max_requests = account.max_tokens = account.max_money = None
    assert [score.value for score in judge(samples(12))] == [0.75] * 12
    assert account.used.requests == 12  # none was asked twice


def test_what_earlier_runs_spent_is_of_the_budget() -> None:
    account = Account(max_money=1.0, prices=PRICES, spent=Usage(5, 500, 100, 0.6))
    judge = LLMJudge(CRITERIA, backend_with(account), max_concurrency=1)
    with pytest.raises(BudgetError, match="spent so far are 8 requests, 930 tokens"):
        judge(samples(9))
    statistics = {"judge_calls": 4, "judge_failures": 1}  # of a backend without an account
    assert judge.statistics() == statistics
    judge.backend.account = account
    assert judge.statistics() == statistics | {"judge_tokens": 930, "judge_money": pytest.approx(0.93)}
    assert pickle.loads(pickle.dumps(account)).used == account.spent


def test_a_judge_that_raises_says_what_is_spent() -> None:
    judge = LLMJudge(CRITERIA, backend_with(Account(max_requests=2)), max_concurrency=1)
    with pytest.raises(BudgetError, match=r"sample 2 .*budget of 2 requests.*spent so far are 2 requests, 220 tokens"):
        judge(samples(5))
    assert issubclass(BudgetError, JudgeError)


def test_a_request_that_might_not_fit_waits_for_those_that_run() -> None:
    """Two run and are expected to take 800 of 900 tokens; they take 200, so that a third of 200 has room in the end."""
    account, started, release = Account(max_tokens=1000), threading.Barrier(3), threading.Event()
    with account.request(400) as spend:
        spend(100, 0)  # a token for four characters, and no reply

    def ask() -> None:
        with account.request(1600) as spend:
            started.wait(10)
            assert release.wait(10)
            spend(100, 0)

    def third() -> None:
        with account.request(800) as spend:
            assert release.is_set()
            spend(200, 0)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(ask), pool.submit(ask)]
        started.wait(10)
        running.append(pool.submit(third))
        time.sleep(0.02)
        assert account.used.requests == 3
        release.set()
        for future in running:
            future.result(10)
    assert account.used == Usage(4, 500, 0)


def test_no_more_run_at_a_time_than_may() -> None:
    account, lock, running, peak = Account(max_concurrency=3), threading.Lock(), 0, 0

    def ask(_: int) -> None:
        nonlocal running, peak
        with account.request(100):
            with lock:
                running += 1
                peak = max(peak, running)
            time.sleep(0.005)
            with lock:
                running -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(16)))
    assert peak == 3


@pytest.mark.parametrize("bounds", [{"requests_per_minute": 4}, {"tokens_per_minute": 460}])
def test_what_goes_beyond_a_rate_waits(bounds: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 0.2)
    account, moments = Account(**bounds), []

    def ask(_: int) -> None:
        with account.request(400) as spend:
            moments.append(time.monotonic())
            spend(100, 10)

    ask(0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(9)))
    moments.sort()
    assert all(later - earlier > 0.19 for earlier, later in zip(moments, moments[4:], strict=False))
    assert moments[-1] - moments[0] < 5


def test_copies_share_an_account_and_pickles_begin_anew() -> None:
    account = Account(max_requests=3, prices=PRICES)
    with account.request(10) as spend:
        spend(1, 1)
    assert copy.deepcopy(account) is account
    fresh = pickle.loads(pickle.dumps(account))
    assert (fresh.used, fresh.max_requests, repr(fresh)) == (Usage(0, 0, 0, 0.0), 3, repr(account))
    with fresh.request(10):
        pass


@pytest.mark.parametrize("bounds", [{"max_requests": 0}, {"max_money": 1}, {"requests_per_minute": float("nan")}])
def test_a_bound_that_makes_no_sense_is_an_error(bounds: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bounds))):
        Account(**bounds)
    with pytest.raises(ConfigError, match="Prices"):
        Prices(-1, 0)
    assert json.dumps(Account().used.money) == "null"
