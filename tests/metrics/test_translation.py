"""GLEU, TER and METEOR equal those of nltk and sacrebleu."""

import numpy as np
import pytest
import sacrebleu
from nltk.translate.gleu_score import corpus_gleu
from nltk.translate.gleu_score import sentence_gleu as nltk_gleu
from nltk.translate.meteor_score import meteor_score

from textgym.core import Sample
from textgym.metrics import CorpusGLEU, CorpusTER, MeanMETEOR
from textgym.metrics.bleu import bleu_words
from textgym.metrics.gleu import sentence_gleu
from textgym.metrics.meteor import meteor
from textgym.metrics.ter import LONGEST, ter
from textgym.rewards import GLEU, METEOR, TER

WORDS = ["the", "a", "Cat", "cats", "running", "runs", "flies", "don't", "3.5", "x-ray", "—", "naïve", "!", "\n", "b"]
HANZI = [*"今天气很好不猫狗。，", "PyTorch", "2.0", "Ａ１", " "]


class NoSynonyms:
    """A WordNet without a word."""

    def synsets(self, word):
        return []


def random_pairs(words, count, most, seed, joined=" "):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        reference = rng.choice(words, size=rng.integers(0, most)).tolist()
        others = [joined.join(rng.choice(words, size=rng.integers(0, most))) for _ in range(rng.integers(0, 3))]
        completion = list(reference)
        for _ in range(rng.integers(0, 6)):  # near the reference: moved, changed, added and left out
            place = int(rng.integers(0, len(completion) + 1))
            length = int(rng.integers(0, 4))
            moved, completion[place : place + length] = completion[place : place + length], []
            if rng.random() < 0.7:
                place = int(rng.integers(0, len(completion) + 1))
                completion[place:place] = moved
            completion.insert(place, str(rng.choice(words)))
        yield joined.join(completion), [joined.join(reference), *others]


PAIRS = [*random_pairs(WORDS, 500, 12, seed=1), ("", [""]), ("", ["a"]), ("a", [""]), ("a", ["", "a"])]
CHINESE = [(text, texts) for text, texts in random_pairs(HANZI, 120, 12, seed=2, joined="")]


@pytest.mark.parametrize("lowercase", [False, True])
def test_gleu_of_random_pairs_is_that_of_nltk(lowercase):
    for completion, references in PAIRS:
        words = [bleu_words(text, "13a", lowercase) for text in (completion, *references)]
        for low, high in ((1, 4), (2, 3)):
            expected = nltk_gleu(words[1:], words[0], min_len=low, max_len=high)
            settings = {"min_order": low, "max_order": high, "lowercase": lowercase, "tokenize": "13a"}
            assert sentence_gleu(completion, references, **settings) == pytest.approx(expected, abs=1e-9)


def test_corpus_gleu_is_that_of_nltk():
    words = [[bleu_words(text, "13a", False) for text in (completion, *texts)] for completion, texts in PAIRS]
    expected = corpus_gleu([texts[1:] for texts in words], [texts[0] for texts in words])
    samples = [Sample("", completion, tuple(texts)) for completion, texts in PAIRS]
    assert CorpusGLEU().compute(samples)["gleu"] == pytest.approx(expected, abs=1e-9)


def test_gleu_of_the_examples_of_nltk():
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    near = "It is a guide to action which ensures that the military always obeys the commands of the party"
    far = "It is to insure the troops forever hearing the activity guidebook that party direct"
    assert sentence_gleu(near, [reference]) == pytest.approx(29 / 66)  # printed as 0.4393
    assert sentence_gleu(far, [reference]) == pytest.approx(7 / 58)


# ---------------------------------------------------------------------------- edit rate


@pytest.mark.parametrize("normalized", [False, True])
def test_ter_of_random_pairs_is_that_of_sacrebleu(normalized):
    tool = sacrebleu.TER(normalized=normalized, asian_support=normalized)
    for completion, references in PAIRS[100:160] if normalized else PAIRS:
        expected = tool.sentence_score(completion, references).score / 100
        assert ter(completion, references, normalized=normalized) == pytest.approx(expected, abs=1e-9), completion


def test_ter_of_long_random_pairs_is_that_of_sacrebleu():
    """Unlike each other, with the shifts that there are: the most that a search for them can do."""
    rng, tool = np.random.default_rng(3), sacrebleu.TER()
    for words in (10, 40):
        completion, reference = (" ".join(map(str, rng.integers(words, size=40))) for _ in range(2))
        expected = tool.sentence_score(completion, [reference]).score / 100
        assert ter(completion, [reference]) == pytest.approx(expected, abs=1e-9)


def test_ter_of_chinese_is_by_characters():
    tool = sacrebleu.TER(normalized=True, asian_support=True)
    for completion, references in CHINESE:
        if references[0] and any("\u4e00" <= character <= "\u9fff" for character in references[0]):
            expected = tool.sentence_score(completion, references).score / 100
            assert ter(completion, references, normalized=True) == pytest.approx(expected, abs=1e-9)
    assert ter("今天天气很好", ["今天天气不好"]) == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("completion", "reference", "expected"),
    [  # from the tests of sacrebleu
        ("aaaa bbbb cccc dddd", "aaaa bbbb cccc dddd", 0),
        ("dddd eeee ffff", "aaaa bbbb cccc", 1),
        ("", "", 0),
        ("aaaa", "", 1),
        ("", "aaaa", 1),
        ("d e f g h a b c", "a b c d e f g h", 1 / 8),
    ],
)
def test_ter_of_the_examples_of_sacrebleu(completion, reference, expected):
    assert ter(completion, [reference]) == expected


def test_corpus_ter_is_that_of_sacrebleu():
    samples = [Sample("", completion, (texts[0],)) for completion, texts in PAIRS[:60]]
    streams = [[sample.references[0] for sample in samples]]
    expected = sacrebleu.TER().corpus_score([sample.completion for sample in samples], streams).score / 100
    assert CorpusTER().compute(samples)["ter"] == pytest.approx(expected, abs=1e-9)
    two = [Sample("", completion, (*texts, "a b c")[:2]) for completion, texts in PAIRS[:60]]
    streams = [[sample.references[i] for sample in two] for i in range(2)]
    expected = sacrebleu.TER().corpus_score([sample.completion for sample in two], streams).score / 100
    assert CorpusTER().compute(two)["ter"] == pytest.approx(expected, abs=1e-9)


# ---------------------------------------------------------------------------- METEOR


def test_meteor_of_random_pairs_is_that_of_nltk():
    for completion, references in PAIRS:
        words = [bleu_words(text, "13a", False) for text in (completion, *references)]
        for alpha, beta, gamma in ((0.9, 3, 0.5), (0.6, 1.5, 0.3)):
            numbers = {"alpha": alpha, "beta": beta, "gamma": gamma}
            expected = meteor_score(words[1:], words[0], wordnet=NoSynonyms(), **numbers)
            assert meteor(completion, references, tokenize="13a", **numbers) == pytest.approx(expected, abs=1e-9)


def test_meteor_by_hand():
    hypothesis = "It is a guide to action which ensures that the military always obeys the commands of the party"
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert meteor(hypothesis, [reference]) == pytest.approx(0.6944, abs=5e-5)  # evaluate's own example
    assert meteor("cat", ["cat"]) == 0.5
    assert meteor("今天天气很好", ["今天天气很好"]) == pytest.approx(1 - 0.5 / 6**3)
    assert meteor("", ["cat"]) == meteor("cat", [""]) == meteor("", [""]) == meteor("dog", ["cat"]) == 0


# ---------------------------------------------------------------------------- all three


@pytest.mark.parametrize(("reward", "highest"), [(GLEU(), 1), (TER(), 1), (METEOR(), 1)], ids=repr)
def test_very_long_texts_are_scored(reward, highest):
    long, other = "one two three " * 33_334, "three one four " * 33_334
    sample = Sample("", long, ("one two three",))
    assert 0 <= reward.score(sample) < 0.2
    assert reward.score(Sample("", long, (long,))) == pytest.approx(highest, abs=1e-6)
    assert 0 < reward.score(Sample("", other, (long,))) < 0.9


def test_texts_are_too_long_for_shifts_beyond_a_length():
    words = [f"w{i}" for i in range(LONGEST)]
    turned = " ".join([*words[1:9], words[0], *words[9:]])
    assert ter(turned, [" ".join(words)]) == pytest.approx(1 / LONGEST)
    assert ter(f"x {turned}", [" ".join(["x", *words])]) == pytest.approx(2 / (LONGEST + 1))


def test_signatures():
    english, chinese = Sample("", "a", ("a cat",)), Sample("", "a", ("今天天气很好",))
    assert "gleu|order:1-4|case:mixed|tok:auto|version:textgym-" in CorpusGLEU().signature
    assert "|tok:zh|" in CorpusGLEU().signature_of([chinese])
    assert "ter|case:lc|tok:tercom|norm:auto|punct:yes|asian:yes|version:sacrebleu-" in CorpusTER().signature
    assert ["|norm:yes|" in CorpusTER().signature_of([sample]) for sample in (english, chinese)] == [False, True]
    assert "|match:exact+stem|alpha:0.9|beta:3.0|gamma:0.5|tok:13a+zh|" in MeanMETEOR().signature_of([english, chinese])
