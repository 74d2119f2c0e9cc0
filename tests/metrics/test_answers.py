"""Answers and labels: parity with torchmetrics' form of SQuAD's script, its F1 and its calibration error; by hand."""

import re
import unicodedata
from collections import Counter

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error, multiclass_f1_score
from torchmetrics.functional.text import squad

from textgym.core import Sample
from textgym.errors import ConfigError, MetricError, RewardError
from textgym.metrics import CalibrationError, MacroF1, MeanExactMatch, MeanTokenF1
from textgym.metrics.exact_match import exact_match
from textgym.metrics.labels import answer_of, calibration_error, macro_f1
from textgym.metrics.token_f1 import token_overlap
from textgym.rewards import Brier, TokenF1

WORDS = [
    "the",
    "a",
    "An",
    "Cat",
    "cats",
    "3.5",
    "x-ray",
    "—",
    "naïve",
    "!",
    "_b_",
    "\n",
    "U.S.",
    "don't",
    "theatre",
    "",
]


def random_text(rng, words, most):
    return " ".join(rng.choice(words, size=rng.integers(0, most)))


def test_random_answers_are_scored_as_by_the_script_of_squad():
    rng = np.random.default_rng(3)
    for number in range(500):
        completion = random_text(rng, WORDS, 7)
        references = [random_text(rng, WORDS, 6) for _ in range(rng.integers(1, 4))]
        answers = {"answers": {"answer_start": [0] * len(references), "text": references}, "id": str(number)}
        expected = squad([{"prediction_text": completion, "id": str(number)}], [answers])
        value = token_overlap(completion, references, normalize="squad").f1
        assert value == pytest.approx(float(expected["f1"]) / 100, abs=1e-6), (completion, references)
        assert exact_match(completion, references, normalize="squad") == float(expected["exact_match"]) / 100
        if not any(references) or all(text.isascii() for text in references):
            assert token_overlap(completion, references) == token_overlap(completion, references, normalize="squad")


def by_characters(completion, reference):
    """Chinese as MLQA's script has it: no punctuation of any script, each Han character a token, other words whole."""

    def tokens(text):
        text = unicodedata.normalize("NFKC", text).lower()
        text = "".join(" " if unicodedata.category(c)[0] in "PSZC" else c for c in text)
        return re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+", text)

    ours, theirs = tokens(completion), tokens(reference)
    common = sum((Counter(ours) & Counter(theirs)).values())
    if not ours or not theirs:
        return float(ours == theirs), float(ours == theirs)
    precision, recall = common / len(ours), common / len(theirs)
    return 2 * precision * recall / (precision + recall) if common else 0.0, float(ours == theirs)


def test_random_chinese_answers_are_scored_by_characters():
    rng = np.random.default_rng(4)
    pieces = [*"北京市天安门红楼梦，。《》！１2 ", "PyTorch", "２０", "\n"]
    for _ in range(500):
        completion = "".join(rng.choice(pieces, size=rng.integers(0, 9)))
        reference = "北京" + "".join(rng.choice(pieces[:15], size=rng.integers(0, 7)))
        f1, exact = by_characters(completion, reference)
        assert token_overlap(completion, [reference]).f1 == pytest.approx(f1, abs=1e-9), (completion, reference)
        assert exact_match(completion, [reference]) == exact


def test_precision_and_recall_are_of_the_reference_with_the_highest_f1():
    assert token_overlap("w x y z", ["w x", "w x y q r s t u"]) == (2 / 3, 0.5, 1.0)
    assert token_overlap("", ["the", "cat"]) == (1, 1, 1)
    assert token_overlap("", ["cat"]) == (0, 0, 0)
    assert token_overlap("cat", [""]) == (0, 0, 0)


def test_signatures_say_how_the_references_were_normalized():
    english, chinese = Sample("", "a", ("a cat",)), Sample("", "a", ("今天天气很好",))
    for metric in (MeanTokenF1(), MeanExactMatch()):
        assert "|norm:auto|" in metric.signature
        assert "|norm:squad|" in metric.signature_of([english])
        assert "|norm:unicode|" in metric.signature_of([chinese])
        assert "|norm:squad+unicode|" in metric.signature_of([english, chinese])


def test_very_long_answers_are_scored():
    long = "word " * 100_000
    assert token_overlap(long, [long]).f1 == 1
    assert TokenF1()([Sample("", long, ("word",))])[0] == pytest.approx(2 / 100_001)
    assert Brier()([Sample("", long + "9" * 100_000 + "%", ("word",))]) == [0.0]


# ---------------------------------------------------------------------------- labels


def test_macro_f1_is_that_of_torchmetrics():
    rng = np.random.default_rng(5)
    names = ["joy", "fear", "anger", "no mood"]
    for _ in range(100):
        size = int(rng.integers(1, 40))
        right, given = rng.integers(4, size=size), rng.integers(4, size=size)
        given = np.where(np.isin(given, right), given, right)  # a label that no reference has is one that doesn't exist
        expected = multiclass_f1_score(torch.tensor(given), torch.tensor(right), num_classes=4, average="macro")
        value = macro_f1([f" {names[i].upper()}." for i in given], [[names[i]] for i in right])
        assert value == pytest.approx(float(expected), abs=1e-6)


def test_a_completion_that_is_no_label_is_a_miss_and_any_accepted_label_is_right():
    assert macro_f1(["joy", "I can't say"], [["joy"], ["joy"]]) == pytest.approx(2 / 3)
    assert macro_f1(["glad", "fear"], [["joy", "glad"], ["fear"]]) == 1
    assert macro_f1(["喜悦。"], [["喜悦"]]) == 1


def test_calibration_error_is_that_of_torchmetrics():
    rng = np.random.default_rng(6)
    for bins in (1, 7, 10, 15):
        said, right = rng.random(500).astype(np.float32), rng.integers(2, size=500)
        expected = binary_calibration_error(torch.tensor(said), torch.tensor(right), n_bins=bins)
        assert calibration_error(said.tolist(), right.tolist(), bins) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("completion", "label", "confidence"),
    [
        (" joy (80%)", " joy", 0.8),
        ("joy, 80 %.", "joy", 0.8),
        ("joy. Confidence: 7.5%\n", "joy", 0.075),
        ("joy [0%]", "joy", 0.0),
        ("joy 100%", "joy", 1.0),
        ("joy 101%", "joy 101%", None),
        ("80% joy", "80% joy", None),
        ("joy 80", "joy 80", None),
        ("", "", None),
        ("joy %", "joy %", None),
        ("joy -12345%", "joy -12345%", None),
    ],
)
def test_a_confidence_is_a_percentage_at_the_end(completion, label, confidence):
    assert answer_of(Sample("", completion), "confidence", "x", MetricError) == (label, confidence)


def test_a_stated_confidence_is_best_when_it_is_the_probability():
    """Of answers that are right 3 times in 4, 75 % pays best on average."""
    paid = {}
    for percent in range(0, 101, 5):
        samples = [Sample("", f"joy ({percent}%)", (label,)) for label in ("joy", "joy", "joy", "fear")]
        paid[percent] = float(np.mean(Brier()(samples)))
    assert max(paid, key=paid.get) == 75
    assert CalibrationError().compute(samples) == {"calibration_error": 0.25}
    assert CalibrationError().compute([Sample("", "joy", ("joy",))]) == {}
    assert Brier()([Sample("", "joy", ("joy",), metadata={"confidence": 1})]) == [1.0]


@pytest.mark.parametrize("confidence", [1.5, -1, "high", True, float("nan")])
def test_a_confidence_that_is_no_probability_is_an_error(confidence):
    sample = Sample("", "joy", ("joy",), metadata={"confidence": confidence})
    with pytest.raises(RewardError, match=r"metadata\['confidence'\].*expected a number from 0 to 1"):
        Brier()([sample])
    with pytest.raises(MetricError, match="expected a number from 0 to 1"):
        CalibrationError().compute([sample])


def test_settings_that_make_no_sense():
    with pytest.raises(ConfigError, match="bins=0"):
        CalibrationError(bins=0)
    with pytest.raises(ConfigError, match="normalize='x'"):
        MacroF1("x")
