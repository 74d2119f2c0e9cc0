"""English agreement, and what every rendered English text must look like."""

import re

import pytest

from textgym.world import Draw, record_grammar, review_grammar, story_grammar, translation_grammar, words_grammar
from textgym.world.english import a, listed, progressive, prose, third_person
from textgym.world.plots import PLOTS
from textgym.world.records import KINDS

COUNT = 1500


def english_texts():
    """Many rendered English texts, whole sentences all."""
    for index in range(COUNT):
        yield from record_grammar(Draw.at(3, "train", index)).targets
        story = story_grammar(Draw.at(3, "train", index))
        yield from (story.source, *story.targets)
        yield translation_grammar(Draw.at(3, "train", index)).source
        review = review_grammar(Draw.at(3, "train", index))
        yield from (f"{review.source} {ending}" for ending in (*review.targets, *review.metadata["negative"]))


def test_sentences_begin_with_a_capital_and_end_with_a_stop():
    for text in english_texts():
        assert text[0].isupper(), text
        assert text[-1] in ".?", text
        assert not re.search(r"[.?] [a-z]", text), text
        assert not re.search(r"  | [.,?]|,,|\.\.|[{}]", text), text


def test_the_article_fits_the_next_word():
    for text in english_texts():
        for article, word in re.findall(r"\b([Aa]n?) (\w+)", text):
            vowel = word[0] in "aeiou" and not word.startswith(("used", "uni"))
            vowel = vowel or word == "hour" or word in ("18", "8") or re.fullmatch(r"8\d", word) is not None
            assert (article.lower() == "an") == vowel, text


def test_no_word_is_said_twice_in_a_row():
    for text in english_texts():
        assert not re.search(r"\b(\w+) \1\b", text.replace("her her own", "")), text


@pytest.mark.parametrize(("draw_facts", "describe"), KINDS)
def test_every_description_mentions_every_fact_verbatim(draw_facts, describe):
    for index in range(400):
        facts = draw_facts(Draw.at(0, "train", index))
        for text in describe(facts):
            missing = [value for value in facts.values() if value not in text]
            assert not missing, (facts, text)
        assert len(set(describe(facts))) >= 3, facts


@pytest.mark.parametrize("plot", PLOTS)
def test_a_story_has_four_to_eight_sentences(plot):
    for outcome in plot.outcomes:
        optional = sum("" in alternatives for alternatives in plot.body)
        longest = len(plot.body) + len(outcome.ending)
        assert longest - optional >= 4
        assert longest <= 8
        assert len(outcome.summaries) >= 2


def test_stories_and_summaries_speak_of_the_same_people():
    for index in range(300):
        story = story_grammar(Draw.at(1, "train", index))
        assert 4 <= len(re.findall(r"\.( |$)", story.source)) <= 8, story.source
        for summary in story.targets:
            # Beyond the first word, which may be capital for its place alone, only names have capitals.
            for name in re.findall(r"(?<= )[A-Z]\w+", summary):
                assert name in story.source, (story.source, summary)


def test_words_to_copy_differ():
    for index in range(300):
        words = words_grammar(Draw.at(0, "train", index)).source.split()
        assert 3 <= len(set(words)) == len(words) <= 8


@pytest.mark.parametrize(
    ("function", "given", "expected"),
    [
        (a, "hour", "an hour"),
        (a, "house", "a house"),
        (a, "orange hat", "an orange hat"),
        (a, "18-year-old artist", "an 18-year-old artist"),
        (a, "28-year-old artist", "a 28-year-old artist"),
        (third_person, "go", "goes"),
        (third_person, "have", "has"),
        (third_person, "carry", "carries"),
        (third_person, "look for", "looks for"),
        (progressive, "run", "running"),
        (progressive, "put on", "putting on"),
        (progressive, "give", "giving"),
        (progressive, "visit", "visiting"),
        (listed, ["a", "b", "c"], "a, b and c"),
        (prose, "It snows", "It snows."),
    ],
)
def test_english_forms(function, given, expected):
    assert function(given) == expected
