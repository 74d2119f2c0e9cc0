"""Tables about places, people, things and events, and the sentences that describe them."""

from collections.abc import Mapping

from textgym.world import lexicon as lex
from textgym.world.draw import Draw, Rendered
from textgym.world.english import a, capital, listed, prose, spaced

Record = dict[str, str]
REFERENCES = 3  # how many descriptions a table gets
_PLACE_NAMES = lex.place_names()
_PRONOUNS = dict(lex.PEOPLE)


def record_grammar(draw: Draw) -> Rendered:
    """A table, and different descriptions that mention every value in it."""
    draw_facts, describe = draw.pick(KINDS)
    facts = draw_facts(draw)
    texts = tuple(dict.fromkeys(describe(facts)))
    return Rendered(table(facts), tuple(draw.sample(texts, REFERENCES)), {"keywords": tuple(facts.values())})


def table(facts: Mapping[str, str]) -> str:
    """The facts as one line.

    >>> table({"name": "The Red Fox", "type": "pub"})
    'name: The Red Fox | type: pub'
    """
    return " | ".join(f"{key}: {value}" for key, value in facts.items())


def keep(draw: Draw, facts: Record, optional: tuple[str, ...], least: int) -> Record:
    """The facts, but only ``least`` or more of the optional ones."""
    kept = draw.sample(optional, least + draw.below(len(optional) - least + 1))
    return {key: value for key, value in facts.items() if key not in optional or key in kept}


def draw_place(draw: Draw) -> Record:
    facts = {"name": draw.pick(_PLACE_NAMES), "type": draw.pick(lex.EATERIES), "food": draw.pick(lex.FOODS)}
    facts |= {"area": draw.pick(tuple(lex.AREAS)), "price": draw.pick(lex.PRICES), "rating": draw.pick(lex.RATINGS)}
    return keep(draw, facts, ("area", "price", "rating"), 1)


def describe_place(facts: Record) -> tuple[str, ...]:
    """Descriptions of an eating place.

    >>> describe_place({"name": "The Red Fox", "type": "pub", "food": "soup", "price": "cheap"})[0]
    'The Red Fox is a cheap pub that serves soup.'
    """
    name, food, area = facts["name"], facts["food"], facts.get("area")
    kind = a(spaced(facts.get("price", ""), facts["type"]))
    where = f"{lex.AREAS[area]} the {area}" if area else ""
    rated = f"{a(facts['rating'])} rating" if "rating" in facts else ""
    and_rated = f"and has {rated}" if rated else ""
    return (
        prose(f"{name} is {kind}", where, f"that serves {food}") + (f" It has {rated}." if rated else ""),
        prose(f"{name} is {kind}", where) + prose(f" It serves {food}", and_rated),
        prose(f"{name}, {kind}", where)[:-1] + prose(f", serves {food}", and_rated),
        prose(f"There is {kind} called {name}", where) + prose(f" It serves {food}", and_rated),
        prose(f"You can get {food} at {name}, {kind}", where, f"with {rated}" if rated else ""),
    )


def draw_person(draw: Draw) -> Record:
    name = f"{draw.pick(lex.PEOPLE)[0]} {draw.pick(lex.SURNAMES)}"
    facts = {"name": name, "age": str(20 + draw.below(61)), "job": draw.pick(lex.JOBS), "home": draw.pick(lex.TOWNS)}
    facts |= {"hobby": draw.pick(lex.HOBBIES), "pet": f"{draw.pick(lex.ANIMAL_LOOKS)} {draw.pick(lex.ANIMALS)}"}
    facts = keep(draw, facts, ("age", "home", "hobby", "pet"), 2)
    if "hobby" not in facts and "pet" not in facts:
        facts["hobby"] = draw.pick(lex.HOBBIES)
    return facts


def describe_person(facts: Record) -> tuple[str, ...]:
    """Descriptions of a person.

    >>> describe_person({"name": "Mia Fox", "job": "artist", "home": "Oakford", "pet": "grey owl"})[0]
    'Mia Fox is an artist from Oakford. She has a grey owl.'
    """
    name, home = facts["name"], facts.get("home")
    he = _PRONOUNS[name.split()[0]][0]
    who = a(spaced(f"{facts['age']}-year-old" if "age" in facts else "", facts["job"]))
    likes, has = facts.get("hobby"), a(facts["pet"]) if "pet" in facts else ""
    does = listed([f"likes {likes}"] * bool(likes) + [f"has {has}"] * bool(has))
    turned = listed([f"has {has}"] * bool(has) + [f"likes {likes}"] * bool(likes))
    lives = f" and lives in {home}" if home else ""
    origin = f"from {home}" if home else ""
    return (
        prose(f"{name} is {who}", origin) + f" {capital(he)} {does}.",
        prose(f"{name}, {who}", origin)[:-1] + f", {does}.",
        f"{name} is {who}{lives}. {capital(he)} {turned}.",
        f"{name} {turned}. {capital(he)} is {who}{lives}.",
    )


def draw_thing(draw: Draw) -> Record:
    material = draw.pick(tuple(lex.MATERIALS))
    facts = {"item": draw.pick(lex.MATERIALS[material]), "condition": draw.pick(lex.CONDITIONS)}
    facts |= {"colour": draw.pick(lex.COLORS), "material": material}
    facts |= {"seller": f"{draw.pick(lex.PEOPLE)[0]} {draw.pick(lex.SURNAMES)}", "price": f"{2 + draw.below(98)} coins"}
    return keep(draw, facts, ("condition", "colour", "material"), 1)


def describe_thing(facts: Record) -> tuple[str, ...]:
    """Descriptions of a thing on sale.

    >>> describe_thing({"item": "bag", "material": "silk", "seller": "Ben Hill", "price": "9 coins"})[0]
    'Ben Hill sells a silk bag for 9 coins.'
    """
    item, seller, price = facts["item"], facts["seller"], facts["price"]
    looks = [facts[key] for key in ("condition", "colour", "material") if key in facts]
    what = a(" ".join([*looks, item]))
    return (
        f"{seller} sells {what} for {price}.",
        f"{capital(what)} is on sale for {price}. The seller is {seller}.",
        f"You can buy {what} from {seller} for {price}.",
        f"For {price}, {seller} sells {what}.",
        f"{seller} has {what} for sale. The {item} costs {price}.",
    )


def draw_event(draw: Draw) -> Record:
    facts = {"event": draw.pick(lex.EVENTS), "host": f"{draw.pick(lex.PEOPLE)[0]} {draw.pick(lex.SURNAMES)}"}
    facts |= {"place": draw.pick(tuple(lex.VENUES)), "day": draw.pick(lex.DAYS), "time": draw.pick(lex.TIMES)}
    facts |= {"ticket": draw.pick(("free", *(f"{coins} coins" for coins in range(2, 20))))}
    return keep(draw, facts, ("host", "time", "ticket"), 1)


def describe_event(facts: Record) -> tuple[str, ...]:
    """Descriptions of an event.

    >>> describe_event({"event": "dance", "place": "park", "day": "Friday", "ticket": "free"})[0]
    'There is a dance in the park on Friday. The ticket is free.'
    """
    event, place, day, host = facts["event"], facts["place"], facts["day"], facts.get("host")
    where = f"{lex.VENUES[place]} the {place}"
    at = f"at {facts['time']}" if "time" in facts else ""
    when = spaced(f"on {day}", at)
    ticket = facts.get("ticket", "")
    costs = f" The ticket {'is free' if ticket == 'free' else f'costs {ticket}'}." if ticket else ""
    by = f" The host is {host}." if host else ""
    hosted = f"{host} hosts {a(event)}" if host else ""
    return (
        f"There is {a(event)} {where} {when}." + by + costs,
        f"{hosted or capital(a(event)) + ' takes place'} {where} {when}." + costs,
        prose(f"On {day}, {hosted or 'there is ' + a(event)}", where, at) + costs,
        f"Come to the {event} {where} {when}." + by + costs,
    )


KINDS = (
    (draw_place, describe_place),
    (draw_person, describe_person),
    (draw_thing, describe_thing),
    (draw_event, describe_event),
)
