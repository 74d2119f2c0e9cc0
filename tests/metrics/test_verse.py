"""Rhyme and meter: the rhymes of the pronouncing package and of Tang quatrains, and meters by hand."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pronouncing
import pytest
from pypinyin import pinyin_dict

from textgym.core import Sample
from textgym.errors import ConfigError, MissingExtraError, RewardError
from textgym.metrics import MeanMeter, MeanRhyme
from textgym.metrics.verse import (
    _GROUPS,
    METERS,
    _finals,
    _rhyming_parts,
    _stress,
    _tone,
    meter,
    meter_of,
    rhyme,
    rhymes,
    verse_lines,
)
from textgym.rewards import Meter, Rhyme, VersePhrases, parse_reward

TANG = Path(__file__).parents[3] / "shared" / "data" / "tang_quatrains" / "test.parquet"
SONNET = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date;"""
QUATRAIN = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"


@pytest.mark.parametrize("number", [150, pytest.param(500, marks=pytest.mark.slow)])
def test_random_words_rhyme_as_in_the_pronouncing_package(number):
    rng = np.random.default_rng(0)
    pronouncing.init_cmu()
    words = sorted(word for word in pronouncing.lookup if word.isalpha() and word.isascii())
    checked = 0
    for word in rng.choice(words, size=number):
        known = {*pronouncing.rhymes(word)}
        others = [*rng.choice(words, size=4), *sorted(filter(str.isalpha, known))[:3]]
        for other in others:
            assert rhymes(f"The {word}!", f"a {other},", "en") is (other in known and other != word), (word, other)
            checked += other in known
    assert checked > 0.6 * number


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("the CAT.", "a hat?", True),
        ("cat", "cat", False),
        ("night", "knight", True),
        ("love", "move", False),
        ("I don’t", "they won't", True),
        ("brillig", "zillig", False),  # words that no dictionary has
        ("12", "cat", False),
        ("read", "bed", True),  # in one of its pronunciations
        ("read", "seed", True),
    ],
)
def test_english_rhymes(one, other, expected):
    assert rhymes(one, other, "en") is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("光", "霜", True),
        ("流", "楼", True),
        ("花", "家", True),
        ("花", "华", True),
        ("诗", "知", True),
        ("山", "光", False),
        ("天", "安", True),
        ("门", "心", True),
        ("红", "风", True),
        ("光", "光", False),
        ("光", "x", False),
    ],
)
def test_chinese_rhymes(one, other, expected):
    assert rhymes(one, other, "zh") is expected


def test_every_final_of_pinyin_is_in_one_group_or_none():
    assert len({final for finals in _GROUPS for final in finals}) == sum(map(len, _GROUPS))
    rng = np.random.default_rng(1)
    common = [chr(code) for code in pinyin_dict.pinyin_dict if 0x4E00 <= code < 0x9000]
    without = [one for one in rng.choice(common, size=500) if not _finals(one)]
    assert len(without) < 3, without


@pytest.mark.skipif(not TANG.is_file(), reason="without ../shared/data")
def test_tang_quatrains_rhyme_and_have_their_length():
    """Their even lines rhyme in most cases, after twelve centuries; of two poems seldom."""
    import pyarrow.parquet as parquet

    poems = parquet.read_table(TANG).to_pylist()[:300]
    texts = ["\n".join(poem["lines"]) for poem in poems]
    assert np.mean([rhyme(text, "XAXA", "zh") for text in texts]) > 0.75
    shuffled = ["\n".join([*a["lines"][:3], b["lines"][3]]) for a, b in pairwise(poems)]
    assert np.mean([rhyme(text, "XAXA", "zh") for text in shuffled]) < 0.25
    samples = [Sample("", text, ("诗",)) for text in texts]
    assert MeanMeter(lines=4).compute(samples)["meter"] > 0.99
    assert MeanRhyme().compute(samples)["rhyme"] > 0.75


def test_rhyme_by_scheme():
    assert rhyme(SONNET, "ABAB", "en") == 0.5  # temperate has no second stress in the dictionary
    assert rhyme(SONNET, "AABB", "en") == 0
    assert rhyme(SONNET, "AXA", "en") == 0.5  # two stanzas are begun, one line of the second is there
    assert rhyme("cat\nhat\nrat\nbat", "AAAA", "en") == 1
    assert rhyme("cat\ndog", "AABB", "en") == 0
    assert rhyme("cat\nhat", "AABB", "en") == 0.5
    assert rhyme("", "AABB", "en") == rhyme("...\n!", "AABB", "en") == 0
    assert rhyme(QUATRAIN, "XAXA", "zh") == 1


def test_lines():
    assert verse_lines(" \nA cat,\r\n  a dog\n--\n12\n", "en") == ["A cat,", "  a dog"]
    assert verse_lines(QUATRAIN, "zh") == verse_lines(QUATRAIN.replace("，", "\n"), "zh")
    assert len(verse_lines(QUATRAIN, "zh")) == 4
    assert verse_lines("abc。", "zh") == []


@pytest.mark.parametrize(
    ("line", "pattern", "expected"),
    [
        ("The cat has gone to sleep", "010101", 1),
        ("Shall I compare thee to a summer's day?", "0101010101", 1),
        ("Tiger, tiger, burning bright", "1010101", 1),
        ("Tiger, tiger, burning bright", "0101010", 1 - 2 / 7),  # one syllable added, one left out
        ("The cat", "010101", 2 / 6),
        ("", "01", 0),
        ("a a a a a a", "01", 0),
        ("compare", "01", 1),
        ("compare", "10", 0),
        ("record", "01", 1),  # a verb or a noun
        ("record", "10", 1),
        ("brilligate", "010", 1),  # not in the dictionary: three groups of vowels, of any stress
    ],
)
def test_english_meter(line, pattern, expected):
    assert meter(line, [pattern], "en") == pytest.approx(expected)


def test_chinese_meter():
    assert meter(QUATRAIN, ["*****"], "zh", lines=4) == 1
    assert meter(QUATRAIN, ["仄仄平平仄", "平平仄仄平"], "zh") == 0.8  # 白 was oblique once
    assert meter(QUATRAIN, ["*******"], "zh") == pytest.approx(5 / 7)
    assert meter(QUATRAIN, ["*****"], "zh", lines=2) == 0.5
    assert meter("床前明月光", ["平" * 5], "zh") == 0.8  # only 月 has no level reading
    assert Meter()([Sample("写一首绝句", QUATRAIN), Sample("A poem:", QUATRAIN)]) == [1.0, 0.0]


def test_scheme_and_meter_come_with_the_prompt():
    about = {"rhyme_scheme": "ABAB", "meter": "iambic pentameter"}
    sample = Sample("A sonnet:", SONNET, metadata=about)
    assert Rhyme()([sample]) == [0.5]
    assert Meter()([sample])[0] > 0.9
    assert Rhyme("AABB")([sample]) == [0.0]
    assert parse_reward("rhyme(scheme='ABAB') * meter('iambic pentameter', lines=4)")([sample])[0].value > 0.45
    for wrong in ({"rhyme_scheme": "ABCD"}, {"rhyme_scheme": 5}):
        with pytest.raises(RewardError, match=r"metadata\['rhyme_scheme'\] of prompt 4: scheme="):
            Rhyme()([Sample("", "a", metadata=wrong, prompt_id=4)])
    with pytest.raises(RewardError, match=r"metadata\['meter'\] of prompt 4: meter='free'"):
        Meter()([Sample("", "a", metadata={"meter": "free"}, prompt_id=4)])


def test_the_language_is_that_of_references_or_prompt_and_not_of_the_poem():
    assert Rhyme()([Sample("Ein Gedicht:", QUATRAIN), Sample("", QUATRAIN, (QUATRAIN,))]) == [0.0, 1.0]
    assert "|scheme:prompt|lang:auto|version:pronouncing-" in MeanRhyme().signature
    assert "|lang:en+zh|" in MeanMeter().signature_of([Sample("a", ""), Sample("诗", "")])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rhyme("ABCD"), "scheme='ABCD'"),
        (lambda: Rhyme(""), "scheme=''"),
        (lambda: Rhyme("XX"), "scheme='XX'"),
        (lambda: Rhyme(language="de"), "language='de'"),
        (lambda: Meter("iamb"), "meter='iamb': expected iambic trimeter"),
        (lambda: Meter([]), r"meter=\[\]"),
        (lambda: Meter(["01", "2"]), "meter="),
        (lambda: Meter(lines=0), "lines=0"),
        (lambda: Rhyme(lexicon="cmu"), "lexicon='cmu': expected 'dictionary' or 'world'"),
        (lambda: Meter(lexicon=None), "lexicon=None"),
        (lambda: VersePhrases("de"), "language='de'"),
    ],
)
def test_settings_that_make_no_sense(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_meters_have_names():
    for name, patterns in METERS.items():
        assert meter_of(name.upper()) == patterns == meter_of(patterns)


def test_without_the_dictionaries_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    assert Rhyme(language="en")([Sample("", "cat\nhat")]) == [0.5]
    for make in (Rhyme, Meter, lambda: Rhyme(language="zh")):
        with pytest.raises(MissingExtraError, match="pip install 'pronouncing>="):
            make()


def test_very_long_texts_are_scored():
    long = "the cat sat in the sun " * 20_000
    assert Meter()([Sample("", long)]) == [0.0]
    lines = "the cat sat in the sun\n" * 3_000
    assert Meter("iambic trimeter")([Sample("", lines)]) == [1.0]
    assert Rhyme("AA")([Sample("", lines)]) == [0.0]
    assert Rhyme(language="zh")([Sample("", "床" * 100_000)]) == [0.0]


POEM = "The girl will sleep behind the train,\nThe kitten sleeps in summer rain."
JUEJU = "杏花春已到，清泉有清音。茅屋春色早，晚风入深林。"


@pytest.fixture
def without_dictionaries(monkeypatch):
    for module in ("pronouncing", "pypinyin"):
        monkeypatch.setitem(sys.modules, module, None)
    for cached in (_rhyming_parts, _stress, _finals, _tone):
        cached.cache_clear()


@pytest.mark.usefixtures("without_dictionaries")
def test_the_worlds_lexicon_needs_no_dictionary():
    prompt = {"meter": "iambic tetrameter", "rhyme_scheme": "AA", "lines": 2}
    quatrain = {"meter": "five characters", "rhyme_scheme": "XAXA", "lines": 4}
    samples = [
        Sample("", POEM, metadata=prompt),
        Sample("", POEM.replace("train", "door"), metadata=prompt),
        Sample("", POEM.replace("summer", "summer cold cold"), metadata=prompt),
        Sample(
            "", POEM.replace("train", "Spain").replace("summer rain", "summer grain"), metadata=prompt
        ),  # not in the table
        Sample("诗：", JUEJU, metadata=quatrain),
        Sample("诗：", JUEJU.replace("林", "山"), metadata=quatrain),
        Sample("诗：", JUEJU[:12], metadata=quatrain),
    ]
    assert Rhyme(lexicon="world")(samples) == [1, 0, 1, 0, 1, 0, 0]
    assert Meter(lexicon="world")(samples) == [1, 1, 0.875, 1, 1, 1, 0.5]


def test_the_number_of_lines_comes_with_the_prompt():
    for asked, expected in ((2, 1), (4, 0.5), (1, 0.5)):
        sample = Sample("", POEM, metadata={"lines": asked})
        assert Meter()([sample]) == [expected]
        assert MeanMeter().compute([sample]) == {"meter": expected}
        assert Meter(lines=2)([sample]) == [1]
    for wrong in (0, "two", 1.5, True):
        with pytest.raises(RewardError, match=r"metadata\['lines'\] of prompt 4: lines="):
            Meter()([Sample("", POEM, metadata={"lines": wrong}, prompt_id=4)])


def test_phrases_are_words_in_a_row():
    texts = [POEM, POEM.upper(), POEM.replace("behind the", "the behind"), "rain rain rain", "", "\n", "猫"]
    scores = VersePhrases()([Sample("", text) for text in texts])
    assert scores[:2] == [1, 1]
    assert 0.7 < scores[2] < 0.9
    assert scores[3:] == [0, 0, 0, 0]
    chinese = VersePhrases()([Sample("诗：", text) for text in (JUEJU, JUEJU[::-1], POEM)])
    assert chinese == [1, 0, 0]
