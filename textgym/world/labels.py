"""Texts with a label: the mood or the topic of a review, both, or which of some listed items someone should buy."""

from textgym.world import lexicon as lex
from textgym.world.draw import Draw, Rendered
from textgym.world.english import a
from textgym.world.review import TOPICS, Review, draw_review

MOODS = ("positive", "negative", "neutral")
ITEMS = 4  # that are listed
_WANTED = tuple((material, thing) for material, things in lex.MATERIALS.items() for thing in things)


def label_grammar(draw: Draw, variant: str = "mood") -> Rendered:
    """A text with the labels to choose from on a line below it, and the one that is right."""
    return VARIANTS[variant](draw)


def mood(draw: Draw) -> Rendered:
    """What a review thinks of what it is about."""
    label = draw.pick(MOODS)
    return _labeled(_review(draw, label)[1], label, MOODS)


def topic(draw: Draw) -> Rendered:
    """What a review is about."""
    review, text = _review(draw, draw.pick(MOODS))
    return _labeled(text, review.topic, TOPICS)


def opinion(draw: Draw) -> Rendered:
    """What a review is about, and what it thinks of that."""
    label = draw.pick(MOODS)
    review, text = _review(draw, label)
    return _labeled(text, f"{review.topic}, {label}", (*TOPICS, *MOODS))


def item(draw: Draw) -> Rendered:
    """Which listed item suits what someone wants to buy: the other ones miss one wish each."""
    (who, (he, _, _)), (material, thing), color = draw.pick(lex.PEOPLE), draw.pick(_WANTED), draw.pick(lex.COLORS)
    coins = 20 + draw.below(60)
    price = coins - draw.below(15)

    def other(options: tuple[str, ...], than: str) -> str:
        return draw.pick([option for option in options if option != than])

    made_of = tuple(one for one, things in lex.MATERIALS.items() if thing in things)
    right = _offer(color, material, thing, price)
    wrong = [
        _offer(other(lex.COLORS, color), material, thing, coins - draw.below(15)),
        _offer(color, material, thing, coins + 1 + draw.below(15)),
        _offer(color, other(made_of, material), thing, coins - draw.below(15))
        if len(made_of) > 1
        else _offer(color, material, other(lex.MATERIALS[material], thing), coins - draw.below(15)),
    ]
    listed = draw.sample([right, *wrong], ITEMS)
    wish = f"{who} wants {a(f'{material} {thing}')} and likes {color}. {he.capitalize()} has {coins} coins."
    return Rendered(f"{wish}\nItems: {'; '.join(listed)}", (right,), {"labels": tuple(listed)})


VARIANTS = {"mood": mood, "topic": topic, "opinion": opinion, "item": item}


def _offer(color: str, material: str, thing: str, price: int) -> str:
    return f"{color} {material} {thing} for {price} coins"


def _review(draw: Draw, label: str) -> tuple[Review, str]:
    """A review of this mood, and its text. A neutral one ends before it judges anything."""
    while True:
        review = draw_review(draw)
        if label == "neutral":
            if review.plain:
                return review, review.plain
            continue
        return review, f"{review.opening} {draw.pick(review.positive if label == 'positive' else review.negative)}"


def _labeled(text: str, label: str, labels: tuple[str, ...]) -> Rendered:
    return Rendered(f"{text}\nLabels: {', '.join(labels)}", (label,), {"labels": labels})
