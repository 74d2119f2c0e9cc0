"""The scores equal those of the reference tools: sacrebleu and rouge-score."""

import itertools

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from textgym.core import Sample
from textgym.metrics import METRICS, CorpusBLEU, CorpusChrF, CorpusROUGE
from textgym.metrics.bleu import sentence_bleu
from textgym.metrics.chrf import sentence_chrf
from textgym.metrics.rouge import rouge

PAIRS = {
    "equal": ("the cat sat on the mat", ["the cat sat on the mat"]),
    "two words": ("the cat", ["the cat"]),
    "one word": ("cat", ["cat"]),
    "one wrong word": ("dog", ["cat"]),
    "empty completion": ("", ["the cat sat"]),
    "blank completion": (" \n ", ["the cat sat"]),
    "empty reference": ("the cat", [""]),
    "both empty": ("", [""]),
    "no match": ("okay thanks", ["this is a cat"]),
    "repeated": ("the the the the the the", ["the cat sat on the mat"]),
    "repeated reference": ("the cat", ["the the the cat cat"]),
    "several references": ("the cat sat on a mat", ["a cat was here", "the cat sat on the mat", "no"]),
    "references that tie": ("a b c d", ["a b", "c d", "b c"]),
    "one reference empty": ("a b c", ["", "a b"]),
    "punctuation": ('"Well," she said, "it\'s 3.5% -- isn\'t it?!"', ["Well, she said: it is 3.5 % - is it not?"]),
    "only punctuation": ("?!...", ["?!"]),
    "entities": ("Tom &amp; Jerry &lt;3 &quot;fun&quot;", ['Tom & Jerry <3 "fun"']),
    "upper case": ("THE CAT SAT", ["the cat sat"]),
    "lines": ("w1 w2 w3\nw4 w5", ["w1 w2 w6\nw7 w4 w5\n"]),
    "numbers": ("1,000.50 in 1999-2000", ["1000.50 in 1999 - 2000"]),
    "hyphens": ("state-of-the-art model-\nling", ["state of the art modelling"]),
    "stems": ("cats running flies easily", ["cat runs fly easy"]),
    "controls": ("the\x00cat\x1fsat\x85on\u2028the\tmat\x7f", ["the cat sat on the mat"]),
    "long completion": ("a b c " * 60, ["a b c d " * 20]),
}
CHINESE = {
    "equal": ("今天天气很好。", ["今天天气很好。"]),
    "near": ("今天的天气不错。", ["今天天气很好。", "今天天气不错。"]),
    "mixed": ("我用 PyTorch 2.0 训练模型", ["我们用PyTorch训练大模型"]),
    "full width": ("价格是１２元，很便宜！", ["价格是12元,很便宜!"]),
    "one character": ("猫", ["猫"]),
    "empty": ("", ["猫"]),
}


def rouge_score(completion, references, variant, use_stemmer=False):
    scorer = RougeScorer([f"rouge{variant}"], use_stemmer=use_stemmer)
    return scorer.score_multi(references, completion)[f"rouge{variant}"].fmeasure


@pytest.mark.parametrize(("completion", "references"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("smooth", ["exp", "floor", "add-k", "none"])
@pytest.mark.parametrize("max_order", [1, 2, 4, 6])
def test_sentence_bleu_is_that_of_sacrebleu(completion, references, smooth, max_order):
    tool = sacrebleu.BLEU(effective_order=True, smooth_method=smooth, max_ngram_order=max_order)
    expected = tool.sentence_score(completion, references).score / 100
    value = sentence_bleu(completion, references, smooth=smooth, max_order=max_order)
    assert value == pytest.approx(expected, abs=1e-6)
    assert 0 <= value <= 1


@pytest.mark.parametrize(("completion", "references"), CHINESE.values(), ids=CHINESE)
@pytest.mark.parametrize("tokenize", ["auto", "zh", "char", "intl", "none", "13a"])
def test_sentence_bleu_of_chinese_is_that_of_sacrebleu(completion, references, tokenize):
    tool = sacrebleu.BLEU(effective_order=True, tokenize="zh" if tokenize == "auto" else tokenize)
    expected = tool.sentence_score(completion, references).score / 100
    assert sentence_bleu(completion, references, tokenize=tokenize) == pytest.approx(expected, abs=1e-6)


def test_sentence_bleu_ignores_case_on_request():
    assert sentence_bleu("THE CAT", ["the cat"]) == 0
    assert sentence_bleu("THE CAT", ["the cat"], lowercase=True) == 1


@pytest.mark.parametrize(("completion", "references"), [*PAIRS.values(), *CHINESE.values()], ids=[*PAIRS, *CHINESE])
@pytest.mark.parametrize(("char_order", "word_order", "beta"), [(6, 0, 2), (6, 2, 2), (4, 1, 1), (1, 0, 3)])
def test_sentence_chrf_is_that_of_sacrebleu(completion, references, char_order, word_order, beta):
    tool = sacrebleu.CHRF(char_order=char_order, word_order=word_order, beta=beta)
    expected = tool.sentence_score(completion, references).score / 100
    value = sentence_chrf(completion, references, char_order=char_order, word_order=word_order, beta=beta)
    assert value == pytest.approx(expected, abs=1e-6)
    assert 0 <= value <= 1


@pytest.mark.parametrize(("completion", "references"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("variant", ["1", "2", "3", "9", "L", "Lsum"])
@pytest.mark.parametrize("use_stemmer", [False, True])
def test_rouge_is_that_of_rouge_score(completion, references, variant, use_stemmer):
    expected = rouge_score(completion, references, variant, use_stemmer)
    assert rouge(completion, references, variant, use_stemmer=use_stemmer) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("completion", "references"), CHINESE.values(), ids=CHINESE)
@pytest.mark.parametrize("variant", ["1", "L", "Lsum"])
def test_the_rouge_tokenizer_is_that_of_rouge_score_for_every_script(completion, references, variant):
    expected = rouge_score(completion, references, variant)
    assert rouge(completion, references, variant, tokenizer="rouge") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("use_stemmer", [False, True])
def test_rouge_of_random_pairs_is_that_of_rouge_score(use_stemmer):
    rng = np.random.default_rng(20)
    words = [
        "the",
        "a",
        "Cat",
        "cats",
        "running",
        "flies",
        "don't",
        "3.5",
        "x-ray",
        "—",
        "naïve",
        "é",
        "!",
        "_b_",
        "\n",
    ]
    variants = ("1", "2", "L", "Lsum")
    scorer = RougeScorer([f"rouge{variant}" for variant in variants], use_stemmer=use_stemmer)
    for _ in range(200):
        completion = " ".join(rng.choice(words, size=rng.integers(0, 40)))
        # ASCII references: "auto" then follows rouge-score, whatever the completion holds
        references = [
            " ".join(rng.choice(words, size=rng.integers(0, 40))).encode("ascii", "ignore").decode()
            for _ in range(rng.integers(1, 4))
        ]
        expected = scorer.score_multi(references, completion)
        for variant in variants:
            value = rouge(completion, references, variant, use_stemmer=use_stemmer)
            assert value == pytest.approx(expected[f"rouge{variant}"].fmeasure, abs=1e-6), (completion, references)


@pytest.mark.parametrize(
    ("completion", "reference", "variant", "expected"),
    [
        ("testing one two", "testing", "1", 1 / 2),
        ("testing one", "testing one two", "2", 2 / 3),
        ("testing one", "testing one two", "L", 4 / 5),
        ("w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "Lsum", 0.5333333),
    ],
)
def test_rouge_by_hand(completion, reference, variant, expected):
    assert rouge(completion, [reference], variant) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("variant", ["1", "L", "Lsum"])
@pytest.mark.parametrize(
    "text", ["今天天气很好。", "猫がすわった", "고양이가 앉았다", "café naïve", "Привет, мир", "हिन्दी में", "แมวนั่ง"]
)
def test_texts_outside_ascii_match_themselves(text, variant):
    assert rouge(text, [text], variant) == 1
    assert sentence_bleu(text, [text]) == pytest.approx(1)
    assert 0 < rouge(text[:-2], [text], variant) < 1
    assert rouge("the dog", [text], variant) == 0


CORPUS = [
    Sample("", "The dog bit the man.", ("The dog bit the man.", "The dog had bit the man.")),
    Sample("", "It wasn't surprising.", ("It was not unexpected.", "No one was surprised.")),
    Sample("", "The man had just bitten him.", ("The man bit him first.", "The man had bitten the dog.")),
]


def test_corpus_bleu_of_the_sacrebleu_readme():
    assert CorpusBLEU().compute(CORPUS)["bleu"] == pytest.approx(0.48530827, abs=1e-7)
    assert CorpusBLEU(tokenize="none").compute(CORPUS)["bleu"] == pytest.approx(0.491919566, abs=1e-7)


@pytest.mark.parametrize("tokenize", ["auto", "13a", "char"])
def test_corpus_scores_with_ragged_references_are_those_of_sacrebleu(tokenize):
    samples = [Sample("", completion, tuple(references)) for completion, references in PAIRS.values()]
    streams = [list(texts) for texts in itertools.zip_longest(*(sample.references for sample in samples))]
    completions = [sample.completion for sample in samples]
    tool = sacrebleu.BLEU(tokenize="13a" if tokenize == "auto" else tokenize)
    expected = tool.corpus_score(completions, streams).score
    assert CorpusBLEU(tokenize=tokenize).compute(samples)["bleu"] * 100 == pytest.approx(expected, abs=1e-6)
    expected = sacrebleu.CHRF(word_order=2).corpus_score(completions, streams).score
    assert CorpusChrF(word_order=2).compute(samples)["chrf++"] * 100 == pytest.approx(expected, abs=1e-6)


def test_corpus_bleu_picks_the_chinese_tokenizer():
    samples = [Sample("", completion, tuple(references)) for completion, references in CHINESE.values()]
    streams = [list(texts) for texts in itertools.zip_longest(*(sample.references for sample in samples))]
    expected = sacrebleu.BLEU(tokenize="zh").corpus_score([sample.completion for sample in samples], streams).score
    assert METRICS["bleu"]().compute(samples)["bleu"] * 100 == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("variant", ["1", "2", "L", "Lsum"])
def test_corpus_rouge_is_the_mean(variant):
    samples = [Sample("", completion, tuple(references)) for completion, references in PAIRS.values()]
    expected = np.mean([rouge_score(sample.completion, sample.references, variant) for sample in samples])
    assert CorpusROUGE(variant).compute(samples)[f"rouge{variant}"] == pytest.approx(expected, abs=1e-6)
