"""Storylines: every story of a plot tells each of its events, in order, in a sentence of its own."""

from textgym.metrics.events import events_in_order
from textgym.world import Draw, plot_grammar
from textgym.world.plots import PLOTS
from textgym.world.storylines import STORYLINES


def test_every_plot_has_a_storyline():
    assert tuple(plot for plot, _ in STORYLINES) == PLOTS
    for plot, line in STORYLINES:
        assert len(line.body) == len(plot.body)
        assert [len(ending) for ending in line.outcomes] == [len(outcome.ending) for outcome in plot.outcomes]
        for alternatives, events in zip(plot.body, line.body, strict=True):
            assert isinstance(events, str) or len(events) == len(alternatives)
            assert not ("" in alternatives and events)  # what a story may leave out is no event


def test_every_story_tells_its_plot():
    texts = set()
    for index in range(600):
        rendered = plot_grammar(Draw.at(0, "train", index))
        events = rendered.metadata["events"]
        assert 3 <= len(events) <= 7
        assert rendered.source == "; ".join(" ".join(event) for event in events)
        assert len(set(rendered.targets)) == 2
        for story in rendered.targets:
            assert events_in_order(story, events) == 1, story
            assert 20 <= len(story.split()) <= 70
        texts.add(rendered.source)
    assert len(texts) > 590
