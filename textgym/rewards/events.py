"""Whether a story tells the events of its plot, one after another.

prompt      "Plot: Mia key; look; Leo find"
metadata    {"events": [("Mia", "key"), ("look",), ("Leo", "find")]}
completion  "Mia lost her key. Leo found it."
reward      0.667: nobody looks
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.events import events_in_order, events_of
from textgym.rewards.keywords import WarnsOnce


class Events(WarnsOnce):
    """The share of the events in ``metadata[key]`` that the completion's sentences tell in order, in [0, 1].

    An event is a sequence of words and phrases, or a text. A sentence tells it if it has all of them, English words in
    any form and phrases as they are; each event needs a sentence of its own, after those of the events before it. It
    doesn't read what else the sentences say: multiply it by :class:`textgym.rewards.Fluency` and the like. The events
    are as the storylines of Plan-and-Write (Yao et al., 2019, https://arxiv.org/abs/1811.05701): some words for each
    sentence. A sample without events gets None: the reward abstains.

    Args:
        key: where the events are in the metadata.

    Raises:
        RewardError: when called with a sample whose metadata holds something else there.

    >>> plot = {"events": [("Mia", "lose", "key"), ("Leo", "find")]}
    >>> texts = ["Mia lost a key. She cried.", "Mia lost a key. Leo found it.", "Leo found it. Mia lost it."]
    >>> Events()([Sample("", text, metadata=plot) for text in texts])
    [0.5, 1.0, 0.5]
    """

    name = "events"

    def __init__(self, key: str = "events") -> None:
        self.key = key

    def score(self, sample: Sample, /) -> float | None:
        events = events_of(sample, self.key, f"Reward {self.name!r}", RewardError)
        if not events:
            self.warn_of(sample, self.key)
            return None
        return events_in_order(sample.completion, events)
