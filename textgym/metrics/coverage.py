"""Keyword coverage: how many of the words that a text must contain it does contain."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from textgym.errors import MetricError, TextGymError
from textgym.metrics.base import Metric, MetricSample
from textgym.metrics.inflection import inflections
from textgym.metrics.words import contains_phrase, unicode_words


def keywords_of(sample: MetricSample, key: str, user: str, error: type[TextGymError]) -> tuple[str, ...]:
    """The keywords in a sample's metadata, each once; none when the key is missing.

    A single string is one keyword, numbers become text, blank entries are dropped.

    Raises:
        error: ``metadata[key]`` is no string and no sequence. ``user`` opens the message.
    """
    keywords = sample.metadata.get(key)
    if keywords is None:
        return ()
    if isinstance(keywords, str):
        keywords = (keywords,)
    if isinstance(keywords, Mapping) or not isinstance(keywords, Iterable):
        raise error(
            f"{user} expects a sequence of strings in metadata[{key!r}], but prompt {sample.prompt_id} has "
            f"{type(keywords).__name__}: {keywords!r}."
        )
    return tuple(dict.fromkeys(str(keyword) for keyword in keywords if str(keyword).strip()))


def coverage(
    completion: str, keywords: Sequence[str], *, case_sensitive: bool = False, inflected: bool = False
) -> float:
    """The fraction of ``keywords`` in the completion, as whole words or phrases (Chinese and its like: anywhere).

    ``inflected``: a keyword that is one English word counts in any of its forms, in whatever case.

    >>> coverage("The red panda sleeps.", ["red panda", "sleep"]), coverage("小熊猫在睡觉", ["熊猫", "睡觉"])
    (0.5, 1.0)
    >>> coverage("The red pandas slept.", ["panda", "sleep"], inflected=True)
    1.0
    """
    if inflected:
        words = set(unicode_words(completion))
        missing = [keyword for keyword in keywords if not inflections(keyword) & words]
        whole = [keyword for keyword in missing if contains_phrase(completion, keyword, case_sensitive=case_sensitive)]
        return 1 - (len(missing) - len(whole)) / len(keywords)
    count = sum(contains_phrase(completion, keyword, case_sensitive=case_sensitive) for keyword in keywords)
    return count / len(keywords)


class MeanCoverage(Metric):
    """The mean over samples with keywords of the fraction of ``metadata[key]`` in the completion, in [0, 1].

    No sample with keywords: no result. In the evaluate form the keywords are the ``references``.

    >>> from textgym.core import Sample
    >>> MeanCoverage().compute([Sample("", "A cat sat.", metadata={"keywords": ["cat", "mat"]}), Sample("", "A dog.")])
    {'coverage': 0.5}
    """

    name = "coverage"
    compares_with = "keywords"
    inflected: ClassVar[bool] = False

    def __init__(self, key: str = "keywords", case_sensitive: bool = False) -> None:
        self.key, self.case_sensitive = key, case_sensitive

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"key": self.key, "case": "mixed" if self.case_sensitive else "folded"}

    def score(self, samples: Sequence[MetricSample], /) -> float | None:
        values = []
        for sample in samples:
            keywords = keywords_of(sample, self.key, f"Metric {self.name!r}", MetricError)
            if keywords:
                how = {"case_sensitive": self.case_sensitive, "inflected": self.inflected}
                values.append(coverage(sample.completion, keywords, **how))
        return sum(values) / len(values) if values else None


class MeanConcepts(MeanCoverage):
    """The coverage of concepts: keywords count in any of their English forms, in [0, 1].

    As CommonGen's (Lin et al., 2020, https://aclanthology.org/2020.findings-emnlp.165), by rules and a table of
    irregular words in the place of spaCy's lemmas. In the evaluate form the concepts are the ``references``.

    >>> from textgym.core import Sample
    >>> MeanConcepts().compute([Sample("", "The dogs ran.", metadata={"keywords": ["dog", "run", "park"]})])
    {'concepts': 0.6666666666666667}
    """

    name = "concepts"
    inflected = True

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {**super().settings(samples), "forms": "en"}
