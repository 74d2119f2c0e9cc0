"""Words, scripts and phrases."""

import unicodedata

import pytest

from textgym.metrics.words import ascii_words, bleu_tokenizer, contains_phrase, unicode_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("... !?", []),
        ("The_Cat's 2nd", ["the", "cat", "s", "2nd"]),
        ("Café naïve Straße", ["café", "naïve", "straße"]),
        (unicodedata.normalize("NFD", "Café"), ["café"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("小熊猫在睡觉。", ["小", "熊", "猫", "在", "睡", "觉"]),
        ("我用ＰｙＴｏｒｃｈ２训练", ["我", "用", "pytorch2", "训", "练"]),
        ("ネコとdog", ["ネ", "コ", "と", "dog"]),
        ("고양이", ["고", "양", "이"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("กำลัง", ["กํ", "า", "ลั", "ง"]),
        ("\u0301a \u0301 b", ["a", "b"]),
        ("🙂 fine 🙂", ["fine"]),
    ],
)
def test_unicode_words(text, words):
    assert unicode_words(text) == [unicodedata.normalize("NFKC", word) for word in words]


def test_unicode_words_of_ascii_text_are_those_of_rouge():
    text = "".join(map(chr, range(128))) * 2
    assert unicode_words(text) == ascii_words(text)


@pytest.mark.parametrize(
    ("references", "tokenizer"),
    [
        (("The cat.",), "13a"),
        (("",), "13a"),
        (("Émile et Zoé",), "13a"),
        (("Привет, мир",), "13a"),
        (("猫坐在垫子上",), "zh"),
        (("我们用 PyTorch 训练模型",), "zh"),
        (("Professor 王 works in Beijing on machine translation.",), "13a"),
        (("The band 방탄 is famous.",), "13a"),
        (("猫がすわった",), "char"),
        (("고양이가 앉았다",), "char"),
        (("แมวนั่งบนเสื่อ",), "char"),
        (("The cat.", "猫坐在垫子上"), "zh"),
    ],
)
def test_the_script_of_the_references_picks_the_bleu_tokenizer(references, tokenizer):
    assert bleu_tokenizer(references) == tokenizer


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("A cat sat.", "cat", True),
        ("A Cat sat.", "cAT", True),
        ("cats", "cat", False),
        ("concat", "cat", False),
        ("concat cat", "cat", True),
        ("cat", "cat", True),
        ("(cat)", "cat", True),
        ("cat's", "cat", True),
        ("New\n York", "new york", True),
        ("New Yorker", "new york", False),
        ("C++ and C#", "c++", True),
        ("cost: $5.00!", "$5.00", True),
        ("cost: $5.001", "$5.00", False),
        ("a.c", "abc", False),
        ("le café noir", unicodedata.normalize("NFD", "café"), True),
        ("हिन्दी", "हिन्द", False),
        ("小熊猫在睡觉", "熊猫", True),
        ("我用PyTorch训练", "pytorch", True),
        ("a cat", "", False),
        ("", "cat", False),
        ("x" * 10000, "xx", False),
    ],
)
def test_contains_phrase(text, phrase, expected):
    assert contains_phrase(text, phrase) is expected


def test_contains_phrase_minds_case_on_request():
    assert not contains_phrase("A Cat", "cat", case_sensitive=True)
    assert contains_phrase("A Cat", "Cat", case_sensitive=True)
