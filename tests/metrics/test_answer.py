"""Final answers: how they are written doesn't count, and what GSM8K's own pattern takes is taken."""

import re
from pathlib import Path

import pytest

from textgym.core import Sample
from textgym.metrics import MeanAnswer
from textgym.metrics.answer import answers_alike, final_answer, has_answer_format
from textgym.rewards import Answer, AnswerFormat, parse_reward

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gsm8k"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("5 + 3 = 8. #### 8", "8"),
        ("#### 1,250", "1250"),
        ("#### $1250.00", "1250"),
        ("#### -3.50", "-3.5"),
        ("#### 100", "100"),
        ("#### 007", "7"),
        ("#### 0.0", "0"),
        ("#### -0", "0"),
        ("#### 8\nand 9 more", "8"),
        ("#### 7 #### 8", "8"),
        ("#### Eight.", "eight"),
        ("so she pays $12.", "12"),
        ("it is 3.5.", "3.5"),
        ("1.2.3", "1.2"),
        ("no number", "no number"),
        ("", ""),
        ("####", ""),
        ("٣", "٣"),
        ("9" * 100_000, None),
    ],
)
def test_final_answers(text, answer):
    assert answer is None or final_answer(text) == answer
    assert final_answer(text) == final_answer(text)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (" 5 + 3 = 8. #### 8", True),
        ("#### 8", True),
        ("####8", True),
        (" #### -1,250.5\n", True),
        ("#### 8.", False),
        ("#### eight", False),
        ("8", False),
        ("#### 7 #### 8", False),
        ("horse #2\n#### 8", True),
        ("##### 8", False),
        ("#### 8 apples", False),
        ("#### ٣", False),
        ("#" * 50_000, False),
        ("", False),
    ],
)
def test_the_form(text, right):
    assert has_answer_format(text) is right
    assert AnswerFormat()([Sample("", text)]) == [float(right)]


def test_reward_and_metric_agree_and_compose():
    samples = [
        Sample("", text, ("2 * 4 = 8. #### 8", "#### 9")) for text in (" 8", " #### 8", " #### 9.0", " #### 7", "")
    ]
    assert Answer()(samples) == [1, 1, 1, 0, 0]
    assert MeanAnswer().compute(samples) == {"answer": pytest.approx(0.6)}
    assert [score.value for score in parse_reward("answer*answer_format")(samples)] == [0, 1, 1, 0, 0]


def test_gsm8k_answers_as_its_own_script_reads_them():
    """The extraction of grade-school-math's dataset.py, on every reference of the test split."""
    if not SHARED.is_dir():
        pytest.skip(f"the real dataset gsm8k is not beside this checkout (looked in {SHARED.parent})")
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(SHARED / "test.parquet").to_pylist()
    for row in rows:
        theirs = re.compile(r"#### (\-?[0-9\.\,]+)").search(row["answer"])[1].strip().replace(",", "")
        assert float(final_answer(row["answer"])) == float(theirs)
        assert answers_alike(f"so it is {theirs}", [row["answer"]])
    assert len(rows) > 1000
