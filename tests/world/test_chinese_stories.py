"""Chinese stories, tables, reviews and problems: what is asked has one answer, and all that is said is Chinese."""

import re

import pytest

from textgym.world import (
    Draw,
    chinese_label_grammar,
    chinese_problem_grammar,
    chinese_question_grammar,
    chinese_record_grammar,
    chinese_story_grammar,
)
from textgym.world.chinese_labels import DOMAINS, MOODS, TOPICS
from textgym.world.chinese_lexicon import MADE_THINGS, MEASURES, PEOPLE
from textgym.world.chinese_plots import OF_HEROES, QUESTIONS
from textgym.world.chinese_stories import draw_chinese_story, questions_of
from textgym.world.questions import KINDS

STORIES = [draw_chinese_story(Draw.at(0, "train", index)) for index in range(1500)]
GRAMMARS = [chinese_story_grammar, chinese_question_grammar, chinese_record_grammar, chinese_problem_grammar] + [
    lambda draw, variant=variant: chinese_label_grammar(draw, variant) for variant in ("mood", "topic", "item")
]


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_texts_are_wholly_chinese(grammar):
    """No Latin letter, no slot that was left, no sign that is doubled."""
    for index in range(150):
        rendered = grammar(Draw.at(0, "train", index))
        for text in (rendered.source, *rendered.targets):
            assert not re.search(r"[A-Za-z{}_]|。。|，，|，。|的的", text), text
        assert len({*rendered.targets}) == len(rendered.targets)


def test_answers_are_in_the_story():
    for story in STORIES:
        for question in questions_of(story):
            first, *others = (answer.format_map(story.values) for answer in question.answers)
            assert first in story.text, (story.text, question)
            assert all(other in first or first in other for other in others), question


def test_every_question_is_asked_and_of_every_plot_every_kind():
    asked = {question for story in STORIES for question in questions_of(story)}
    assert not {*OF_HEROES, *(one for _, questions in QUESTIONS for one in questions)} - asked
    for plot, questions in QUESTIONS:
        assert len(plot.outcomes) == 3
        assert {*KINDS} - {question.kind for question in questions} <= {"where"}


def test_no_question_has_two_answers():
    for story in STORIES:
        texts = [question.text for question in questions_of(story)]
        assert len({*texts}) == len(texts), story.text


def test_pronouns_are_those_of_the_people():
    pronouns = dict(PEOPLE)
    for story in STORIES:
        values = story.values
        assert values["x"] != values["y"]
        assert (values["he"], values["yhe"]) == (pronouns[values["x"]], pronouns[values["y"]])
        assert (values["they"] == "她们") == (values["he"] == values["yhe"] == "她")


def test_descriptions_say_every_value_of_the_table():
    for index in range(400):
        rendered = chinese_record_grammar(Draw.at(0, "train", index))
        assert len(rendered.targets) == 3
        for target in rendered.targets:
            assert all(value in target for value in rendered.metadata["keywords"]), (rendered.source, target)


@pytest.mark.parametrize(("variant", "labels"), [("mood", 3), ("topic", 5), ("opinion", 15)])
def test_labels_are_shown_and_alike_frequent(variant, labels):
    drawn = [chinese_label_grammar(Draw.at(0, "train", index), variant) for index in range(400)]
    counts = dict.fromkeys((text.targets[0] for text in drawn), 0)
    for text in drawn:
        counts[text.targets[0]] += 1
        assert all(part in text.source.partition("\n选项：")[2].split("、") for part in text.targets[0].split("，"))
    assert len(counts) == labels
    assert max(counts.values()) < 2.2 * min(counts.values()) + 20


def test_moods_are_what_the_reviews_say():
    for index in range(300):
        text = chinese_label_grammar(Draw.at(0, "train", index), "opinion")
        topic, label = text.targets[0].split("，")
        domain, review = DOMAINS[TOPICS.index(topic)], text.source.partition("\n")[0]
        said = {
            mood
            for verdicts, aspects in domain.aspects
            for mood, verdict in zip(MOODS, verdicts, strict=False)
            for one in verdict
            for aspect in aspects
            if f"。{aspect}{one}" in review
        }
        assert said == ({label} - {"中性"}), review


def test_one_item_alone_suits_the_wish():
    for index in range(200):
        text = chinese_label_grammar(Draw.at(0, "train", index), "item")
        wish, items = text.source.split("\n商品：")
        thing, color, coins = re.search(r"想买一.(\w+)，喜欢(\w+)。.有(\d+)块钱", wish).groups()
        offers = items.split("；")
        suits = [o for o in offers if o.startswith(f"{color}的{thing}，") and int(o.split("，")[1][:-2]) <= int(coins)]
        assert suits == [*text.targets]
        assert len({*offers}) == 4


def test_problems_come_out():
    for index in range(200):
        for level in (1, 2, 3):
            text = chinese_problem_grammar(Draw.at(0, "train", index), level=level)
            *equations, answer = re.split(r"\. (?:#### )?", text.targets[0])
            assert len(equations) == level
            for equation in equations:
                one, sign, two, made = re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)", equation).groups()
                assert eval(f"{one} {sign} {two}") == int(made)
            assert made == answer
            assert text.source.endswith("？")


def test_things_have_the_measure_words_of_chinese():
    assert {thing: MEASURES.get(thing, "个") for thing in MADE_THINGS} == {
        "碗": "个", "盒子": "个", "杯子": "个", "灯": "盏", "戒指": "枚", "桌子": "张", "椅子": "把", "玩具": "个", 
        "包": "个", "雨伞": "把",
    }  # fmt: skip
