"""How much of a poem is in words of the small world's verse that follow each other there.

prompt      "Theme: book, bridge, snow"
completion  "The sleepy bridge as in a book,
             The book the snow the bridge the brook."
reward      0.67: no line of that verse has "the book the"
"""

from textgym.core import Sample
from textgym.metrics.verse import check_verse_settings, language_of, verse_lines
from textgym.metrics.words import unicode_words
from textgym.rewards.base import BatchReward
from textgym.world import jueju, verse


class VersePhrases(BatchReward):
    """The share of words, three in a row, that lines of the small world's verse have, in [0, 1].

    The beginning and the end of a line count as words; of Chinese the characters do. A factor that keeps rewards
    of form from paying for words that say nothing, without a language model: for the built-in prompts of the task Verse
    alone, as it pays for no other words. A text without lines has 0.

    Args:
        language: "en", "zh", or "auto": that of the references, or else of the prompt.

    Raises:
        ConfigError: another language.

    >>> texts = ["The moon is bright and cold so soon.", "The moon the moon the moon."]
    >>> [round(value, 2) for value in VersePhrases()([Sample("", text) for text in texts])]
    [1.0, 0.67]
    """

    name = "verse_phrases"

    def __init__(self, language: str = "auto") -> None:
        check_verse_settings(language)
        self.language = language

    def score(self, sample: Sample, /) -> float:
        language = language_of(sample, self.language)
        known = jueju.triples() if language == "zh" else verse.triples()
        lines = [unicode_words(line) for line in verse_lines(sample.completion, language)]
        found = [three for words in lines for three in verse.in_a_row(["", *words, ""])]
        return sum(three in known for three in found) / len(found) if found else 0.0
