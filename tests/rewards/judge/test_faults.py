"""A judge behind a server that fails in nine ways: what is asked again, after which wait, and that scores are right."""

import random
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from tests.rewards.judge.faulty_server import FAULTS, FaultyServer
from textgym.core import Sample
from textgym.errors import JudgeError
from textgym.rewards.judge import LLMJudge
from textgym.rewards.judge.backends import retry
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.backends.openai import OpenAIBackend
from textgym.rewards.judge.backends.retry import Failure, ask_until_verdict, retry_after


@pytest.fixture
def faulty(request: pytest.FixtureRequest) -> Iterator[FaultyServer]:
    server = FaultyServer(request.param)
    yield server
    server.close()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("faulty", [0.3], indirect=True)
@pytest.mark.parametrize("texts", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_thirty_percent_of_faults_lose_one_text_in_a_hundred_at_most(faulty: FaultyServer, texts: int) -> None:
    """Only the long run hangs: a timeout that a busy machine never reaches is too long for a quick test."""
    faulty.kinds = FAULTS if texts == 1000 else tuple(fault for fault in FAULTS if fault != "hang")
    limits = {"timeout": 3} if texts == 1000 else {"timeout": 60, "max_retries": 7}  # of so few, two are lost never
    backend = OpenAIBackend("m", faulty.url, first_wait=0.01, **limits)
    judge = LLMJudge("Is it fine?", backend, on_failure="abstain", max_concurrency=8)
    scores = judge([Sample("Say.", f"Text {i}.") for i in range(texts)])
    lost = [i for i, score in enumerate(scores) if score.value is None]
    truth = [i % 5 / 4 for i in range(texts)]
    known = [score.value for score in scores if score.value is not None]
    assert abs(sum(known) / len(known) - sum(truth) / texts) <= 0.01
    wrong = {i: score for i, score in enumerate(scores) if score.value not in (None, truth[i])}
    assert (len(lost) <= texts // 100, wrong) == (True, {})
    assert all(faulty.scored[i] == (i not in lost) for i in range(texts))  # none twice
    assert texts < 1000 or set(faulty.faults) == set(FAULTS)


@pytest.mark.parametrize("faulty", [0.0], indirect=True)
@pytest.mark.parametrize(
    "fault", ["429", "500", "truncated", "empty", "refusal", "wrong format", "out of range", "cut"]
)
def test_each_fault_is_asked_again(faulty: FaultyServer, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    draws = iter([0.0, 1.0])  # a fault, then none
    faulty.share = 0.5
    monkeypatch.setattr(faulty.random, "random", lambda: next(draws))
    monkeypatch.setattr(faulty.random, "choice", lambda faults: fault)
    judge = LLMJudge("Is it fine?", OpenAIBackend("m", faulty.url))
    assert judge([Sample("Say.", "Text 3.")])[0].value == 0.75
    assert (len(faulty.contents), len(waits)) == (2, 1)
    asked = 0.01 if fault == "429" else 0.0
    assert asked <= waits[0] <= asked + 0.5
    without_a_verdict = fault not in ("429", "500", "truncated")
    assert ("Answer with nothing but this" in faulty.contents[1]) == without_a_verdict
    assert faulty.contents[1].startswith(faulty.contents[0])


@pytest.mark.parametrize("faulty", [1.0], indirect=True)
def test_last_failure_is_reported_with_the_number_of_attempts(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faulty.random, "choice", lambda faults: "empty")
    judge = LLMJudge("Is it fine?", OpenAIBackend("m", faulty.url, max_retries=3, first_wait=0.001))
    with pytest.raises(JudgeError, match=r"reply is empty .*attempts: 4"):
        judge([Sample("Say.", "Text 3.")])
    assert faulty.faults == {"empty": 4}


def test_waits_double_up_to_their_bound_and_are_drawn_from_a_generator_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    monkeypatch.setattr(retry, "_RANDOM", type("Highest", (), {"uniform": lambda self, low, high: high})())
    state = random.getstate()
    failure = Failure("busy")
    assert ask_until_verdict(lambda: failure, attempts=6, first_wait=1, longest_wait=5) == failure
    assert waits == [1, 2, 4, 5, 5]
    assert random.getstate() == state


def test_server_that_says_how_long_is_obeyed_up_to_the_longest_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    outcomes: list[Failure | Verdict] = [Failure("busy", retry_after=7.0), Verdict(3.0)]
    assert ask_until_verdict(lambda: outcomes.pop(0), attempts=3, first_wait=0, longest_wait=60) == Verdict(3.0)
    assert waits == [7.0]
    outcomes = [Failure("busy", retry_after=61.0)]
    assert ask_until_verdict(lambda: outcomes.pop(0), attempts=3, first_wait=0, longest_wait=60).reason == "busy"
    outcomes = [Failure("no such model", again=False)]
    assert ask_until_verdict(lambda: outcomes.pop(0), attempts=3, first_wait=0, longest_wait=60).reason != "busy"


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "20", "retry-after": "9"}) == 0.02
    assert 25 < retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)}) <= 30
    assert retry_after({"retry-after": formatdate(time.time() - 30, usegmt=True)}) == 0
    assert retry_after({"retry-after": "tomorrow"}) is retry_after({}) is None
