"""What customers of the small world ask for and order, as tables that :mod:`textgym.world.replies` draws from.

``{v}`` in a text is a value; other braces are named as the thing that comes there.
"""

from collections.abc import Callable
from typing import NamedTuple

from textgym.world import lexicon as lex
from textgym.world.draw import Draw


class Topic(NamedTuple):
    """What a customer can ask about: how it is asked, answered, and what a clerk doesn't know who can't answer."""

    label: str
    asked: tuple[str, ...]
    said: tuple[str, ...]
    unknown: str = ""


PRICE = Topic(
    "{item}",
    (
        "What does the {item} cost?", "How much is the {item}?", "What is the price of the {item}?",
        "I like the {item}. How much is it?",
    ),
    ("The {item} costs {v}.", "That is {v}.", "You can have the {item} for {v}.", "We sell the {item} for {v}."),
)  # fmt: skip
OPENS = Topic(
    "opens",
    ("When do you open?", "At what time do you open?", "From what time on are you open?"),
    ("We open at {v}.", "We are open from {v} on.", "You can come in from {v} on."),
)
CLOSED = Topic(
    "closed",
    ("On which day are you closed?", "Which day do you take off?", "Is there a day on which you are closed?"),
    ("We are closed on {v}.", "On {v} we are closed.", "You can come on any day but {v}."),
)
AREA = Topic(
    "area",
    ("Where are you?", "How do I find you?", "Where can I find your {kind}?"),
    ("We are {near} the {v}.", "You can find us {near} the {v}.", "Our {kind} is {near} the {v}."),
)
OWNER = Topic(
    "owner",
    ("Who is the owner?", "To whom does the {kind} belong?", "What is the name of the owner?"),
    ("The owner is {v}.", "Our {kind} belongs to {v}.", "{v} is the owner."),
    "who the owner is",
)
BUILT = Topic(
    "built",
    ("How old is the house?", "When was the house built?", "In which year was the house built?"),
    ("The house was built in {v}.", "It was built in {v}.", "The house is from {v}."),
    "when the house was built",
)


class Slot(NamedTuple):
    """A part of an order: how it is said, how it is asked for, and by which phrases a rule knows that it is."""

    said: str
    answers: tuple[str, ...]
    asked: tuple[str, ...]
    known_by: tuple[str, ...]


SLOTS: dict[str, Slot] = {
    "people": Slot(
        "for {v} people",
        ("For {v} people, please.", "We are {v} people."),
        ("For how many people?", "How many people are you?", "How many people will come?"),
        ("how many",),
    ),
    "day": Slot(
        "on {v}",
        ("On {v}, please.", "{v} would be nice."),
        ("On which day?", "Which day suits you?", "What day would you like?"),
        ("which day", "what day"),
    ),
    "time": Slot(
        "at {v}",
        ("At {v}, please.", "{v} would be nice."),
        ("At what time?", "What time suits you?", "At which time would you like to come?"),
        ("what time", "which time"),
    ),
    "town": Slot(
        "to {v}",
        ("To {v}, please.", "I live in {v}."),
        ("To which town?", "Where do you live?", "To which town shall it go?"),
        ("which town", "what town", "where"),
    ),
    "name": Slot(
        "in the name of {v}",
        ("My name is {v}.", "I am {v}."),
        ("In what name, please?", "What is your name?", "May I have your name?"),
        ("what name", "which name", "whose name", "your name"),
    ),
}


class Order(NamedTuple):
    """What can be ordered: its slots, what it is called, and how an order begins and is confirmed."""

    slots: tuple[str, ...]
    what: str
    begins: tuple[str, ...]
    done: str


TABLE = Order(
    ("people", "day", "time"),
    "a table",
    ("I would like a table", "I want to book a table", "Please keep a table"),
    "I have booked",
)
PARCEL = Order(
    ("day", "town", "name"),
    "the {item}",
    ("I would like to order the {item}", "I want the {item}", "Please send the {item}"),
    "we will send",
)
PLACES = Order(
    ("people", "day", "name"),
    "{event} places",
    ("I would like to book places at the {event}", "We want to go to the {event}", "Please keep places at the {event}"),
    "I have booked",
)


class Service(NamedTuple):
    """A kind of place: what it is called, what it sells, and what is ordered there."""

    kinds: tuple[str, ...]
    item: Callable[[Draw], str]
    order: Order


_FOODS = tuple(food for food in lex.FOODS if food[-1] != "s")  # one of which costs, and not cost, so much
SERVICES = (
    Service(lex.EATERIES, lambda draw: draw.pick(_FOODS), TABLE),
    Service(("shop", "market"), lambda draw: f"{draw.pick(lex.COLORS)} {draw.pick(lex.THINGS)}", PARCEL),
    Service(("theatre", "club"), lambda draw: f"{draw.pick(lex.EVENTS)} ticket", PLACES),
)
