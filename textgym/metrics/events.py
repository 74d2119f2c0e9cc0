"""Whether a story tells the events of its plot in order: storylines as those of Plan-and-Write (Yao et al., 2019)."""

import re
from collections.abc import Mapping, Sequence

from textgym.errors import MetricError, TextGymError
from textgym.metrics.base import MeanMetric, MetricSample
from textgym.metrics.coverage import coverage

Event = tuple[str, ...]

_SENTENCE = re.compile(r"[^.!?。！？\n]+")
_MOST = 100  # sentences that are read


def events_in_order(text: str, events: Sequence[Event]) -> float:
    """The share of events that sentences of a text tell in the order of the events, in [0, 1].

    A sentence tells an event if it has all of its words, English ones in any form and phrases as they are. Each event
    needs a sentence of its own, after those of the events before it: the value counts the most events of which that is
    so. Sentences after the first 100 aren't read.

    >>> events = [("Mia", "key"), ("look",), ("Leo", "find")]
    >>> events_in_order("Mia lost her key. She looked in every room. Leo found it.", events)
    1.0
    >>> round(events_in_order("Leo found it. Mia lost her key.", events), 2), events_in_order("Mia key look.", events)
    (0.33, 0.3333333333333333)
    """
    if not events:
        return 0.0
    best = [0] * (len(events) + 1)  # the most of the first events that the sentences so far tell
    for sentence in _SENTENCE.findall(text)[:_MOST]:
        said = [coverage(sentence, event, inflected=True) == 1 for event in events]
        best = [0, *(max(best[i + 1], best[i] + said[i]) for i in range(len(events)))]
        best = [max(best[: i + 1]) for i in range(len(best))]
    return best[-1] / len(events)


def events_of(sample: MetricSample, key: str, user: str, error: type[TextGymError]) -> tuple[Event, ...]:
    """The events in a sample's metadata; none when the key is missing. A string is an event of its words.

    Raises:
        error: ``metadata[key]`` is no sequence of events. ``user`` opens the message.
    """
    events = sample.metadata.get(key)
    if events is None:
        return ()
    wrong = isinstance(events, str | Mapping) or not isinstance(events, Sequence)
    split = () if wrong else tuple(tuple(one.split()) if isinstance(one, str) else one for one in events)
    if wrong or not all(
        isinstance(one, Sequence) and one and all(isinstance(word, str) and word.strip() for word in one)
        for one in split
    ):
        raise error(
            f"{user} expects events in metadata[{key!r}], each a text or a sequence of words, but prompt "
            f"{sample.prompt_id} has {events!r}."
        )
    return tuple(tuple(one) for one in split)


class MeanEvents(MeanMetric):
    """The mean share of the events in ``metadata[key]`` that a story tells in order, in [0, 1]: ``events_in_order``.

    No sample with events: no result.

    >>> from textgym.core import Sample
    >>> events = (("Mia", "key"), ("Leo", "find"))
    >>> MeanEvents().compute([Sample("", "Mia lost a key. She cried.", metadata={"events": events})])
    {'events': 0.5}
    """

    name = "events"

    def __init__(self, key: str = "events") -> None:
        self.key = key

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"key": self.key, "forms": "en"}

    def values(self, samples: Sequence[MetricSample], /) -> list[float | None]:
        asked = [events_of(sample, self.key, f"Metric {self.name!r}", MetricError) for sample in samples]
        pairs = zip(samples, asked, strict=True)
        return [events_in_order(sample.completion, events) if events else None for sample, events in pairs]
