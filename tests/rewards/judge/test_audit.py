"""A judge's log, from which each reward can be computed again."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, JudgeError, StorageError
from textgym.rewards.judge import Criterion, LLMJudge, Rubric, Usage, Verdict, recompute
from textgym.rewards.judge.__main__ import main

RUBRIC = Rubric(
    (Criterion("Is it kind?", "kind", weight=3, levels={1: "rude", 5: "kind"}), Criterion("Is it short?", "short"))
)
PROBABILITIES = {"kind": {2: 0.2, 4: 0.6}, "short": {5: 0.5}}  # 3.5 and 5


def by_letter(chat: list[dict[str, str]]) -> object:
    """What the text begins with decides how the backend answers."""
    kind = next(line for line in chat[1]["content"].splitlines() if line.startswith("as "))
    if "reply" in kind:
        return f"Kind. Score {chat.code} kind: 4\nScore {chat.code} short: 2"
    if "probabilities" in kind:
        return Verdict((3 * 3.5 + 5) / 4, {"kind": 3.5, "short": 5}, "", PROBABILITIES, Usage(1, 10, 2))
    if "number" in kind:
        return Verdict(2.5)
    raise JudgeError("no idea")


TEXTS = ("as a reply", "as probabilities", "as a number", "as an error", "\u2800", "as a reply")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    judge = LLMJudge(RUBRIC, by_letter, on_failure="abstain", audit=tmp_path / "deep" / "judge.jsonl")
    batch = [Sample("Say: caf\u00e9\n\u2028", text, prompt_id=i) for i, text in enumerate(TEXTS)]
    with pytest.warns(RuntimeWarning, match="no idea"):
        values = [score.value for score in judge(batch)]
    assert values == pytest.approx([0.625, (3 * 2.5 + 4) / 16, 0.375, None, 0.0, 0.625])
    judge([batch[1]])
    return tmp_path / "deep" / "judge.jsonl"


def test_every_reward_can_be_computed_again(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit = recompute(log)
    assert (audit.rewards, audit.agree, audit.abstained, audit.gated, audit.differ) == (7, 5, 1, 1, ())
    assert audit.usage == Usage(1, 10, 2)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["source"] for entry in entries] == ["asked"] * 4 + ["gated", "asked", "remembered"]
    assert [entry["prompt_id"] for entry in entries] == [0, 1, 2, 3, 4, 5, 1]
    assert entries[3]["error"].endswith("no idea")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert main([str(log)]) == 0
    printed = "7 rewards: 5 agree with their replies, 1 abstained, 1 were gated, 0 differ\n1 requests, 12 tokens"
    assert capsys.readouterr().out.startswith(printed)


@pytest.mark.parametrize(
    ("line", "change", "right"),
    [
        (0, lambda entry: entry.update(reward=0.7), 0.625),
        (0, lambda entry: entry["verdict"].update(reply="no verdict"), "no verdict"),
        (0, lambda entry: entry["rubric"]["criteria"][0].update(weight=1), 0.5),
        (0, lambda entry: entry.update(code="0f3a9c12"), "another question's code"),
        (0, lambda entry: entry.update(reward=None), 0.625),
        (1, lambda entry: entry["verdict"]["probabilities"]["kind"].update({"2": 0.6}), (3 * 2 + 4) / 16),
        (2, lambda entry: entry["verdict"].update(score=3), 0.5),
        (3, lambda entry: entry.update(reward=0.0), None),
        (4, lambda entry: entry.update(completion="visible"), "visible"),
    ],
)
def test_a_line_that_was_changed_is_found(log: Path, line: int, change, right: float | str | None) -> None:
    entries = [json.loads(text) for text in log.read_text().splitlines()]
    change(entries[line])
    log.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    ((number, logged, found),) = recompute(log).differ
    assert (number, logged) == (line + 1, entries[line]["reward"])
    assert right in found if isinstance(right, str) else found == pytest.approx(right)
    assert main([str(log)]) == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("on_failure", "paid"), [("mean", 0.5), (-1, -1.0), ("abstain", None)])
def test_what_a_failed_call_is_paid_can_be_computed_too(tmp_path: Path, on_failure, paid: float | None) -> None:
    judge = LLMJudge(RUBRIC, by_letter, on_failure=on_failure, audit=tmp_path / "log")
    assert judge([Sample("", text) for text in ("as a reply", "as a number", "as an error")])[2].value == paid
    judge([Sample("", "\u2800")])  # another batch
    audit = recompute(tmp_path / "log")
    assert (audit.agree, audit.abstained, audit.differ) == (2, 1, ())
    lines = (tmp_path / "log").read_text().splitlines()
    entry = json.loads(lines[2]) | {"reward": 0.9}
    (tmp_path / "log").write_text("\n".join([*lines[:2], json.dumps(entry), lines[3]]))
    assert recompute(tmp_path / "log").differ == ((3, 0.9, paid),)


def test_a_judge_that_raises_has_logged_it(tmp_path: Path) -> None:
    judge = LLMJudge(RUBRIC, by_letter, max_concurrency=1, audit=tmp_path / "log")
    with pytest.raises(JudgeError, match="no idea"):
        judge([Sample("", text) for text in TEXTS[2:]])
    audit = recompute(tmp_path / "log")
    assert (audit.rewards, audit.agree, audit.abstained, audit.gated) == (4, 1, 2, 1)


def test_a_text_in_windows_has_a_line_for_each(tmp_path: Path) -> None:
    def backend(chat: list[dict[str, str]]) -> str:
        text = chat[1]["content"]
        if "fails" in text:
            raise JudgeError("no idea")
        return f"Score {chat.code}: {5 if text.count('good') > text.count('bad') else 1}"

    settings = {"max_chars": 50, "long_texts": "windows", "on_failure": "abstain", "audit": tmp_path / "log"}
    judge = LLMJudge("Is it good?", backend, **settings)
    long = "good " * 20 + "bad " * 10  # three windows of 45, 45 and 50 characters, the last of which is mostly bad
    with pytest.warns(RuntimeWarning, match="no idea"):
        scores = judge([Sample("", long), Sample("", "good"), Sample("", long + "fails " * 9), Sample("", " " * 99)])
    assert scores[0].components == {"judge_score": pytest.approx(1 + 4 * scores[0].value), "judge_gated": 0.0}
    assert scores[0].value == pytest.approx(90 / 140)
    assert [score.value for score in scores[1:]] == [1.0, None, 0.0]
    audit = recompute(tmp_path / "log")
    assert (audit.rewards, audit.agree, audit.abstained, audit.gated, audit.differ) == (4, 2, 1, 1, ())
    entries = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [entry["index"] for entry in entries][:4] == [0, 0, 0, 1]
    shown = "".join(entry["messages"][1]["content"] for entry in entries[:3])
    assert shown.count("good ") == 20
    assert shown.count("bad ") == 10
    entries[1]["weight"] *= 3
    (tmp_path / "log").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    ((line, logged, right),) = recompute(tmp_path / "log").differ
    assert (line, logged, right == logged) == (1, scores[0].value, False)


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    judge = LLMJudge(RUBRIC, by_letter, audit=tmp_path / "log")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: judge([Sample("", f"as a reply {i}" + "x" * 2000)]), range(40)))
    assert recompute(tmp_path / "log").agree == 40


def test_what_is_no_log_is_an_error(tmp_path: Path, log: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        recompute(tmp_path / "absent")
    for line in ("no json", "[]", '{"reward": 1}'):
        with log.open("a") as file:
            file.write(line)
        with pytest.raises(ConfigError, match="Line 8 of"):
            recompute(log)
        log.write_text("\n".join(log.read_text().splitlines()[:7]) + "\n")
    with pytest.raises(StorageError, match="can't be written"):
        LLMJudge(RUBRIC, by_letter, audit=tmp_path)([Sample("", "as a reply")])
    assert main([]) == 2
