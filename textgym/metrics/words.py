"""Words in any script: which tokenizer suits a text, its words, and whether it contains a phrase."""

import re
import unicodedata
from functools import lru_cache
from typing import Literal

# Scripts that are written without spaces, and Hangul, whose words carry their particles: one character is the unit.
_HAN = "\u3005-\u3007\u3100-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_SOUTH_EAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_OTHER_CHARACTER = re.compile(f"[{_KANA}{_HANGUL}{_SOUTH_EAST_ASIAN}]")
_UNSPACED = re.compile(f"[{_HAN}{_KANA}{_HANGUL}{_SOUTH_EAST_ASIAN}]")
_SPACED_WORD = re.compile(f"[^\\W\\d_{_HAN}{_KANA}{_HANGUL}{_SOUTH_EAST_ASIAN}]+")
_ASCII_WORD = re.compile("[a-z0-9]+")


@lru_cache(maxsize=8192)
def bleu_tokenizer(texts: tuple[str, ...]) -> Literal["13a", "zh", "char"]:
    """The sacrebleu tokenizer that suits the script of ``texts``.

    "13a" for scripts that put spaces between words. A text with at least as many characters of an unspaced script as
    other words gets "zh" when they are all Han, "char" when Kana, Hangul or a South-East Asian script is among them.

    >>> [bleu_tokenizer((text,)) for text in ("The cat sat.", "猫坐在垫子上。", "猫がすわった。", "the 猫 sat")]
    ['13a', 'zh', 'char', '13a']
    """
    if all(text.isascii() for text in texts):
        return "13a"
    han = sum(len(_HAN_CHARACTER.findall(text)) for text in texts)
    other = sum(len(_OTHER_CHARACTER.findall(text)) for text in texts)
    if han + other == 0 or han + other < sum(len(_SPACED_WORD.findall(text)) for text in texts):
        return "13a"
    return "char" if other else "zh"


def ascii_words(text: str) -> list[str]:
    """Runs of a-z and 0-9 in the lower-cased text: the tokens of the rouge-score package.

    >>> ascii_words("It's a café!")
    ['it', 's', 'a', 'caf']
    """
    return _ASCII_WORD.findall(text.lower())


def unicode_words(text: str) -> list[str]:
    """Lower-cased words of any script; each character of a script without spaces is a word. Punctuation is dropped.

    The text is normalized to NFKC first. For ASCII text the words are those of :func:`ascii_words`.

    >>> unicode_words("It's a café, 我用PyTorch２!")
    ['it', 's', 'a', 'café', '我', '用', 'pytorch2']
    """
    text = unicodedata.normalize("NFKC", text).lower()
    if text.isascii():
        return _ASCII_WORD.findall(text)
    words: list[str] = []
    last = "gap"  # the kind of the last character that is no mark
    for character in text:
        kind = character_kind(character)
        if kind == "mark" or (kind == "letter" and last == "letter"):
            if last != "gap":
                words[-1] += character
        elif kind != "gap":
            words.append(character)
        if kind != "mark":
            last = kind
    return words


@lru_cache(maxsize=65536)
def character_kind(character: str) -> Literal["letter", "alone", "mark", "gap"]:
    """How a character takes part in words: "letter" (or digit), "alone" (a word by itself), "mark" or "gap"."""
    category = unicodedata.category(character)
    if category.startswith("M"):
        return "mark"
    if category[0] not in "LN":
        return "gap"
    return "alone" if _UNSPACED.match(character) else "letter"


def contains_phrase(text: str, phrase: str, *, case_sensitive: bool = False) -> bool:
    """Whether ``phrase`` occurs in ``text`` as whole words, or anywhere if it is in a script without spaces.

    Runs of whitespace count as one space, and both sides are normalized to NFKC.

    >>> contains_phrase("A red  panda.", "Red panda"), contains_phrase("A red pandas", "red panda")
    (True, False)
    >>> contains_phrase("我喜欢小熊猫", "熊猫"), contains_phrase("C++ is fine", "C++")
    (True, True)
    """
    text, phrase = _folded(text, case_sensitive), _folded(phrase, case_sensitive)
    if not phrase:
        return False
    if _UNSPACED.search(phrase):
        return phrase in text
    start = text.find(phrase)
    while start >= 0:
        if not (_inside_word(text, start) or _inside_word(text, start + len(phrase))):
            return True
        start = text.find(phrase, start + 1)
    return False


def _folded(text: str, case_sensitive: bool) -> str:
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    return text if case_sensitive else text.casefold()


def _inside_word(text: str, position: int) -> bool:
    """Whether a word runs across ``position``, the border between two characters."""
    if not 0 < position < len(text):
        return False
    before, after = character_kind(text[position - 1]), character_kind(text[position])
    return before in ("letter", "mark") and after in ("letter", "mark")
