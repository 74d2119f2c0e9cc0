"""Questions about stories: their answers are in the story, every question is asked, and the kinds are what they say."""

import pytest

from textgym.metrics.exact_match import normalized
from textgym.world import Draw, plots, question_grammar, story_grammar
from textgym.world.questions import KINDS, OF_HEROES, OF_PLOTS, questions_of
from textgym.world.story import draw_story

STORIES = [draw_story(Draw.at(0, "train", index)) for index in range(1500)]


def test_every_plot_has_questions_of_every_kind():
    assert [id(plot) for plot, _ in OF_PLOTS.values()] == [id(plot) for plot in plots.PLOTS]
    for name, (_, questions) in OF_PLOTS.items():
        assert {question.kind for question in questions} == {*KINDS} - ({"where"} if name == "repair" else set())


def test_answers_are_in_the_story():
    for story in STORIES:
        text = normalized(story.text.replace("'s", " 's"), "squad")
        for question in questions_of(story):
            first, *others = (
                normalized(answer.format_map(story.values).replace("'s", " 's"), "squad") for answer in question.answers
            )
            assert f" {first} " in f" {text} " or set(first.split()) <= set(text.split()), (story.text, question)
            for other in others:
                assert set(other.split()) & set(first.split()), question
                assert set(other.split()) <= {*text.split(), "in", "on", "from", "near", "for", "with", "s"}, question


def test_every_question_is_asked_somewhere():
    asked = {question for story in STORIES for question in questions_of(story)}
    every = {question for _, questions in OF_PLOTS.values() for question in questions} | {*OF_HEROES}
    assert not every - asked


def test_no_question_of_a_story_is_asked_in_two_ways_with_different_answers():
    for story in STORIES:
        texts = [question.text for question in questions_of(story)]
        assert len(set(texts)) == len(texts), story.text


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    words = {
        "who": ("Who", "Whom", "Whose", "To whom"),
        "what": ("What", "With what"),
        "where": ("Where", "Near which"),
    }
    words["when"] = ("When", "On which", "For how")
    for index in range(50):
        rendered = question_grammar(Draw.at(0, "train", index), kind)
        assert rendered.metadata["kind"] == kind
        assert rendered.source.startswith(words[kind])
        assert "{" not in rendered.source + "".join(rendered.targets)
        question, _, story = rendered.source.partition("\nStory: ")
        assert question.endswith("?")
        assert story.endswith(".")


def test_stories_are_those_of_summarization():
    for index in range(20):
        story, summed = draw_story(Draw.at(0, "train", index)), story_grammar(Draw.at(0, "train", index))
        assert story.text == summed.source
        assert len(summed.targets) == 2
