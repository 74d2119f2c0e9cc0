"""Counting n-grams by sorting gives what counting them one by one gives, and so the scores of sacrebleu."""

import string
from collections import Counter

import numpy as np
import pytest
import sacrebleu

from textgym.metrics.bleu import sacrebleu_bleu, sentence_bleu, words_13a
from textgym.metrics.chrf import sentence_chrf
from textgym.metrics.ngrams import character_symbols, common_ngrams, ngram_counts, word_symbols


def counters(text, orders):
    return [Counter(text[i : i + n] for i in range(len(text) - n + 1)) for n in range(1, orders + 1)]


@pytest.mark.parametrize(
    ("alphabet", "orders"),
    [
        ("ab", 6),
        ("abcdefgh", 4),
        ("aé猫\U0001f600", 6),  # characters of every width
        ("".join(map(chr, range(0x4E00, 0x9000))), 40),  # so many and so long that ranks stand for n-grams
        ("ab", 70),
    ],
)
def test_counts_are_those_of_counters(alphabet, orders):
    generator = np.random.default_rng(5)
    shared = "".join(generator.choice(list(alphabet), size=300))
    for sizes in ([300, 200], [50, 3, 0, 41], [0, 7], [1, 1, 1], [12] * 9):
        texts = ["".join(generator.choice(list(shared), size=size)) + shared[:size] for size in sizes]
        counts, starts = ngram_counts(character_symbols(texts), [len(text) for text in texts], orders)
        expected = [counters(text, orders) for text in texts]
        by_order = np.split(counts, starts[1:], axis=1)
        assert len(by_order) == min(orders, max(map(len, texts)))
        for order, columns in enumerate(by_order):
            grams = sorted(set().union(*(text[order] for text in expected)))
            assert sorted(columns.T.tolist()) == sorted([text[order][gram] for text in expected] for gram in grams)
        common = common_ngrams(counts, starts)
        for reference, row in enumerate(common, 1):
            shared_counts = [(a & b).total() for a, b in zip(expected[0], expected[reference], strict=True)]
            assert row.tolist() == shared_counts[: len(starts)]


def test_no_text_has_anything():
    counts, starts = ngram_counts(word_symbols([[], []]), [0, 0], 4)
    assert counts.shape == (2, 0)
    assert starts.shape == (0,)


@pytest.mark.parametrize(
    "words",
    [
        ["the", "a", "Cat", "cats", "don't", "3.5", "x-ray", "—", "naïve", "!", "_b_", "\n", "&amp;", "(so)", "1,000."],
        ["今天", "天气", "很好", "。", "猫", "PyTorch", "2.0", "１２", "！", " "],
    ],
    ids=["spaced", "chinese"],
)
def test_random_sentences_score_as_in_sacrebleu(words):
    generator = np.random.default_rng(6)
    bleu = sacrebleu.BLEU(effective_order=True, tokenize="zh" if "猫" in words else "13a")
    chrf, plus = sacrebleu.CHRF(), sacrebleu.CHRF(word_order=2)
    for _ in range(60):
        completion, *references = (
            " ".join(generator.choice(words, size=generator.integers(0, 30))) for _ in range(generator.integers(2, 7))
        )
        settings = {"tokenize": "zh" if "猫" in words else "13a"}
        expected = bleu.sentence_score(completion, references).score / 100
        assert sentence_bleu(completion, references, **settings) == pytest.approx(expected, abs=1e-9)
        expected = chrf.sentence_score(completion, references).score / 100
        assert sentence_chrf(completion, references) == pytest.approx(expected, abs=1e-9)
        expected = plus.sentence_score(completion, references).score / 100
        assert sentence_chrf(completion, references, word_order=2) == pytest.approx(expected, abs=1e-9)


def test_the_words_are_those_of_sacrebleu():
    generator = np.random.default_rng(7)
    pieces = [
        *string.punctuation,
        *"  ..,,--0123 aB\n\t\x1f\x85\u2028é猫",
        "&amp;",
        "&quot;",
        "<skipped>",
        "-\n",
        "1,0",
    ]
    tokenizer = sacrebleu_bleu(4, "13a", "exp", False, True).tokenizer
    for _ in range(5000):
        text = "".join(generator.choice(pieces, size=generator.integers(0, 20)))
        assert words_13a(text) == tokenizer(text).split(), repr(text)
