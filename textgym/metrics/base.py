"""What every metric is: one number for a corpus of completions, with the signature of its settings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from textgym.errors import MetricError, MissingExtraError, TextGymError


class MetricSample(Protocol):
    """What a metric reads of a sample. ``textgym.core.Sample`` has it all."""

    @property
    def prompt(self) -> str: ...

    @property
    def completion(self) -> str: ...

    @property
    def references(self) -> Sequence[str]: ...

    @property
    def token_ids(self) -> Sequence[int]: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...

    @property
    def prompt_id(self) -> int: ...


class Metric(ABC):
    """A corpus metric. Subclasses give ``name``, ``score`` and, where they have any, ``settings``.

    Attributes:
        name: the key of the result.
        library: the distribution whose version decides the numbers.
        compares_with: what the completions are compared with: "references", "keywords" or nothing.
        bounds: the lowest and the highest value that there is.
        needs: a module that may be missing, and the extra that has it.
        higher_is_better: False for a measure of errors; None where neither end is good.

    >>> from textgym.core import Sample
    >>> class Shouting(Metric):
    ...     name = "shouting"
    ...     def score(self, samples):
    ...         return sum(sample.completion.isupper() for sample in samples) / len(samples)
    >>> Shouting().compute([Sample("Say hi:", "HI"), Sample("Say hi:", "hi")])
    {'shouting': 0.5}
    """

    name: str
    library: str = "textgym"
    compares_with: Literal["references", "keywords"] | None = None
    needs: tuple[str, str] | None = None
    bounds: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool | None = True

    @abstractmethod
    def score(self, samples: Sequence[MetricSample], /) -> float | None:
        """The value over all samples, or None when no sample has what the metric measures."""

    def require(self) -> None:
        """Raise MissingExtraError if the optional dependency that the metric needs isn't installed."""
        if self.needs is not None and find_spec(self.needs[0]) is None:
            raise MissingExtraError(f"Metric {self.name!r}", self.needs[1])

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        """What changes the value, for the signature. With samples, what depends on them is as they make it."""
        return {}

    def compute(self, samples: Sequence[MetricSample], /) -> dict[str, float]:
        """The metric over a corpus: one key, or none when no sample has what the metric measures.

        Raises:
            MetricError: there are no samples, or a sample lacks what the metric compares with, or its completion is no
                string.
        """
        if not samples:
            raise MetricError(f"Metric {self.name!r} got no samples. Pass at least one.")
        for sample in samples:
            if not isinstance(sample.completion, str):
                raise MetricError(
                    f"Metric {self.name!r} scores texts, but the completion of prompt {sample.prompt_id} "
                    f"({sample.prompt[:60]!r}) is {sample.completion!r}, expected a string."
                )
        value = self.score(samples)
        return {} if value is None else {self.name: float(value)}

    @property
    def signature(self) -> str:
        """Name, settings and library version. What the texts decide is "auto": see :meth:`signature_of`."""
        return self.signature_of(())

    def signature_of(self, samples: Sequence[MetricSample], /) -> str:
        """The signature of the value over these samples: two values can be compared when these are equal.

        It says which tokenizer their references chose, and how many references each has ("nrefs", "var" if that
        varies), as sacrebleu's signatures do.

        >>> from textgym.metrics import CorpusBLEU
        >>> from textgym.core import Sample
        >>> CorpusBLEU().signature_of([Sample("", "a cat", ("the cat", "cats"))]).partition("|version")[0]
        'bleu|nrefs:2|order:4|case:mixed|eff:no|tok:13a|smooth:exp'
        """
        counts = {len(sample.references) for sample in samples} if self.compares_with == "references" else set()
        settings = {"nrefs": counts.pop() if len(counts) == 1 else "var"} if counts else {}
        parts = [f"{key}:{value}" for key, value in {**settings, **self.settings(samples)}.items()]
        return "|".join([self.name, *parts, f"version:{self.library}-{library_version(self.library)}"])

    def as_evaluate(self, *, keep_in_memory: bool = True, **module_kwargs: Any) -> Any:
        """This metric as an ``evaluate.Metric``, made without a download.

        It takes ``predictions`` (strings) and, where the metric compares, ``references`` (per prediction a string or
        a list of strings; for coverage, the keywords). Values and scale are those of :meth:`compute`.

        Args:
            keep_in_memory: hold what was added in memory, not in a file of the evaluate cache.
            module_kwargs: other arguments of ``evaluate.Metric``, such as ``experiment_id``.
        """
        from textgym.metrics.evaluate_module import MetricModule  # evaluate takes seconds to import

        return MetricModule(self, keep_in_memory=keep_in_memory, **module_kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.signature}>"


class MeanMetric(Metric):
    """A metric that is the mean of a value of each sample. Subclasses give ``values`` in the place of ``score``.

    >>> from textgym.core import Sample
    >>> class Words(MeanMetric):
    ...     name = "words"
    ...     def values(self, samples):
    ...         return [len(sample.completion.split()) or None for sample in samples]
    >>> Words().compute([Sample("", "one two"), Sample("", "one two three"), Sample("", "")])
    {'words': 2.5}
    """

    @abstractmethod
    def values(self, samples: Sequence[MetricSample], /) -> Sequence[float | None]:
        """The value of each sample, in order; None where there is nothing to measure, which the mean leaves out."""

    def score(self, samples: Sequence[MetricSample], /) -> float | None:
        measured = [value for value in self.values(samples) if value is not None]
        return sum(measured) / len(measured) if measured else None


class SummedMetric(Metric):
    """A metric that follows from counts of each sample, summed over all. Subclasses give ``counts`` and ``of_sums``.

    >>> from textgym.core import Sample
    >>> class SharedWords(SummedMetric):
    ...     name = "shared_words"
    ...     def counts(self, samples):
    ...         return [(len({*s.completion.split()} & {*s.prompt.split()}), len(s.prompt.split())) for s in samples]
    ...     def of_sums(self, sums):
    ...         return sums[0] / sums[1]
    >>> SharedWords().compute([Sample("a b c", "a"), Sample("d", "d")])
    {'shared_words': 0.5}
    """

    @abstractmethod
    def counts(self, samples: Sequence[MetricSample], /) -> Sequence[Sequence[float]]:
        """The counts of each sample, in order: as many numbers for each."""

    @abstractmethod
    def of_sums(self, sums: Sequence[float], /) -> float:
        """The value that follows from the sums of these counts over samples."""

    def score(self, samples: Sequence[MetricSample], /) -> float:
        return self.of_sums([sum(column) for column in zip(*self.counts(samples), strict=True)])


def library_version(distribution: str) -> str:
    """The installed version of a distribution, "unknown" when it runs from a folder that isn't installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def references_of(sample: MetricSample, user: str, error: type[TextGymError]) -> tuple[str, ...]:
    """The references of a sample, checked. ``user`` opens the message of ``error`` when there are none."""
    where = f"prompt {sample.prompt_id} ({sample.prompt[:60]!r})"
    if isinstance(sample.references, str):
        raise error(
            f"{user} compares with references, but those of {where} are a string. "
            f"Pass a tuple of strings: references=({sample.references[:40]!r},)."
        )
    references = tuple(sample.references)
    if not references:
        raise error(
            f"{user} compares with references, but {where} has no references. Use prompts that have some, or something "
            "that needs none, such as sentiment or length."
        )
    for reference in references:
        if not isinstance(reference, str):
            raise error(f"{user} compares with references, but {where} has {reference!r}, which is no string.")
    return references
