"""Forms of English words: those of the world's sentences, irregular ones, and none that would find other words."""

import pytest

from textgym.core import Sample
from textgym.metrics import MeanConcepts
from textgym.metrics.inflection import inflections
from textgym.rewards import ConceptCoverage, KeywordCoverage
from textgym.world import bilingual, english


def test_every_form_that_the_grammar_writes_is_found():
    verbs = (
        *bilingual.TRANSITIVE,
        *bilingual.GIVING,
        *bilingual.RESTING,
        *bilingual.SAYING,
        bilingual.GO,
        bilingual.RUN,
    )
    forms = [
        (verb.en, form)
        for verb in (*verbs, bilingual.DRIVE, bilingual.ARRIVE, bilingual.HAVE)
        for form in (verb.past, english.third_person(verb.en), english.progressive(verb.en))
        if " " not in verb.en
    ]
    forms += [(noun.en, noun.en_plural) for nouns in bilingual.NOUNS.values() for noun in nouns]
    assert len(forms) > 150
    assert not [(word, form) for word, form in forms if form not in inflections(word)]


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("run", "run runs ran running runner runners"),
        ("plan", "plan plans planned planning"),
        ("show", "show shows showed shown showing"),
        ("play", "plays played playing"),
        ("try", "tries tried trying"),
        ("die", "dies died dying"),
        ("agree", "agrees agreed agreeing"),
        ("watch", "watches watched watching"),
        ("happy", "happy happier happiest"),
        ("big", "bigger biggest"),
        ("nice", "nicer nicest"),
        ("knife", "knives"),
        ("Write", "writes wrote written writing"),
    ],
)
def test_forms(word, forms):
    assert {form for form in forms.split() if form != "runners"} <= inflections(word)


@pytest.mark.parametrize(
    ("word", "other"), [("give", "gift"), ("eat", "eatting"), ("car", "care"), ("ski", "sky"), ("do", "dog")]
)
def test_other_words(word, other):
    assert other not in inflections(word)


@pytest.mark.parametrize(
    ("completion", "share"),
    [
        ("The dogs ran to the ice cream.", 1),
        ("A dog RUNS.", 2 / 3),
        ("run dog", 2 / 3),
        ("ice creams", 0),
        ("ice", 0),
        ("", 0),
        ("doggy runt", 0),
    ],
)
def test_coverage_of_concepts(completion, share):
    sample = Sample("", completion, metadata={"keywords": ["dog", "run", "ice cream"]})
    assert ConceptCoverage()([sample]) == [pytest.approx(share)]
    assert MeanConcepts().compute([sample]) == {"concepts": pytest.approx(share)}
    assert KeywordCoverage()([sample])[0] <= share + 1e-9
    with pytest.warns(UserWarning, match="Reward 'concepts' abstains"):
        assert ConceptCoverage()([Sample("", completion)]) == [None]
