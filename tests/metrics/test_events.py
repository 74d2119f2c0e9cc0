"""Events in order and novel n-grams, by hand."""

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, MetricError, RewardError
from textgym.metrics import MeanEvents, MeanNovelNgrams
from textgym.metrics.events import events_in_order
from textgym.rewards import Events

PLOT = (("Mia", "key"), ("look",), ("Leo", "find", "in the park"), ("Mia", "happy"))
STORY = "On Friday, Mia could not find her key. She looked everywhere. Leo found it in the park. Mia was happy."


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (STORY, 4),
        (STORY.lower(), 4),
        (STORY.replace("looked", "Looking around"), 4),  # any form, any case
        (STORY.replace("She looked everywhere. ", ""), 3),
        (STORY.replace("in the park", "in a park"), 3),  # a phrase is there as it is
        ("Mia was happy. Leo found it in the park. She looked. Mia lost her key.", 1),  # the other way round
        ("She looked everywhere. Mia could not find her key. Leo found it in the park. Mia was happy.", 3),
        ("Mia key look Leo find in the park Mia happy.", 1),  # each event needs a sentence of its own
        ("Mia key. Look! Leo find in the park? Mia happy", 4),  # it doesn't read what else there is
        ("Mia had a key. " * 5, 1),
        ("", 0),
        ("...", 0),
        ("A dog ran. " * 100 + STORY, 0),  # beyond the sentences that are read
    ],
)
def test_events_in_order(text, events):
    assert events_in_order(text, PLOT) == events / 4
    sample = Sample("", text, metadata={"events": PLOT})
    assert Events()([sample]) == [events / 4]
    assert MeanEvents().compute([sample, Sample("", STORY)]) == {"events": events / 4}


def test_the_most_events_that_fit_are_counted():
    """A sentence that could be of two events is taken for the one with which there are more."""
    assert events_in_order("Leo sang. Mia sang. Leo ran.", (("Mia",), ("Leo",))) == 1
    assert events_in_order("Leo sang. Mia sang.", (("Mia",), ("Leo",), ("Mia",))) == pytest.approx(2 / 3)


def test_events_are_texts_or_sequences_of_words():
    for events in (["Mia key", "Leo"], [("Mia", "key"), ("Leo",)], (["Mia", "key"], "Leo")):
        assert Events()([Sample("", "Mia lost a key. Leo ran.", metadata={"events": events})]) == [1.0]
    assert Events("plot")([Sample("", "Leo ran.", metadata={"plot": ["Leo"]})]) == [1.0]
    with pytest.warns(UserWarning, match=r"has no metadata\['events'\]"):
        assert Events()([Sample("", "Leo ran.")]) == [None]
    assert MeanEvents().compute([Sample("", "Leo ran.")]) == {}


@pytest.mark.parametrize("events", ["Mia key", {"Mia": 1}, 3, [3], [()], [("Mia", 3)], [""], [[" "]]])
def test_other_things_are_no_events(events):
    sample = Sample("", "Mia", metadata={"events": events}, prompt_id=7)
    with pytest.raises(RewardError, match=r"'events' expects events in metadata\['events'\].* but prompt 7 has"):
        Events()([sample])
    with pytest.raises(MetricError, match=r"prompt 7 has"):
        MeanEvents().compute([sample])


@pytest.mark.parametrize(
    ("completion", "share"),
    [
        ("a black cat sleeps", 0),  # a reference
        ("Cats sleep", 0),  # the prompt's own
        ("a red cat sleeps", 2 / 3),
        ("sleeps", 1),  # one word is one n-gram, which neither has
        ("", 0),
        ("红猫睡觉", 1),
    ],
)
def test_novel_ngrams(completion, share):
    sample = Sample("Cats sleep:", completion, ("a black cat sleeps", "the cat sleeps"))
    assert MeanNovelNgrams().compute([sample]) == {"novel_ngrams": pytest.approx(share)}


def test_the_order_of_novel_ngrams():
    sample = Sample("", "a cat sat here", ("here sat a cat",))
    assert [MeanNovelNgrams(n).compute([sample])["novel_ngrams"] for n in (1, 2, 3)] == [0, pytest.approx(2 / 3), 1]
    assert "|order:3|" in MeanNovelNgrams(3).signature
    with pytest.raises(ConfigError, match="order=0"):
        MeanNovelNgrams(0)
