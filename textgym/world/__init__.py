"""The small world: people, places, things and events, drawn by seed, and the grammar that turns them into text.

A grammar is a function of a :class:`Draw` that returns a :class:`Rendered` text with its targets. :func:`render` calls
it until the text belongs to the split that was asked for, which its hash decides, so that no text is in two splits.
"""

from textgym.world.chinese_labels import chinese_label_grammar
from textgym.world.chinese_problems import chinese_problem_grammar
from textgym.world.chinese_records import chinese_record_grammar
from textgym.world.chinese_stories import chinese_question_grammar, chinese_story_grammar
from textgym.world.concepts import concept_grammar
from textgym.world.draw import SPLITS, Draw, Rendered, render, split_of
from textgym.world.functions import function_grammar
from textgym.world.jueju import jueju_grammar
from textgym.world.labels import label_grammar
from textgym.world.problems import problem_grammar
from textgym.world.programs import program_grammar
from textgym.world.questions import question_grammar
from textgym.world.records import record_grammar
from textgym.world.replies import reply_grammar
from textgym.world.requests import request_grammar
from textgym.world.review import review_grammar
from textgym.world.story import story_grammar
from textgym.world.storylines import plot_grammar
from textgym.world.translation import translation_grammar
from textgym.world.verse import verse_grammar
from textgym.world.words import words_grammar

__all__ = [
    "SPLITS",
    "Draw",
    "Rendered",
    "chinese_label_grammar",
    "chinese_problem_grammar",
    "chinese_question_grammar",
    "chinese_record_grammar",
    "chinese_story_grammar",
    "concept_grammar",
    "function_grammar",
    "jueju_grammar",
    "label_grammar",
    "plot_grammar",
    "problem_grammar",
    "program_grammar",
    "question_grammar",
    "record_grammar",
    "render",
    "reply_grammar",
    "request_grammar",
    "review_grammar",
    "split_of",
    "story_grammar",
    "translation_grammar",
    "verse_grammar",
    "words_grammar",
]
