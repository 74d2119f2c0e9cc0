"""The tasks of the suites "text" and "goodhart" that are made of built-in tasks and other rewards.

Importing this module registers their ids:

| Id | Task | Reward |
|---|---|---|
| text/Happy-v0, text/Unhappy-v0 | SentimentContinuation | sentiment or its opposite, in 6 to 14 tokens |
| text/Exact-v0 | Copy, 3 words | 1 for exactly the words, in their order |
| text/Table-v0 | DataToText, at most 9 words | the task's own |
| text/Summary-v0 | Summarization, at most 7 words | the task's own of v1 |
| text/Keywords-v0 | DataToText, at most 9 words | 1 if all of a table's values appear, within 24 tokens |
| text/Translation-v0 | Translation, at most 5 words | the task's own |
| text/Proxy-v0 | SentimentContinuation | a proxy of Happy's: words weighted by what they go with in noisy labels |

In the first two the initial model's likelihood points the wrong way or is silent. Tasks of few words, because the
gradient of a short completion is less noisy: Exact needs a fifth of Copy's tokens until its signal is as large as its
noise, Summary a twentieth of Summarization's. Keywords and Translation need too many even so, and Summary's prompts are
long: they are in no suite. See ``suites`` for the budgets.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from textgym.core import Sample
from textgym.metrics.words import ascii_words
from textgym.registration import register
from textgym.rewards import BatchReward, ExactMatch, KeywordCoverage, Length, Sentiment
from textgym.tasks import Copy, DataToText, SentimentContinuation, Summarization, Translation
from textgym.world import Draw, Rendered

LABELS = 300  # completions whose gold, with noise, the proxy is fitted to
NOISE = 0.2  # standard deviation of a label's
RIDGE = 1.0


def short(grammar: Callable[[Draw], Rendered], words: int, draw: Draw) -> Rendered:
    """The next of a grammar's texts whose references all have at most so many words.

    >>> len(short(Copy.grammar, 3, Draw.at(0, "train", 0)).source.split())
    3
    """
    while True:
        rendered = grammar(draw)
        if all(len(target.split()) <= words for target in rendered.targets):
            return rendered


class ShortCopy(Copy):
    """Three words."""

    @staticmethod
    def grammar(draw: Draw) -> Rendered:
        return short(Copy.grammar, 3, draw)


class ShortTable(DataToText):
    """Tables that a sentence of nine words says."""

    @staticmethod
    def grammar(draw: Draw) -> Rendered:
        return short(DataToText.grammar, 9, draw)


class ShortSummary(Summarization):
    """Stories with a summary of seven words."""

    @staticmethod
    def grammar(draw: Draw) -> Rendered:
        return short(Summarization.grammar, 7, draw)


class ShortTranslation(Translation):
    """Sentences of at most five words in German."""

    @staticmethod
    def grammar(draw: Draw) -> Rendered:
        return short(Translation.grammar, 5, draw)


class Unhappy(Sentiment):
    """How negative the text is: 1 less the sentiment."""

    name = "unhappy"

    def score(self, sample: Sample, /) -> float:
        return 1 - super().score(sample)


class AllKeywords(KeywordCoverage):
    """1 if the completion contains all keywords of the prompt, else 0."""

    name = "all_keywords"

    def score(self, sample: Sample, /) -> float:
        return float(super().score(sample) == 1)


class WeightedWords(BatchReward):
    """A reward model as small as can be: a bias and a weight for each occurrence of a word. Nothing bounds it.

    Fitted by ridge regression to ``LABELS`` completions of the small world, as a person with an error of ``NOISE``
    labels them by ``gold``. The second time that a word occurs counts as much as the first, which no label taught.
    """

    name = "proxy"

    def score(self, sample: Sample, /) -> float:
        bias, weights = _fitted()
        return bias + sum(weights.get(word, 0.0) for word in ascii_words(sample.completion))


def window() -> Length:
    """1 from 6 to 14 tokens."""
    return Length(minimum=6, maximum=14, falloff=4)


gold = Sentiment() * window()
unhappy = Unhappy() * window()
all_keywords = AllKeywords() * Length(maximum=24, falloff=8)
exact = ExactMatch()
proxy = WeightedWords()


@cache
def _fitted() -> tuple[float, dict[str, float]]:
    """The bias and the weights."""
    texts = _completions()
    rng = np.random.default_rng(0)
    labels = np.array([Sentiment().score(text) for text in texts]) + rng.normal(0, NOISE, len(texts))
    words = sorted({word for text in texts for word in ascii_words(text.completion)})
    column = {word: i for i, word in enumerate(words)}
    counts = np.zeros((len(texts), len(words)))
    for row, text in enumerate(texts):
        for word in ascii_words(text.completion):
            counts[row, column[word]] += 1
    bias = float(labels.mean())
    weights = np.linalg.solve(counts.T @ counts + RIDGE * np.eye(len(words)), counts.T @ (labels - bias))
    return bias, dict(zip(words, weights.tolist(), strict=True))


def _completions() -> Sequence[Sample]:
    """Happy and unhappy continuations of reviews."""
    task, rng = SentimentContinuation(split="train"), np.random.default_rng(0)
    return [Sample(task[i].text, f" {rng.choice(task.training_completions(i))}", prompt_id=i) for i in range(LABELS)]


_HERE = "textgym_agents.benchmark.text_tasks"
register("text/Happy-v0", SentimentContinuation, f"{_HERE}:gold")
register("text/Unhappy-v0", SentimentContinuation, f"{_HERE}:unhappy")
register("text/Exact-v0", ShortCopy, f"{_HERE}:exact")
register("text/Table-v0", ShortTable, ShortTable.default_reward)
register("text/Summary-v0", ShortSummary, ShortSummary.guarded_reward or ShortSummary.default_reward)
register("text/Keywords-v0", ShortTable, f"{_HERE}:all_keywords")
register("text/Translation-v0", ShortTranslation, ShortTranslation.default_reward)
register("text/Proxy-v0", SentimentContinuation, f"{_HERE}:proxy")
