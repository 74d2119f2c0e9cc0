"""Sentiment of each text, by VADER's lexicon and rules. English only; needs no model and no download.

prompt      "The soup was"
completion  " warm and wonderful."
reward      0.840, with 0.5 for a neutral text and 1 for the most positive
"""

from textgym.core import Sample
from textgym.metrics.sentiment import check_sentiment_settings, scored_text, sentiment
from textgym.rewards.base import BatchReward


class Sentiment(BatchReward):
    """How positive the text is, in [0, 1], by VADER.

    The compound value of Hutto and Gilbert (2014), mapped from [-1, 1]. A text without a word of the lexicon, and so an
    empty one, scores 0.5.

    Args:
        text: "completion" scores the generated text alone, "full" the prompt and what follows it.

    Raises:
        ConfigError: ``text`` is neither.

    >>> [round(value, 3) for value in Sentiment()([Sample("The soup was", " wonderful."), Sample("It was", " bad.")])]
    [0.786, 0.229]
    """

    name = "sentiment"

    def __init__(self, text: str = "completion") -> None:
        check_sentiment_settings(text)
        self.text = text

    def score(self, sample: Sample, /) -> float:
        return sentiment(scored_text(sample, self.text))
