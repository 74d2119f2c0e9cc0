"""A judge's memory: in the process, in a file, and between threads that ask the same at the same time."""

import copy
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, JudgeError
from textgym.rewards.judge import Criterion, LLMJudge, Rubric, Verdict
from textgym.rewards.judge.backends.account import Usage
from textgym.rewards.judge.cache import VerdictCache

CRITERIA = "Is the text kind?"


class Counting:
    """A backend that gives ``score`` and counts."""

    def __init__(self, score: float = 4, identity: str = "a") -> None:
        self.score, self.identity, self.asked = score, identity, 0

    def __call__(self, messages: list[dict[str, str]]) -> Verdict:
        self.asked += 1
        return Verdict(self.score, {"part": 0.5}, "the reply", {"": {4: 1.0}}, Usage(2, 30, 4, 0.25))


def samples(*texts: str) -> list[Sample]:
    return [Sample("Say something.", text) for text in texts]


def test_verdicts_of_a_file_come_back_as_they_were(tmp_path: Path) -> None:
    backend, path = Counting(), tmp_path / "deep" / "verdicts.sqlite"
    first = LLMJudge(CRITERIA, backend, cache=path)
    scores = first(samples("a", "b", "a"))
    again = LLMJudge(CRITERIA, backend, cache=path)
    assert again(samples("b", "a", "a")) == scores
    assert (backend.asked, first.calls, again.calls) == (2, 2, 0)
    (verdict,) = {*map(repr, VerdictCache(path).get([key for (key,) in rows(path, "key")]).values())}
    assert verdict == repr(Verdict(4.0, {"part": 0.5}, "the reply", {"": {4: 1.0}}, Usage(2, 30, 4, 0.25)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def rows(path: Path, columns: str = "*") -> list[tuple[str, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(f"SELECT {columns} FROM verdicts").fetchall()


def test_anything_that_could_change_a_verdict_is_another_question(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    fluent, short = Criterion("Is it fluent?", "fluent"), Criterion("Is it short?", "short")
    heavy = Criterion("Is it short?", "short", weight=3)
    text = "a text that is longer than ten characters"

    def asked(criteria: str | Rubric, identity: str = "a", completion: str = text, **kwargs: object) -> int:
        backend = Counting(identity=identity)
        LLMJudge(criteria, backend, cache=path, **kwargs)([Sample("P.", completion, references=("R",))])
        return backend.asked

    first = [
        asked(CRITERIA),
        asked(CRITERIA, identity="b"),
        asked(CRITERIA, max_chars=10),
        asked(CRITERIA, show_prompt=False),
        asked(CRITERIA, show_references=True),
        asked("Is it short?"),
        asked(Rubric((fluent, short))),
        asked(Rubric((fluent, heavy))),
        asked(Rubric((fluent, heavy), highest=7)),
        asked(CRITERIA, completion=text + "."),
    ]
    assert first == [1] * 10
    assert asked(CRITERIA) == asked(CRITERIA, max_chars=10) == asked(Rubric((fluent, heavy))) == 0


def test_a_live_judge_that_is_changed_remembers_nothing_stale() -> None:
    judge = LLMJudge(CRITERIA, lambda chat: Verdict(2))
    text = samples("x" * 50)
    assert judge(text)[0].value == 0.25
    judge.backend = lambda chat: Verdict(5)
    assert judge(text)[0].value == 1.0
    judge.max_chars = 10
    assert judge(text)[0].value == 1.0
    assert judge.calls == 3
    backend = judge.backend = Counting(3)
    judge(text)
    backend.score, backend.identity = 1, "another model"  # changed in place
    assert judge(text)[0].value == 0.0


def test_threads_that_ask_the_same_ask_once() -> None:
    started, release = threading.Event(), threading.Event()

    def backend(messages: list[dict[str, str]]) -> Verdict:
        started.set()
        assert release.wait(10)
        return Verdict(4)

    judge = LLMJudge(CRITERIA, backend)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(judge, samples("same", "same"))]
        assert started.wait(10)
        waiting += [pool.submit(judge, samples("same")) for _ in range(3)]
        while len(waiting) - sum(future.running() for future in waiting):
            pass
        release.set()
        assert {score.value for future in waiting for score in future.result(10)} == {0.75}
    assert judge.calls == 1


def test_a_thread_whose_question_another_left_out_asks_it_itself() -> None:
    """The first thread stops at its failure before it comes to the question that the second waits for."""
    failing, release = threading.Event(), threading.Event()

    def backend(messages: list[dict[str, str]]) -> Verdict:
        if "bad" in messages[1]["content"]:
            failing.set()
            assert release.wait(10)
            raise JudgeError("no")
        return Verdict(4)

    judge = LLMJudge(CRITERIA, backend, max_concurrency=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(judge, samples("bad", "good"))
        assert failing.wait(10)
        second = pool.submit(judge, samples("good"))
        release.set()
        assert second.result(10)[0].value == 0.75
        with pytest.raises(JudgeError, match="sample 0"):
            first.result(10)
    assert (judge.calls, judge.failures) == (2, 1)


def test_what_is_paid_for_before_a_failure_is_kept(tmp_path: Path) -> None:
    path, asked = tmp_path / "verdicts.sqlite", []

    def backend(messages: list[dict[str, str]]) -> Verdict:
        asked.append(messages)
        if len(asked) == 3:
            raise ConnectionError("the line is dead")
        return Verdict(4)

    backend.identity = "b"  # type: ignore[attr-defined]
    with pytest.raises(JudgeError, match="the line is dead"):
        LLMJudge(CRITERIA, backend, cache=path, max_concurrency=1)(samples(*"abcdef"))
    assert len(VerdictCache(path)) == 2
    LLMJudge(CRITERIA, backend, cache=path)(samples(*"abcdef"))
    assert len(asked) == 3 + 4


def test_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    code = (
        "import sys\n"
        "from textgym.rewards.judge.backends.base import Verdict\n"
        "from textgym.rewards.judge.cache import VerdictCache\n"
        f"cache = VerdictCache({str(path)!r})\n"
        "for i in range(100):\n"
        "    cache.put(str(i), Verdict(float(sys.argv[1])))\n"
        "    assert cache.get([str(i)])\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(n)], stderr=subprocess.PIPE) for n in "1234"
    ]
    assert [process.communicate()[1] for process in running] == [b""] * 4
    assert len(VerdictCache(path)) == 100


def test_a_file_of_something_else_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    for name, complaint in (("text", "no database"), ("other", "something else"), ("", "can't be opened")):
        before = (tmp_path / name).read_bytes() if name else b""
        with pytest.raises(ConfigError, match=complaint):
            LLMJudge(CRITERIA, Counting(), cache=tmp_path / name)(samples("a"))
        assert not name or (tmp_path / name).read_bytes() == before


def test_a_cache_that_fails_later_costs_a_warning_and_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    judge = LLMJudge(CRITERIA, Counting(), cache=path, on_failure="abstain")
    judge(samples("a"))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE verdicts")
    connection.close()
    with pytest.warns(RuntimeWarning, match="cache .* fails") as warned:
        assert [score.value for score in judge(samples("a", "b", "c"))] == [0.75] * 3
    assert len(warned) == 1


def test_a_backend_without_an_identity_has_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'identity'"):
        LLMJudge(CRITERIA, lambda chat: Verdict(4), cache=tmp_path / "verdicts.sqlite")(samples("a"))


def test_copies_use_the_same_file(tmp_path: Path) -> None:
    judge = LLMJudge(CRITERIA, Counting(), cache=tmp_path / "verdicts.sqlite")
    judge(samples("a"))
    for twin in (copy.deepcopy(judge), pickle.loads(pickle.dumps(judge))):
        twin(samples("a"))
        assert twin.backend.asked == judge.backend.asked == 1
