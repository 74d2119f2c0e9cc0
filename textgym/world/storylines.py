"""What happens in each plot, as events in a few words: the storyline that a story is to tell.

An event is a text of words with spaces between them, which one sentence of the story has, each in whatever form: "give"
for "gave". Words with ``+`` between them are a phrase, which the sentence has as it is. Slots are those of the plots.
"""

from typing import NamedTuple

from textgym.world.draw import Draw, Rendered
from textgym.world.plots import (
    ANIMAL,
    BORROW,
    CONTEST,
    GIFT,
    LOST,
    NOISE,
    REPAIR,
    RESCUE,
    SHOP,
    TRADE,
    TRAIN,
    TRIP,
    Plot,
)
from textgym.world.story import fill_slots, with_filler

REFERENCES = 2
Event = tuple[str, ...]  # its words and phrases


class Storyline(NamedTuple):
    """The events of a plot, at the places of its sentences.

    Attributes:
        body: for each sentence of the body an event that all its alternatives tell ("" none), or one for each.
        outcomes: for each outcome the event of each sentence of its ending.
    """

    body: tuple[str | tuple[str, ...], ...]
    outcomes: tuple[tuple[str, ...], ...]


# Of a plot with an event for each alternative, all tellings have the same alternative.
STORYLINES: tuple[tuple[Plot, Storyline], ...] = (
    (
        LOST,
        Storyline(
            ("{x} {his}+{thing}", "look", "", "{y}"),
            (("{y} find {place}", "{x} happy"), ("look {place}", "buy new"), ("{y} {yhis}+bag", "borrow {thing}")),
        ),
    ),
    (
        REPAIR,
        Storyline(
            ("{y} {a_kind}+{thing}", ("every+day", "father"), "{thing} break", "", "{x} help"),
            (("{x} work {thing}", "morning new"), ("{x} try", "give {y} {thing}"), ("{x} repair", "thank cake")),
        ),
    ),
    (
        CONTEST,
        Storyline(
            ("{contest} {town}", ("{x} want win", "{x} dream", "{x} win {prize}"), "train", "", ("nervous", "wrong")),
            (("come first", "{prize}"), ("{y} better", "{x} second"), ("storm", "nobody win")),
        ),
    ),
    (
        GIFT,
        Storyline(
            ("{y} birthday", ("{x} give", "{x} present"), ("few+coins", "save money"), "{town}"),
            (
                ("find {color}+{thing}", "{y} love"),
                ("expensive", "make {made}", "{y} like"),
                ("buy {color}+{thing}", "lose home"),
            ),
        ),
    ),
    (
        ANIMAL,
        Storyline(
            ("{x} {place}", "", ("small+{animal}", "{fur}+{animal}"), ("hungry", "cold"), "{x} home"),
            (("{animal} better", "keep friend"), ("strong", "{x} set+it+free"), ("{y} door", "{animal} cry")),
        ),
    ),
    (
        TRAIN,
        Storyline(
            ("{x} visit {y} {town}", "", ("pack bag", "early"), "station {why}", "train"),
            (("{x} bus night", "{y} wait"), ("{y} car", "drive {x}"), ("{x} home", "write {y} letter")),
        ),
    ),
    (
        TRIP,
        Storyline(
            ("{x} {y} plan {trip}", "", "leave {day}", "", "{storm}"),
            (("run {house}", "talk laugh"), ("home", "eat kitchen"), ("not+care", "both ill")),
        ),
    ),
    (
        TRADE,
        Storyline(
            ("{x} {one}", "{two}", "meet {y}", "{y} {two}", ""),
            (
                ("trade", "both happy"),
                ("{y} not+want", "{x} pay {n}+coins"),
                ("{y} too+much", "{x} keep {one}"),
            ),
        ),
    ),
    (
        SHOP,
        Storyline(
            ("{x} work", "", ("dream {shop}", "want {shop}"), ("{y} money", "{y} try"), "{x} open {shop}"),
            (("full people", "{x} never"), ("few people", "close"), ("work", "{y} join")),
        ),
    ),
    (
        BORROW,
        Storyline(
            ("{x} {thing} {y}", "", ("careful", "bring back"), ("fall", "dog jump"), "{y} {thing} break"),
            (("{x} {y} truth", "{y} not+angry"), ("sell watch", "buy {y} new+{thing}"), ("{x} nothing", "{y} angry")),
        ),
    ),
    (
        NOISE,
        Storyline(
            (("{x} wake", "{x} not+sleep"), ("noise {room}", "step {room}"), "", ("lamp", "open door")),
            (("only {animal}", "laugh bed"), ("{y} {color}+bag", "miss train"), ("thief window", "call police")),
        ),
    ),
    (
        RESCUE,
        Storyline(
            ("{y} {act}+the+{water} {town}", "", ("wave", "tired"), ("{y} call help", "{x} hear"), ""),
            (("{x} jump pull",), ("{x} boat save", "town {n}+coins"), ("{x} run help", "police {y} safe")),
        ),
    ),
)


_EVENTS = {
    event
    for _, line in STORYLINES
    for place in (*line.body, *line.outcomes)
    for event in ((place,) if isinstance(place, str) else place)
}
_MARKED = {event: event.replace(" ", "|").replace("+", " ") for event in _EVENTS}  # with | between its words


def plot_grammar(draw: Draw) -> Rendered:
    """A storyline, and stories that tell it; ``metadata["events"]`` has the words of its events, in order."""
    plot, line = draw.pick(STORYLINES)
    values = fill_slots(draw, plot)
    number = draw.below(len(plot.outcomes))
    ending = plot.outcomes[number].ending
    choices: list[tuple[str, ...]] = []  # the alternatives of each sentence that tell the storyline
    events: list[str] = []
    for alternatives, event in zip(plot.body, line.body, strict=True):
        if isinstance(event, tuple):
            chosen = draw.below(len(alternatives))
            alternatives, event = (alternatives[chosen],), event[chosen]
        choices.append(alternatives)
        events.append(event)
    events += line.outcomes[number]
    told: dict[str, None] = {}
    while len(told) < REFERENCES:
        sentences = [one for alternatives in choices if (one := draw.pick(alternatives))]
        told[with_filler(draw, plot, [*sentences, *ending]).format_map(values)] = None
    marked = "; ".join(_MARKED[event] for event in events if event).format_map(values)
    words = tuple(tuple(event.split("|")) for event in marked.split("; "))
    return Rendered(marked.replace("|", " "), tuple(told), {"events": words})
