"""Rhyme and meter of verse, English by the CMU pronouncing dictionary and Chinese by pinyin: the extra ``verse``.

With ``lexicon="world"`` by the tables of the small world's verse, which need no extra and have none but its words.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from textgym.errors import ConfigError, MissingExtraError
from textgym.metrics.base import MetricSample
from textgym.metrics.words import bleu_tokenizer
from textgym.world import jueju
from textgym.world import verse as world_verse

LANGUAGES = ("auto", "en", "zh")
LEXICONS = ("dictionary", "world")
SCHEMES = {"en": "AABB", "zh": "XAXA"}  # where none is given: couplets, and a quatrain's even lines
METERS: dict[str, tuple[str, ...]] = {
    "iambic trimeter": ("01" * 3,),
    "iambic tetrameter": ("01" * 4,),
    "iambic pentameter": ("01" * 5,),
    "trochaic tetrameter": ("10" * 4,),
    "dactylic dimeter": ("100" * 2,),
    "anapestic trimeter": ("001" * 3,),
    "common": ("01" * 4, "01" * 3),
    "five characters": ("*" * 5,),
    "seven characters": ("*" * 7,),
}

# The thirteen groups of finals that rhyme (shisan zhe), by the finals of strict pinyin.
_GROUPS = (
    ("a", "ia", "ua"),
    ("o", "uo", "e"),
    ("ie", "ve"),
    ("i", "v", "er"),
    ("u",),
    ("ai", "uai"),
    ("ei", "uei"),
    ("ao", "iao"),
    ("ou", "iou"),
    ("an", "ian", "uan", "van"),
    ("en", "in", "uen", "vn"),
    ("ang", "iang", "uang"),
    ("eng", "ing", "ueng", "ong", "iong"),
)
_GROUP = {final: number for number, finals in enumerate(_GROUPS) for final in finals}
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]")
_CHINESE_BREAK = re.compile("[\n，。！？；：,.!?;:]+")
_ENGLISH_WORD = re.compile("[a-z]+(?:['’][a-z]+)*")
_VOWELS = re.compile("[aeiouy]+")


def check_verse_settings(
    language: str,
    scheme: str | None = None,
    meter: object = None,
    lines: int | None = None,
    lexicon: str = "dictionary",
) -> None:
    """Raise ConfigError for a language, a rhyme scheme, a meter, a number of lines or a lexicon that makes no sense."""
    if lexicon not in LEXICONS:
        raise ConfigError(f"lexicon={lexicon!r}: expected 'dictionary' or 'world'.")
    if language not in LANGUAGES:
        raise ConfigError(f"language={language!r}: expected 'auto', 'en' or 'zh'.")
    if scheme is not None and not (isinstance(scheme, str) and _pairs(scheme, 1)):
        raise ConfigError(
            f"scheme={scheme!r}: expected a letter for each line, equal ones for lines that rhyme and X for those that "
            "need not, such as 'ABAB' or 'XAXA'."
        )
    if lines is not None and (isinstance(lines, bool) or not isinstance(lines, int) or lines < 1):
        raise ConfigError(f"lines={lines!r}: expected a number of lines from 1 up, or None for any.")
    if meter is not None:
        meter_of(meter)


def meter_of(meter: object) -> tuple[str, ...]:
    """A meter as one pattern a line, which repeat: a name of ``METERS``, a pattern, or several.

    In a pattern a syllable is 1 stressed, 0 unstressed, or * either; of Chinese 平 level, 仄 oblique, or * (中) either.

    Raises:
        ConfigError: it is none.

    >>> meter_of("iambic trimeter"), meter_of(["仄仄平平仄", "平平仄仄平"])
    (('010101',), ('仄仄平平仄', '平平仄仄平'))
    """
    if isinstance(meter, str) and meter.lower() in METERS:
        return METERS[meter.lower()]
    patterns = (meter,) if isinstance(meter, str) else meter
    if (
        not isinstance(patterns, Sequence)
        or not patterns
        or not all(isinstance(one, str) and re.fullmatch("[01*平仄中]+", one) for one in patterns)
    ):
        raise ConfigError(
            f"meter={meter!r}: expected {', '.join(METERS)}, or a pattern of 0, 1 and * for each line, of Chinese of "
            "平, 仄 and *."
        )
    return tuple(one.replace("中", "*") for one in patterns)


def require_verse(language: str, lexicon: str = "dictionary") -> None:
    """Raise MissingExtraError without the dictionaries of a language, or with "auto" of both. "world" needs none."""
    if lexicon == "world":
        return
    try:
        if language != "zh":
            import pronouncing  # type: ignore[import-untyped]  # noqa: F401
        if language != "en":
            import pypinyin  # noqa: F401
    except ImportError:
        raise MissingExtraError("Rhyme and meter", "verse") from None


def language_of(sample: MetricSample, language: str) -> str:
    """The language of a sample's verse: with "auto" that of its references, or else of its prompt: never its own."""
    if language != "auto":
        return language
    return "zh" if bleu_tokenizer(tuple(sample.references) or (sample.prompt,)) == "zh" else "en"


def verse_lines(text: str, language: str) -> list[str]:
    """The lines of a poem that have a word. Chinese ones end at punctuation too.

    >>> verse_lines("A cat,\\n\\nalas.", "en"), verse_lines("床前明月光，疑是地上霜。", "zh")
    (['A cat,', 'alas.'], ['床前明月光', '疑是地上霜'])
    """
    if language == "zh":
        return [line for line in _CHINESE_BREAK.split(text) if _HAN.search(line)]
    return [line for line in text.splitlines() if _ENGLISH_WORD.search(line.lower())]


# ---------------------------------------------------------------------------- rhyme


def rhymes(one: str, other: str, language: str, lexicon: str = "dictionary") -> bool:
    """Whether two lines rhyme.

    English: their last words are different, and sound alike from the last stressed vowel on, in some pronunciation
    that the CMU dictionary has; a word that it lacks rhymes with none. Chinese: their last characters are different,
    and have finals of one of the thirteen groups (shisan zhe) of modern Mandarin, in some reading. With
    ``lexicon="world"``: both end lines of the small world's verse, and rhyme there.

    >>> rhymes("the cat in the hat,", "it sat", "en"), rhymes("a cat", "the cat", "en"), rhymes("love", "move", "en")
    (True, False, False)
    >>> rhymes("床前明月光", "疑是地上霜", "zh"), rhymes("床前明月光", "低头思故乡", "zh"), rhymes("光", "月", "zh")
    (True, True, False)
    """
    first, second = (_last(line, language) for line in (one, other))
    if not first or not second or first == second:
        return False
    if lexicon == "world":
        groups = jueju.rhyme_groups() if language == "zh" else world_verse.rhyme_groups()
        return first in groups and groups[first] == groups.get(second)
    endings = _finals if language == "zh" else _rhyming_parts
    return bool(endings(first) & endings(second))


def _last(line: str, language: str) -> str:
    found = _HAN.findall(line) if language == "zh" else _ENGLISH_WORD.findall(line.lower())
    return found[-1].replace("’", "'") if found else ""


@lru_cache(maxsize=65536)
def _rhyming_parts(word: str) -> frozenset[str]:
    import pronouncing

    return frozenset(pronouncing.rhyming_part(phones) for phones in _phones(word))


@lru_cache(maxsize=65536)
def _finals(character: str) -> frozenset[int]:
    from pypinyin import Style, pinyin

    read = pinyin(character, style=Style.FINALS, strict=True, heteronym=True)
    return frozenset(_GROUP[final] for one in read for final in one if final in _GROUP)


def _phones(word: str) -> list[str]:
    import pronouncing

    return list(pronouncing.phones_for_word(word))


def rhyme(text: str, scheme: str, language: str, lexicon: str = "dictionary") -> float:
    """The share of the rhymes that a scheme asks for, in [0, 1].

    A line has to rhyme with the one before it of the same letter. The scheme repeats for each stanza of a longer text;
    lines that are missing don't rhyme. A text without lines scores 0.

    Args:
        text: the poem, see :func:`verse_lines`.
        scheme: a letter for each line, equal ones for lines that rhyme, X for any line.
        language: "en" or "zh".
        lexicon: "dictionary", or "world", which has the words of the small world's verse alone.

    Raises:
        MissingExtraError: the language's dictionary isn't installed.

    >>> poem = "A cat sat in the sun\\nand said: my day is done.\\nA dog came by in spring\\nand had a golden chain."
    >>> rhyme(poem, "AABB", "en"), rhyme(poem, "ABAB", "en")
    (0.5, 0.0)
    """
    require_verse(language, lexicon)
    lines = verse_lines(text, language)
    if not lines:
        return 0.0
    pairs = _pairs(scheme, -(-len(lines) // len(scheme)))
    right = sum(late < len(lines) and rhymes(lines[early], lines[late], language, lexicon) for early, late in pairs)
    return right / len(pairs)


def _pairs(scheme: str, stanzas: int) -> list[tuple[int, int]]:
    """The numbers of lines that have to rhyme.

    >>> _pairs("ABAB", 2)
    [(0, 2), (1, 3), (4, 6), (5, 7)]
    """
    pairs: list[tuple[int, int]] = []
    for stanza in range(stanzas):
        last: dict[str, int] = {}
        for number, letter in enumerate(scheme.upper(), stanza * len(scheme)):
            if letter in last:
                pairs.append((last[letter], number))
            if letter != "X":
                last[letter] = number
    return pairs


# ---------------------------------------------------------------------------- meter


def meter(
    text: str, patterns: Sequence[str], language: str, lines: int | None = None, lexicon: str = "dictionary"
) -> float:
    """How well the lines of a poem keep a meter, in [0, 1].

    A line scores 1 minus its syllables that have to be added, left out, or stressed otherwise, over the pattern's
    length, and at least 0. The value is the mean over lines, times the smaller number of lines over the larger, where a
    number is asked for. Words have the stress that fits best among their pronunciations; words of one syllable, and
    secondary stress, fit any. An English word that the dictionary lacks has as many syllables as groups of vowels.
    Chinese tones are those of modern Mandarin: an entering tone of old verse counts as what it is now.

    Args:
        text: the poem, see :func:`verse_lines`.
        patterns: for each line, repeating, see :func:`meter_of`.
        language: "en" or "zh".
        lines: how many lines the poem should have; None: any number.
        lexicon: "dictionary", or "world", which has the words of the small world's verse alone, and no tones.

    Raises:
        MissingExtraError: the language's dictionary isn't installed.

    >>> meter("Shall I compare thee to a summer's day?", ["01" * 5], "en"), meter("Compare a day", ["01" * 5], "en")
    (1.0, 0.4)
    >>> meter("白日依山尽，黄河入海流。", ["*" * 5], "zh", lines=4)
    0.5
    """
    require_verse(language, lexicon)
    found = verse_lines(text, language)
    if not found:
        return 0.0
    syllables = _SYLLABLES[language, lexicon]
    scores = [_fit(syllables(line), patterns[i % len(patterns)]) for i, line in enumerate(found)]
    whole = 1.0 if lines is None else min(lines, len(found)) / max(lines, len(found))
    return sum(scores) / len(scores) * whole


def _stresses(line: str) -> list[tuple[str, ...]]:
    """For each word the stress patterns that it may have."""
    return [_stress(word.replace("’", "'")) for word in _ENGLISH_WORD.findall(line.lower())]


def _world_stresses(line: str) -> list[tuple[str, ...]]:
    known = world_verse.stresses()
    words = [word.replace("’", "'") for word in _ENGLISH_WORD.findall(line.lower())]
    return [(known.get(word) or _guessed(word),) for word in words]


def _guessed(word: str) -> str:
    """As many syllables as a word has groups of vowels, with any stress."""
    return "*" * max(1, len(_VOWELS.findall(word.removesuffix("e"))))


@lru_cache(maxsize=65536)
def _stress(word: str) -> tuple[str, ...]:
    import pronouncing

    known = {pronouncing.stresses(phones) for phones in _phones(word)}
    if not known:
        return (_guessed(word),)
    return tuple(sorted("*" if len(one) == 1 else one.replace("2", "*") for one in known))


def _tones(line: str) -> list[tuple[str, ...]]:
    """For each character its tones: 平 level, 仄 oblique, * neither."""
    return [_tone(character) for character in _HAN.findall(line)]


def _world_tones(line: str) -> list[tuple[str, ...]]:
    return [("*",)] * len(_HAN.findall(line))


@lru_cache(maxsize=65536)
def _tone(character: str) -> tuple[str, ...]:
    from pypinyin import Style, pinyin

    read: Any = pinyin(character, style=Style.TONE3, heteronym=True, neutral_tone_with_five=True)
    return tuple(sorted({{"1": "平", "2": "平", "3": "仄", "4": "仄"}.get(one[-1:], "*") for one in read[0]}))


_SYLLABLES: dict[tuple[str, str], Callable[[str], list[tuple[str, ...]]]] = {
    ("en", "dictionary"): _stresses,
    ("zh", "dictionary"): _tones,
    ("en", "world"): _world_stresses,
    ("zh", "world"): _world_tones,
}


def _fit(words: Sequence[tuple[str, ...]], pattern: str) -> float:
    """1 minus the edit distance of syllables to a pattern over its length, and at least 0."""
    row = list(range(len(pattern) + 1))  # the fewest edits from the syllables until here to each part of the pattern
    for options in words[: 4 * len(pattern)]:  # a longer line scores 0 anyway
        ends = []
        for option in options:
            after = row
            for syllable in option:
                after = _next_row(after, syllable, pattern)
            ends.append(after)
        row = [min(column) for column in zip(*ends, strict=True)]
    return max(0.0, 1 - row[-1] / len(pattern))


def _next_row(row: list[int], syllable: str, pattern: str) -> list[int]:
    after = [row[0] + 1]
    for place, wanted in enumerate(pattern):
        differs = syllable != wanted and "*" not in (syllable, wanted)
        after.append(min(row[place] + differs, row[place + 1] + 1, after[place] + 1))
    return after
