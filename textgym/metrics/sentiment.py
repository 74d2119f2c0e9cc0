"""Sentiment by VADER (Hutto and Gilbert, 2014), a lexicon with rules for English. No model, no download."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from textgym.errors import ConfigError
from textgym.metrics.base import Metric, MetricSample

TEXTS = ("completion", "full")


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def sentiment(text: str) -> float:
    """VADER's compound value mapped from [-1, 1] to [0, 1]. A text without a word of the lexicon is neutral: 0.5.

    >>> [round(sentiment(text), 3) for text in ("A wonderful day!", "A table.", "A terrible, sad day.", "")]
    [0.806, 0.5, 0.132, 0.5]
    """
    return (float(_analyzer().polarity_scores(text)["compound"]) + 1) / 2


def check_sentiment_settings(text: str) -> None:
    """Raise ConfigError for a ``text`` that isn't one of the two."""
    if text not in TEXTS:
        raise ConfigError(f"text={text!r}: expected 'completion' or 'full'.")


def scored_text(sample: MetricSample, text: str) -> str:
    """The completion, or with ``text="full"`` the prompt and the completion."""
    return sample.prompt + sample.completion if text == "full" else sample.completion


class MeanSentiment(Metric):
    """The mean sentiment of the completions in [0, 1], 0.5 being neutral.

    >>> from textgym.core import Sample
    >>> metric = MeanSentiment()
    >>> {name: round(value, 3) for name, value in metric.compute([Sample("It was", " a wonderful day!")]).items()}
    {'sentiment': 0.806}
    """

    name = "sentiment"
    library = "vaderSentiment"
    higher_is_better = None

    def __init__(self, text: str = "completion") -> None:
        check_sentiment_settings(text)
        self.text = text

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"text": self.text}

    def score(self, samples: Sequence[MetricSample], /) -> float:
        return sum(sentiment(scored_text(sample, self.text)) for sample in samples) / len(samples)
