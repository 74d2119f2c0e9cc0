"""The small world's verse: what its own tables say of stresses and rhymes, dictionaries say too."""

import itertools
import re
from functools import partial

import pytest
from pypinyin import Style, pinyin

from textgym.core import Sample
from textgym.metrics import MeanMeter, MeanRhyme
from textgym.metrics.verse import _GROUP, _rhyming_parts, _stress
from textgym.world import Draw, jueju, jueju_grammar, verse, verse_grammar

# Words that end no line, and have other sounds where they are not stressed.
UNSTRESSED = {
    *re.findall(
        "\\w+", "a an and are as at by for from i in of on one out some the to upon when while with will you your"
    )
}


def test_words_have_the_stresses_of_the_dictionary():
    known = verse.stresses()
    assert len(known) > 250
    assert {word: stress for word, stress in known.items() if stress not in _stress(word)} == {}


def test_words_rhyme_as_in_the_dictionary():
    groups = verse.rhyme_groups()
    words = sorted({*verse.stresses()} - {"both"} - UNSTRESSED)
    assert not groups.keys() - {*words}
    wrong = [
        (one, other)
        for one, other in itertools.combinations(words, 2)
        if bool(_rhyming_parts(one) & _rhyming_parts(other)) != (one in groups and groups[one] == groups.get(other))
    ]
    assert wrong == []


def test_characters_rhyme_as_in_the_dictionary():
    groups = jueju.rhyme_groups()
    read = {one: pinyin(one, style=Style.FINALS, strict=True)[0][0] for one in groups}
    wrong = [
        (one, other)
        for one, other in itertools.combinations(groups, 2)
        if (_GROUP[read[one]] == _GROUP[read[other]]) != (groups[one] == groups[other])
    ]
    assert wrong == []
    tones = {one: pinyin(one, style=Style.TONE3)[0][0][-1] for one in groups}
    assert not {one: tone for one, tone in tones.items() if tone not in "12"}  # level ones


@pytest.mark.parametrize("form", ["couplet", "quatrain", "jueju"])
def test_poems_have_their_form_and_their_theme(form):
    grammar = jueju_grammar if form == "jueju" else partial(verse_grammar, form=form)
    samples = []
    for index in range(200):
        rendered = grammar(Draw.at(0, "train", index))
        words = rendered.metadata["keywords"]
        assert len(set(words)) == len(words) == (4 if form == "quatrain" else 3)
        assert words == tuple(sorted(words))
        assert rendered.source.startswith(("、" if form == "jueju" else ", ").join(words))
        assert len(set(rendered.targets)) == 2
        for poem in rendered.targets:
            lines = [line for line in poem.replace("，", "\n").replace("。", "\n").splitlines() if line]
            assert len(lines) == rendered.metadata["lines"]
            assert len({line.split()[-1] if form != "jueju" else line[-1] for line in lines}) == len(lines)
            said = poem if form == "jueju" else poem.lower().replace(",", " ").replace(".", " ").split()
            assert all(word in said for word in words), poem
            samples.append(Sample("", poem, rendered.targets, metadata=rendered.metadata))
    assert MeanRhyme().compute(samples) == {"rhyme": 1}
    assert MeanMeter().compute(samples) == {"meter": 1}


def test_lines_that_need_not_rhyme_end_in_oblique_tones():
    for index in range(200):
        for poem in jueju_grammar(Draw.at(1, "train", index)).targets:
            lines = poem.replace("。", "，").split("，")
            for line in (lines[0], lines[2]):
                last = pinyin(line, style=Style.TONE3, neutral_tone_with_five=True)[-1][0]
                assert last[-1] in "345", line  # 里 is written without a tone at the end of a word
