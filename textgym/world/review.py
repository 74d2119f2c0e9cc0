"""The opening of a review, and ways to go on: happily or unhappily."""

from typing import NamedTuple

from textgym.world import lexicon as lex
from textgym.world.draw import Draw, Rendered

REFERENCES = 3  # how many positive continuations an opening gets
_NAMES = lex.place_names()


class Verdicts(NamedTuple):
    """What can be said about an aspect, well or badly."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


FOOD = Verdicts(
    ("was fresh and delicious", "tasted wonderful", "was the best in town", "was great", "was simply delicious"),
    ("was bland and boring", "tasted terrible", "was the worst in town", "was awful", "was simply horrible"),
)
PERSON = Verdicts(
    ("was friendly and kind", "was helpful and polite", "greeted us with a warm smile", "was a great help"),
    ("was rude and lazy", "was angry and unfriendly", "ignored us", "was no help at all"),
)
SPACE = Verdicts(
    ("was clean and beautiful", "was bright and lovely", "was the best of all", "was perfect", "looked wonderful"),
    ("was dirty and ugly", "was dark and horrible", "was the worst of all", "was a mess", "looked terrible"),
)
ART = Verdicts(
    ("was beautiful and clever", "was full of joy", "was brilliant", "made me smile", "was fun from start to end"),
    ("was boring and stupid", "was full of mistakes", "was terrible", "made me angry", "was dull from start to end"),
)
PRODUCT = Verdicts(
    ("is beautiful", "is perfect", "looks lovely", "is better than I hoped", "makes me happy"),
    ("is ugly", "is a mess", "looks horrible", "is worse than I feared", "makes me angry"),
)


class Domain(NamedTuple):
    """One kind of thing to review: how a review begins, remarks, aspects, and closing words."""

    intros: tuple[str, ...]
    remarks: dict[str, tuple[str, ...]]  # leaning of the opening: remarks
    aspects: tuple[tuple[Verdicts, tuple[str, ...]], ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]


_VISIT_GOOD = (
    ", and we will come back soon", ", so we had a lovely time", ", and we loved every minute",
    ", and we left with a smile", "",
)  # fmt: skip
_VISIT_BAD = (
    ", and we will never come back", ", so we had a bad time", ", and we hated every minute", ", and we left angry", "",
)  # fmt: skip
_FAN_GOOD = (
    ", and I enjoyed every minute", ", so I recommend it to all my friends", ", and I love it", ", and I was happy", "",
)  # fmt: skip
_FAN_BAD = (
    ", and I hated every minute", ", so it was a waste of money", ", and I regret it", ", and I was disappointed", "",
)  # fmt: skip

EATING = Domain(
    (
        "We ate at {name} on {day}",
        "I had lunch at {name} with my {friend}",
        "My {friend} took me to {name} on {day}",
        "On {day}, we tried {name} {area}",
    ),
    {
        "neutral": (
            "It was our first visit.",
            "The place was half full.",
            "We sat near the window.",
            "We ordered {food}.",
        ),
        "mixed": ("The table was small, but the chairs were soft.", "It was late, but the kitchen was open."),
        "negative": ("We had to wait for an hour.", "The street was loud.", "The first table was not clean."),
    },
    ((FOOD, ("soup", "bread", "coffee", "cake", "salad", "fish")), (PERSON, ("waiter", "cook", "owner"))),
    _VISIT_GOOD,
    _VISIT_BAD,
)
HOTEL = Domain(
    (
        "We stayed at {name} for {n} nights",
        "I spent {n} nights at {name} with my {friend}",
        "On {day}, we arrived at {name} {area}",
        "We booked a room at {name} {area}",
    ),
    {
        "neutral": ("We had a room on the third floor.", "It has twenty rooms.", "We came by train."),
        "mixed": ("The house is old, but the roof is new.", "It is far from the station, but near the park."),
        "negative": ("Our room was not ready.", "The lift was out of order.", "It was not easy to find."),
    },
    ((SPACE, ("room", "garden", "bath", "view")), (FOOD, ("breakfast", "dinner")), (PERSON, ("owner", "porter"))),
    _VISIT_GOOD,
    _VISIT_BAD,
)
FILM = Domain(
    (
        "I saw the film {name} on {day}",
        "My {friend} and I watched the film {name}",
        "Last {day}, I watched the film {name}",
        "I saw the film {name} with my {friend}",
    ),
    {
        "neutral": ("It is two hours long.", "It is about a family by the sea.", "It was made in winter."),
        "mixed": ("It starts slowly, but it is short.", "The sound was low, but we heard every word."),
        "negative": ("The first half hour is slow.", "The seats were hard.", "It is too long."),
    },
    ((ART, ("story", "ending", "music", "acting", "second half")),),
    _FAN_GOOD,
    _FAN_BAD,
)
BOOK = Domain(
    (
        "I read the book {name} in {n} days",
        "My {friend} gave me the book {name}",
        "On {day}, I finished the book {name}",
        "I bought the book {name} on {day}",
    ),
    {
        "neutral": ("It has ten chapters.", "It is about an old sailor.", "I read it on the train."),
        "mixed": ("The cover is plain, but the paper is thick.", "It is long, but the words are simple."),
        "negative": ("The first chapter is slow.", "The print is too small.", "There are too many names in it."),
    },
    ((ART, ("story", "ending", "last chapter", "language", "main idea")),),
    _FAN_GOOD,
    _FAN_BAD,
)
SHOPPING = Domain(
    (
        "I bought a {color} {thing} on {day}",
        "My {friend} gave me a {color} {thing}",
        "I ordered a {color} {thing} from {name}",
        "On {day}, I got a {color} {thing} from {name}",
    ),
    {
        "neutral": ("I use it every day.", "It came in a big box.", "It cost {n} coins."),
        "mixed": ("It is heavy, but it does not take much room.", "It came late, but the box was whole."),
        "negative": ("It came a week late.", "The box was open.", "It was not cheap."),
    },
    ((PRODUCT, ("colour", "shape", "design", "pattern", "surface")),),
    _FAN_GOOD[1:],
    _FAN_BAD[1:],
)
DOMAINS = (EATING, HOTEL, FILM, BOOK, SHOPPING)
TOPICS = ("restaurant", "hotel", "film", "book", "product")
LEANINGS = ("neutral", "mixed", "negative")
_FRIENDS = ("sister", "brother", "mother", "father", "friend", "wife", "husband", "son", "daughter")
_NUMBERS = ("two", "three", "four", "five", "six", "seven")
_THINGS = tuple(thing for thing in lex.THINGS if thing[0] not in "aeiou")
_AREAS = tuple(f"{preposition} the {area}" for area, preposition in lex.AREAS.items())
_COLORS = tuple(color for color in lex.COLORS if color[0] not in "aeiou")


class Review(NamedTuple):
    """A review and what it was made of.

    Attributes:
        topic: one of ``TOPICS``.
        leaning: of the opening: one of ``LEANINGS``.
        opening: it breaks off in the middle of a sentence.
        plain: the opening without that sentence, if it is neutral; else empty.
        positive, negative: continuations, as many of each.
    """

    topic: str
    leaning: str
    opening: str
    plain: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]


def review_grammar(draw: Draw) -> Rendered:
    """The opening of a review, and positive continuations.

    The metadata holds the opening's leaning ("neutral", "mixed" or "negative") and as many negative continuations.
    """
    review = draw_review(draw)
    return Rendered(review.opening, review.positive, {"opening": review.leaning, "negative": review.negative})


def draw_review(draw: Draw) -> Review:
    """A review of one of the domains."""
    number, leaning = draw.below(len(DOMAINS)), draw.pick(LEANINGS)
    domain = DOMAINS[number]
    verdicts, aspects = draw.pick(domain.aspects)
    aspect, intro = draw.pick(aspects), draw.pick(domain.intros)
    plain = ""
    if draw.chance(0.15):  # the opening breaks off before the aspect is named
        opening, leaning, subject = f"{intro}, and", "neutral", f"the {aspect} "
    else:
        begins = f"{intro}. {draw.pick(domain.remarks[leaning])}"
        opening, subject, plain = f"{begins} The {aspect}", "", begins if leaning == "neutral" else ""
    values = {"name": draw.pick(_NAMES), "day": draw.pick(lex.DAYS), "friend": draw.pick(_FRIENDS)}
    values |= {"n": draw.pick(_NUMBERS), "color": draw.pick(_COLORS), "thing": draw.pick(_THINGS)}
    values |= {"food": draw.pick(lex.FOODS), "area": draw.pick(_AREAS)}
    positive, negative = (
        tuple(
            f"{subject}{verdict}{close}."
            for verdict, close in zip(draw.sample(said, REFERENCES), draw.sample(closing, REFERENCES), strict=True)
        )
        for said, closing in ((verdicts.positive, domain.positive), (verdicts.negative, domain.negative))
    )
    filled = opening.format_map(values), plain.format_map(values)
    return Review(TOPICS[number], leaning, *filled, positive, negative)
