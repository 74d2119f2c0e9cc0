"""Arithmetic word problems of one to three steps, with their solutions."""

from collections.abc import Callable
from typing import NamedTuple

from textgym.world import lexicon as lex
from textgym.world.draw import Draw, Rendered
from textgym.world.english import capital

LARGEST = 999  # that anyone has
THINGS = (
    "apples", "pears", "eggs", "cakes", "books", "letters", "pencils", "stamps", "cards", "cups", "bowls", "toys",
    "balls", "flowers", "shells", "stones", "keys", "hats", "candles", "postcards",
)  # fmt: skip
BOXES = ("boxes", "bags", "baskets", "shelves", "drawers", "crates")


class Part(NamedTuple):
    """One step of a problem: a sentence, and an equation ``{v} sign k``."""

    text: str
    sign: str


class Wording(NamedTuple):
    """The sentences of a language's problems, and the words that fill them. ``{k}`` and ``{v}`` are numbers.

    Attributes:
        has, has_in: what is there at first: one number, or two that make the first step.
        more, less: what happens then.
        how_many, times, share, compare: what is asked: without a step, or with one or two.
        people: names with their pronouns.
        things: in the plural, or with the measure word that is between a number and them.
        between: what is between sentences.
    """

    has: tuple[str, ...]
    has_in: tuple[Part, ...]
    more: tuple[Part, ...]
    less: tuple[Part, ...]
    how_many: tuple[str, ...]
    times: tuple[Part, ...]
    share: tuple[Part, ...]
    compare: tuple[Part, ...]
    people: tuple[tuple[str, tuple[str, str, str]], ...]
    things: tuple[str, ...]
    boxes: tuple[str, ...]
    towns: tuple[str, ...]
    days: tuple[str, ...]
    between: str = " "


ENGLISH = Wording(
    has=("{x} has {v} {things}.", "There are {v} {things} in {x}'s house.", "{x} found {v} {things} in {town}."),
    has_in=(
        Part("{x} has {k} {boxes} with {v} {things} in each.", "*"),
        Part("In {x}'s shop, there are {k} {boxes} with {v} {things} in each.", "*"),
        Part("{x} has {v} {things}, and {y} gives {him} {k} more.", "+"),
        Part("{x} buys {v} {things} on {day} and {k} the day after.", "+"),
    ),
    more=(
        Part("{He} buys {k} more.", "+"),
        Part("{y} gives {him} {k} more.", "+"),
        Part("On {day}, {he} gets {k} more.", "+"),
        Part("{His} friends bring {k} more.", "+"),
    ),
    less=(
        Part("{He} gives {k} of them to {y}.", "-"),
        Part("{He} loses {k} of them on the bus.", "-"),
        Part("{He} sells {k} of them at the market.", "-"),
        Part("On {day}, {y} takes {k} of them.", "-"),
    ),
    how_many=("How many {things} does {x} have now?", "How many {things} are there in the end?"),
    times=(
        Part("Each costs {k} coins. How many coins do all of them cost?", "*"),
        Part("{He} sells all of them for {k} coins each. How many coins does {he} get?", "*"),
        Part("{z} has {k} times as many as {x} now. How many {things} does {z} have?", "*"),
    ),
    share=(
        Part("{He} shares all of them equally among {k} friends. How many does each friend get?", "/"),
        Part("{He} puts the same number into each of {k} {boxes}. How many are in each?", "/"),
    ),
    compare=(
        Part("{z} has {k} more than {x} now. How many {things} does {z} have?", "+"),
        Part("{z} has {k} fewer than {x} now. How many {things} does {z} have?", "-"),
    ),
    people=lex.PEOPLE,
    things=THINGS,
    boxes=BOXES,
    towns=lex.TOWNS,
    days=lex.DAYS,
)


def problem_grammar(draw: Draw, level: int = 2, wording: Wording = ENGLISH) -> Rendered:
    """A problem of ``level`` steps, and its solution: an equation a step, then ``####`` and the answer."""
    (x, forms), (y, _), (z, _) = draw.sample(wording.people, 3)
    names = dict(zip(("he", "him", "his"), forms, strict=True))
    names |= {name.capitalize(): capital(form) for name, form in names.items()}
    names |= {
        "x": x,
        "y": y,
        "z": z,
        "things": draw.pick(wording.things),
        "boxes": draw.pick(wording.boxes),
        "town": draw.pick(wording.towns),
    }
    days = draw.sample(wording.days, 3)
    sentences: list[str] = []
    equations: list[str] = []
    value = 3 + draw.below(57)

    def step(parts: tuple[Part, ...], *, given: bool = False) -> bool:
        """Add one of the parts, with a number that fits. False where none does."""
        nonlocal value
        part = draw.pick(parts)
        before, number = _numbers(draw, part.sign, value, given)
        if number == 0:
            return False
        value = _MADE[part.sign](before, number)
        left, right = (number, before) if given and part.sign == "*" else (before, number)
        equations.append(f"{left} {part.sign} {right} = {value}")
        sentences.append(part.text.format_map({**names, "k": number, "v": before, "day": days[len(sentences) % 3]}))
        return True

    begins, asks = (
        (draw.chance(0.5), draw.chance(0.6)) if level > 1 else draw.pick(((True, False), (False, True), (False, False)))
    )
    if begins:
        step(wording.has_in, given=True)
    else:
        sentences.append(draw.pick(wording.has).format_map({**names, "v": value}))
    ways = [wording.more, wording.less] if draw.chance(0.5) else [wording.less, wording.more]
    while len(equations) < level - asks:
        if not step(ways[len(sentences) % 2]):
            step(wording.more)
    ends = asks and any(
        step(parts)
        for parts in (draw.pick((wording.times, wording.share, wording.compare)), wording.times, wording.compare)
    )
    if not ends:
        while len(equations) < level:
            step(wording.more)
        sentences.append(draw.pick(wording.how_many).format_map(names))
    return Rendered(wording.between.join(sentences), (f"{'. '.join(equations)}. #### {value}",), {"level": level})


_MADE: dict[str, Callable[[int, int], int]] = {
    "+": lambda one, two: one + two,
    "-": lambda one, two: one - two,
    "*": lambda one, two: one * two,
    "/": lambda one, two: one // two,
}


def _numbers(draw: Draw, sign: str, value: int, given: bool) -> tuple[int, int]:
    """The numbers of an equation that begins with a value: the value and another, 0 where none fits."""
    if sign == "+":
        return value, 2 + draw.below(38)
    if sign == "-":
        return value, 2 + draw.below(value - 3) if value > 3 else 0
    if sign == "/":
        fits = [number for number in range(2, 10) if value % number == 0]
        return value, draw.pick(fits) if fits else 0
    if given:  # so many in each box
        return 2 + draw.below(11), 2 + draw.below(9)
    return value, 2 + draw.below(8) if value * 10 <= LARGEST * 2 else 0
