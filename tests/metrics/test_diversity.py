"""Diversity: self-BLEU is that of sacrebleu, distinct-n and repetition those of plain sets."""

import numpy as np
import pytest
import sacrebleu

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.metrics import CorpusSelfBLEU, Distinct, MeanNoRepeats, MeanRepetition, compute_metrics
from textgym.metrics.self_bleu import self_bleu
from textgym.rewards import Distinct as DistinctReward
from textgym.rewards import NoRepeats

WORDS = ["the", "red", "fox", "hen", "ran", "sat", "and", "in"]


def random_texts(count, seed, most=12):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(0, most))) for _ in range(count)]


def test_self_bleu_is_the_mean_of_sacrebleu_against_all_others():
    texts = random_texts(60, seed=0)
    tool = sacrebleu.BLEU(effective_order=True)
    expected = []
    for i, text in enumerate(texts):
        others = [other for j, other in enumerate(texts) if j != i and other]
        expected.append(
            tool.sentence_score(text, others).score / 100 if text else float("" in texts[:i] + texts[i + 1 :])
        )
    assert self_bleu(texts) == pytest.approx(np.mean(expected), abs=1e-9)


def test_self_bleu_by_hand():
    assert self_bleu(["a cat"] * 3) == pytest.approx(1)
    assert self_bleu(["", " ", "a cat"]) == pytest.approx(2 / 3)
    assert self_bleu(["", "a cat"]) == 0
    assert self_bleu(["今天天气很好", "今天天气很好", "猫"]) == pytest.approx(2 / 3)
    texts = ["one two", *["three four"] * 9]
    assert self_bleu(texts, limit=2) == 0
    samples = [Sample("", text) for text in texts]
    assert CorpusSelfBLEU(limit=2).compute(samples) == {"self_bleu": 0}
    assert CorpusSelfBLEU().compute(samples[:1]) == {}
    assert "|tok:zh|" in CorpusSelfBLEU().signature_of([Sample("", "今天天气很好")] * 2)


def test_self_bleu_of_settings_that_make_no_sense():
    with pytest.raises(ConfigError, match="two or more texts, got 1"):
        self_bleu(["a"])
    with pytest.raises(ConfigError, match="limit=1"):
        CorpusSelfBLEU(limit=1)


def plain_repetition(text, order):
    """seq-rep-n of Welleck et al. (2020)."""
    words = text.split()
    grams = [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]
    return 1 - len({*grams}) / len(grams) if grams else 0.0


@pytest.mark.parametrize("order", [1, 2, 4])
def test_repetition_and_distinct_of_random_texts(order):
    texts = random_texts(500, seed=order, most=40)
    samples = [Sample("", text) for text in texts]
    expected = [plain_repetition(text, order) for text in texts]
    assert MeanRepetition(order).values(samples) == pytest.approx(expected)
    for value, text, repeated in zip(DistinctReward(order)(samples), texts, expected, strict=True):
        assert value == (pytest.approx(1 - repeated) if len(text.split()) >= order else 0)
        assert value == Distinct(order).compute([Sample("", text)])[f"distinct{order}"]


def test_values_by_hand():
    assert MeanRepetition().compute([Sample("", "a b c d a b c d"), Sample("", "a b")]) == {
        "repetition": pytest.approx(0.1)
    }
    assert MeanRepetition(2).compute([Sample("", "猫猫猫")]) == {"repetition": 0.5}
    samples = [Sample("", " good good good good"), Sample("", " the cat sat on the mat.")]
    assert MeanNoRepeats().compute(samples) == {"no_repeats": 0.625}
    assert NoRepeats()(samples) == [0.25, 1.0]
    assert compute_metrics(["repetition", "distinct1"], samples) == {"repetition": 0.0, "distinct1": 0.6}


def test_very_long_texts_are_scored():
    long = Sample("", "one two three " * 33_334)
    assert MeanRepetition().compute([long])["repetition"] > 0.99
    assert NoRepeats()([long])[0] < 0.001
    assert CorpusSelfBLEU().compute([long, long]) == {"self_bleu": pytest.approx(1)}


@pytest.mark.parametrize("make", [MeanRepetition, Distinct, DistinctReward, MeanNoRepeats])
def test_settings_that_make_no_sense(make):
    for value in (0, -1, 1.5, True, "2"):
        with pytest.raises(ConfigError, match=f"={value!r}"):
            make(value)
