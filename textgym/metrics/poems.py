"""Rhyme and meter of samples, by what their prompts ask for, and their means."""

from collections.abc import Sequence

from textgym.errors import ConfigError, MetricError, TextGymError
from textgym.metrics.base import MeanMetric, MetricSample
from textgym.metrics.verse import SCHEMES, check_verse_settings, language_of, meter, meter_of, rhyme


class MeanRhyme(MeanMetric):
    """The mean share of the rhymes that a scheme asks for, in [0, 1]; see ``rhyme``. Needs ``textgym[verse]``.

    Without a scheme it is that in ``metadata["rhyme_scheme"]``, or else AABB, of Chinese XAXA.

    >>> from textgym.core import Sample
    >>> MeanRhyme().compute([Sample("", "A cat\\nin a hat."), Sample("", "A cat\\nand a dog.")])
    {'rhyme': 0.25}
    """

    name = "rhyme"
    library = "pronouncing"
    needs = ("pronouncing", "verse")

    def __init__(self, scheme: str | None = None, language: str = "auto") -> None:
        check_verse_settings(language, scheme)
        self.scheme, self.language = scheme, language

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        used = sorted({language_of(sample, self.language) for sample in samples}) or [self.language]
        return {"scheme": self.scheme or "prompt", "lang": "+".join(used)}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        return [
            sample_rhyme(sample, self.scheme, self.language, f"Metric {self.name!r}", MetricError) for sample in samples
        ]


class MeanMeter(MeanMetric):
    """The mean of how well lines keep a meter, in [0, 1]; see ``meter``. Needs ``textgym[verse]``.

    Without a meter it is that in ``metadata["meter"]``, or else iambic tetrameter, of Chinese lines of five or of seven
    characters; without a number of lines that in ``metadata["lines"]``, or else any.

    >>> from textgym.core import Sample
    >>> MeanMeter("iambic pentameter").compute([Sample("", "Shall I compare thee to a summer's day?")])
    {'meter': 1.0}
    """

    name = "meter"
    library = "pronouncing"
    needs = ("pronouncing", "verse")

    def __init__(self, meter: object = None, lines: int | None = None, language: str = "auto") -> None:
        check_verse_settings(language, meter=meter, lines=lines)
        self.meter, self.lines, self.language = meter, lines, language

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        used = sorted({language_of(sample, self.language) for sample in samples}) or [self.language]
        name = (
            "prompt"
            if self.meter is None
            else self.meter
            if isinstance(self.meter, str)
            else "+".join(meter_of(self.meter))
        )
        return {"meter": name, "lines": self.lines or "any", "lang": "+".join(used)}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        return [
            sample_meter(sample, self.meter, self.lines, self.language, f"Metric {self.name!r}", MetricError)
            for sample in samples
        ]


def sample_rhyme(
    sample: MetricSample,
    scheme: str | None,
    language: str,
    user: str,
    error: type[TextGymError],
    lexicon: str = "dictionary",
) -> float:
    """The rhyme of a sample's completion, by the scheme given, that of its prompt, or that of its language.

    Raises:
        error: the scheme of its prompt makes no sense. ``user`` opens the message.
    """
    spoken = language_of(sample, language)
    asked = scheme if scheme is not None else sample.metadata.get("rhyme_scheme")
    try:
        check_verse_settings(spoken, asked)
    except ConfigError as cause:
        raise error(f"{user} reads metadata['rhyme_scheme'] of prompt {sample.prompt_id}: {cause}") from cause
    return rhyme(sample.completion, asked or SCHEMES[spoken], spoken, lexicon)


def sample_meter(
    sample: MetricSample,
    given: object,
    lines: int | None,
    language: str,
    user: str,
    error: type[TextGymError],
    lexicon: str = "dictionary",
) -> float:
    """The meter of a sample's completion, by the one given, that of its prompt, or that of its language.

    Raises:
        error: the meter or the number of lines of its prompt makes no sense. ``user`` opens the message.
    """
    spoken = language_of(sample, language)
    lines = sample.metadata.get("lines") if lines is None else lines
    try:
        check_verse_settings(spoken, lines=lines)
    except ConfigError as cause:
        raise error(f"{user} reads metadata['lines'] of prompt {sample.prompt_id}: {cause}") from cause
    asked = given if given is not None else sample.metadata.get("meter")
    if asked is None and spoken == "zh":
        return max(meter(sample.completion, ("*" * size,), spoken, lines, lexicon) for size in (5, 7))
    try:
        patterns = meter_of("iambic tetrameter" if asked is None else asked)
    except ConfigError as cause:
        raise error(f"{user} reads metadata['meter'] of prompt {sample.prompt_id}: {cause}") from cause
    return meter(sample.completion, patterns, spoken, lines, lexicon)
