"""Dialogues of a customer and a clerk, and what the clerk should say next: facts, requests and replies as a grammar.

The facts are a line at the beginning. What a reply must do is a rule that goes with the prompt: ``metadata["wanted"]``
has groups of phrases, of each of which one must be said, and ``metadata["unwanted"]`` phrases that must not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from textgym.world import lexicon as lex
from textgym.world.draw import Draw, Rendered, render
from textgym.world.services import AREA, BUILT, CLOSED, OPENS, OWNER, PRICE, SERVICES, SLOTS, Order, Service, Topic

ACTS = ("inform", "ask", "confirm", "apologise")
ANY = "any"
REFERENCES = 3
SORRY = ("sorry", "afraid", "unfortunately", "apologise", "apologize", "regret")
_DONE = ("booked", "reserved", "noted", "confirmed", "ordered", "done", "yes", "will send", "will bring")


class Fact(NamedTuple):
    """A topic with its value, and what the braces in the topic's texts are, ``{v}`` being the value."""

    topic: Topic
    value: str
    names: Mapping[str, str]

    @property
    def label(self) -> str:
        return self.topic.label.format_map(self.names)

    def question(self, draw: Draw) -> str:
        return draw.pick(self.topic.asked).format_map(self.names)

    def answer(self, draw: Draw) -> str:
        return draw.pick(self.topic.said).format_map(self.names)

    def some(self, draw: Draw, texts: Sequence[str], count: int = REFERENCES) -> list[str]:
        return [text.format_map(self.names) for text in draw.sample(texts, count)]


_AREAS = tuple(lex.AREAS)
_PRICED = tuple(text for text in PRICE.said if "{item}" in text)
_TOPICS = (OPENS, CLOSED, AREA, OWNER, BUILT)
_GREETINGS = ("", "", "Hello. ", "Good morning. ", "Good evening. ")
_LEADS = ("", "", "Gladly. ", "Of course. ", "With pleasure. ")
_NAMES = lex.place_names()
_PEOPLE = ("4", "9", "12", "13", "14", "15", "16", "18", "20")  # no hour of a day, so that a rule can tell them apart
_UNKNOWN = ("I am sorry, but I do not know {}.", "Sorry, I can not say {}.", "I am afraid that I do not know {}.")
_SOLD_OUT = (
    "I am sorry, we have no {item}.", "Sorry, there is no {item} today.", "I am afraid that we have no {item} now.",
    "Sorry, we have no {item}, but you can have the {other}.",
)  # fmt: skip
_NOT_OPEN = (
    "I am sorry, we are closed on {v}.", "Sorry, on {v} we are closed.", "I am afraid that we are closed on {v}.",
    "Sorry, we are closed on {v}. Would another day do?",
)  # fmt: skip
_CONFIRMED = (
    "Yes, {done} {thing} {slots}.", "That is noted: {thing} {slots}.", "Thank you, {done} {thing} {slots}.",
)  # fmt: skip


class Exchange(NamedTuple):
    """What was said so far, what the clerk should say, what draws careless replies, and the rule of a good one."""

    lines: list[str]
    replies: list[str]
    careless: Callable[[], list[str]]
    wanted: tuple[tuple[str, ...], ...]
    unwanted: tuple[str, ...]


def reply_grammar(draw: Draw, act: str = ANY) -> Rendered:
    """A dialogue that ends with the clerk's name, and replies; ``metadata["act"]`` is what a reply does."""
    return _draft(draw, act)[0]


def careless_replies(split: str, index: int, seed: int = 0, act: str = ANY) -> list[str]:
    """To the dialogue that a split has at this index: as many replies as it has, which do something else."""
    drafts: list[Callable[[], list[str]]] = []

    def grammar(draw: Draw) -> Rendered:
        rendered, careless = _draft(draw, act)
        drafts.append(careless)
        return rendered

    render(grammar, split, index, seed)
    return drafts[-1]()


def _draft(draw: Draw, act: str) -> tuple[Rendered, Callable[[], list[str]]]:
    """A dialogue with replies, and what draws careless ones."""
    act = draw.pick(ACTS) if act == ANY else act
    service = draw.pick(SERVICES)
    kind = draw.pick(service.kinds)
    facts = _facts(draw, service, kind)
    head = " | ".join([f"{draw.pick(_NAMES)}, {kind}", *(f"{fact.label}: {fact.value}" for fact in facts)])
    exchange = _ACTS[act](draw, service, facts, kind)
    spoken = exchange.lines
    if len(spoken) == 1 and draw.chance(0.3):
        needed = {value for group in exchange.wanted for value in group}
        spoken = [*_small_talk(draw, [fact for fact in facts if fact.value not in needed]), *spoken]
    lines = [f"{'Clerk' if i % 2 else 'Customer'}: {line}" for i, line in enumerate(spoken)]
    lines[0] = lines[0].replace(": ", f": {draw.pick(_GREETINGS)}", 1)
    metadata = {"act": act, "wanted": exchange.wanted, "unwanted": exchange.unwanted}
    texts = tuple(f"{draw.pick(_LEADS) if act in ('inform', 'ask') else ''}{text}" for text in exchange.replies)
    return Rendered("\n".join([head, *lines, "Clerk:"]), texts, metadata), exchange.careless


def _facts(draw: Draw, service: Service, kind: str) -> list[Fact]:
    """Two items with different prices, and two of the other topics, one of which may be the day off."""
    items: dict[str, str] = {}
    while len(items) < 2:
        items[service.item(draw)] = ""
    coins = draw.sample(range(2, 60), 2)
    facts = [_price(item, f"{n} coins") for item, n in zip(items, coins, strict=True)]
    facts += [_fact(draw, topic, kind) for topic in draw.sample(_TOPICS, 2)]
    return draw.sample(facts, len(facts))


def _price(item: str, price: str, other: str = "") -> Fact:
    return Fact(PRICE, price, {"item": item, "other": other, "v": price})


def _fact(draw: Draw, topic: Topic, kind: str) -> Fact:
    if topic is OPENS:
        value = draw.pick(lex.TIMES[:5])
    elif topic is BUILT:
        value = str(1850 + draw.below(150))
    else:
        value = _person(draw) if topic is OWNER else draw.pick(_AREAS if topic is AREA else lex.DAYS)
    return Fact(topic, value, {"kind": kind, "v": value, "near": lex.AREAS.get(value, "")})


def _person(draw: Draw) -> str:
    return f"{draw.pick(lex.PEOPLE)[0]} {draw.pick(lex.SURNAMES)}"


def _small_talk(draw: Draw, facts: Sequence[Fact]) -> list[str]:
    fact = draw.pick(facts)
    return [fact.question(draw), fact.answer(draw)]


def _inform(draw: Draw, service: Service, facts: Sequence[Fact], kind: str) -> Exchange:
    """The customer asks for one of the facts."""
    fact = draw.pick(facts)
    others = [other for other in facts if other is not fact]
    return Exchange(
        [fact.question(draw)],
        fact.some(draw, fact.topic.said),
        lambda: [*(one.answer(draw) for one in draw.sample(others, 2)), draw.pick(_UNKNOWN).format("that")],
        ((fact.value,),),
        (*(other.value for other in others), *SORRY),
    )


def _apologise(draw: Draw, service: Service, facts: Sequence[Fact], kind: str) -> Exchange:
    """The customer wants what there is not: an item, an answer, or an order on the day off."""
    values = tuple(fact.value for fact in facts)
    prices = [fact for fact in facts if fact.topic is PRICE]
    closed = next((fact for fact in facts if fact.topic is CLOSED), None)
    unknown = [topic for topic in (OWNER, BUILT) if topic not in [fact.topic for fact in facts]]
    if closed and draw.chance(0.7):
        slots = {slot: _value(draw, slot, "") for slot in service.order.slots[:2]} | {"day": closed.value}
        what = _what(draw, service, facts)
        return Exchange(
            [_request(draw, service.order, what, slots)],
            closed.some(draw, _NOT_OPEN),
            lambda: [
                *(_confirmation(draw, service.order, what, slots) for _ in range(2)),
                draw.pick(SLOTS["name"].asked),
            ],
            (SORRY, (closed.value,), ("closed", "not open")),
            tuple(value for value in values if value != closed.value),
        )
    if unknown and draw.chance(0.4):
        topic = draw.pick(unknown)
        made_up = [_fact(draw, topic, kind) for _ in range(2)]
        key = ("owner",) if topic is OWNER else ("built", "old", "year")
        return Exchange(
            [made_up[0].question(draw)],
            [text.format(topic.unknown) for text in draw.sample(_UNKNOWN, REFERENCES)],
            lambda: [fact.answer(draw) for fact in (*made_up, draw.pick(facts))],
            (SORRY, key),
            values,
        )
    listed = {fact.names["item"]: fact for fact in prices}
    item = next(iter(listed))
    while item in listed:
        item = service.item(draw)
    missing = _price(item, draw.pick(prices).value, draw.pick([*listed]))
    return Exchange(
        [missing.question(draw)],
        missing.some(draw, _SOLD_OUT),
        lambda: [*missing.some(draw, _PRICED, 2), draw.pick(facts).answer(draw)],
        (SORRY, (item,)),
        values,
    )


def _ask(draw: Draw, service: Service, facts: Sequence[Fact], kind: str) -> Exchange:
    """The customer leaves a part of an order open."""
    what, slots = _what(draw, service, facts), _slots(draw, service, facts)
    missing = draw.pick([*slots])
    given = {slot: value for slot, value in slots.items() if slot != missing}
    return Exchange(
        _ordering(draw, service.order, what, given),
        draw.sample(SLOTS[missing].asked, REFERENCES),
        lambda: [
            *draw.sample([text for slot in given for text in SLOTS[slot].asked], 2),
            _confirmation(draw, service.order, what, given),
        ],
        (SLOTS[missing].known_by, ("?",)),
        (*(phrase for slot in given for phrase in SLOTS[slot].known_by), *(fact.value for fact in facts), *SORRY),
    )


def _confirm(draw: Draw, service: Service, facts: Sequence[Fact], kind: str) -> Exchange:
    """The customer has said all parts of an order."""
    what, slots = _what(draw, service, facts), _slots(draw, service, facts)
    replies: dict[str, None] = {}
    while len(replies) < REFERENCES:
        replies[_confirmation(draw, service.order, what, slots)] = None
    told = {*slots.values()}
    return Exchange(
        _ordering(draw, service.order, what, slots),
        [*replies],
        lambda: _forgetful(draw, service.order, what, slots),
        (*((value,) for value in slots.values()), _DONE),
        ("?", *(fact.value for fact in facts if fact.value not in told), *SORRY),
    )


def _forgetful(draw: Draw, order: Order, what: Mapping[str, str], slots: Mapping[str, str]) -> list[str]:
    """To an order with all its parts: another one confirmed, a part asked for again, the wrong day said to be off."""
    changed, again = draw.sample([*slots], 2)
    return [
        _confirmation(draw, order, what, {**slots, changed: _value(draw, changed, slots[changed])}),
        draw.pick(SLOTS[again].asked),
        draw.pick(_NOT_OPEN[:3]).format(v=slots["day"]),
    ]


_ACTS = {"inform": _inform, "ask": _ask, "confirm": _confirm, "apologise": _apologise}


def _what(draw: Draw, service: Service, facts: Sequence[Fact]) -> dict[str, str]:
    """What is ordered: one of the items that the facts have, or its event."""
    item = draw.pick([fact.names["item"] for fact in facts if fact.topic is PRICE])
    return {"item": item, "event": item.removesuffix(" ticket")}


def _slots(draw: Draw, service: Service, facts: Sequence[Fact]) -> dict[str, str]:
    """The parts of an order that can be had: not on the day off, nor before the house opens."""
    taken = [fact.value for fact in facts]
    opens = next((lex.TIMES.index(fact.value) for fact in facts if fact.topic is OPENS), -1)
    taken += lex.TIMES[: opens + 1]
    slots = {}
    for slot in service.order.slots:
        slots[slot] = taken[0]
        while slots[slot] in taken:
            slots[slot] = _value(draw, slot, "")
    return slots


def _value(draw: Draw, slot: str, other_than: str) -> str:
    value = other_than
    while value == other_than:
        if slot == "people":
            value = draw.pick(_PEOPLE)
        elif slot == "name":
            value = _person(draw)
        else:
            value = draw.pick({"day": lex.DAYS, "time": lex.TIMES, "town": lex.TOWNS}[slot])
    return value


def _spoken(draw: Draw, slots: Mapping[str, str]) -> str:
    """The parts of an order, in any order."""
    return " ".join(SLOTS[slot].said.format(v=slots[slot]) for slot in draw.sample([*slots], len(slots)))


def _request(draw: Draw, order: Order, what: Mapping[str, str], slots: Mapping[str, str]) -> str:
    return f"{draw.pick(order.begins).format_map(what)} {_spoken(draw, slots)}."


def _ordering(draw: Draw, order: Order, what: Mapping[str, str], slots: Mapping[str, str]) -> list[str]:
    """The order at once, or its last part after the clerk's question for it."""
    if draw.chance(0.5):
        return [_request(draw, order, what, slots)]
    last = draw.pick([*slots])
    first = {slot: value for slot, value in slots.items() if slot != last}
    answer = draw.pick(SLOTS[last].answers).format(v=slots[last])
    return [_request(draw, order, what, first), draw.pick(SLOTS[last].asked), answer]


def _confirmation(draw: Draw, order: Order, what: Mapping[str, str], slots: Mapping[str, str]) -> str:
    thing = order.what.format_map(what)
    text = draw.pick(_CONFIRMED)
    return text.format(done=order.done, thing=thing, slots=_spoken(draw, slots))
