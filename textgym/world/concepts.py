"""Concepts, and sentences of the translation grammar's English that they all occur in."""

from dataclasses import dataclass

from textgym.world import bilingual as two
from textgym.world.bilingual import Noun, Pair, Verb
from textgym.world.draw import Draw, Rendered
from textgym.world.english import capital
from textgym.world.syntax import Clause, NounPhrase, Phrase, Prepositional

REFERENCES = 3
_PEOPLE = (*two.NOUNS["person"], *two.NOUNS["kin"])
_VERBS = tuple(verb for verb in two.TRANSITIVE if " " not in verb.en)  # a concept is one word
_NOWHERE = ("know", "love", "open", "close", "call", "follow", "invite", "visit")  # said without a place
_TIMES = {"past": ("past", "past", "past", "progressive", "future"), "state": ("past", "past", "future")}
_PLACE_NAMES = tuple(place for place in two.LOCATIONS if place[2] not in ("room", "cellar"))


@dataclass(frozen=True, slots=True)
class Scene:
    """Who does what, where: a sentence without its small words.

    Attributes:
        subject, object, receiver: nouns with their kinds.
        way: English and German preposition and noun of a place.
        adjectives: part of the scene -> English adjective that it has.
    """

    verb: Verb
    subject: Noun
    object: Noun | None
    receiver: Noun | None
    way: tuple[str, str, str] | None
    adjectives: dict[str, Pair]


def concept_grammar(draw: Draw, level: int = 4) -> Rendered:
    """So many concepts, and sentences that have them all; ``metadata["keywords"]`` has the concepts."""
    scene, kinds = _scene(draw, level)
    words = [scene.subject.en, scene.verb.en]
    words += [noun.en for noun in (scene.object, scene.receiver) if noun]
    words += [scene.way[2]] if scene.way else []
    for part in draw.sample(tuple(kinds), level - len(words)):
        fits = two.PLACE_ADJECTIVES.get(kinds[part][1], two.ADJECTIVES[kinds[part][0]])
        adjective = draw.pick(fits)
        if adjective[0] in ("old", *words) and (adjective[0] in words or kinds[part][1] in two.YOUNG):
            adjective = ("small", "klein") if "small" not in words else ("clever", "klug")
        scene.adjectives[part] = adjective
        words.append(adjective[0])
    texts: dict[str, None] = {}
    while len(texts) < REFERENCES:
        texts[_sentence(draw, scene)] = None
    concepts = tuple(sorted(words))  # in one order, so that no set of them is in two splits
    return Rendered(", ".join(concepts), tuple(texts), {"keywords": concepts})


def _scene(draw: Draw, level: int) -> tuple[Scene, dict[str, tuple[str, str]]]:
    """A scene of ``level`` concepts or fewer, and the kind and the noun of each of its parts."""
    kind = draw.pick(("person", "person", "animal"))
    subject = draw.pick(_PEOPLE if kind == "person" else two.NOUNS[kind])
    kinds = {"subject": (kind, subject.en)}
    dice = draw.uniform()
    if dice < 0.2:  # somewhere
        verb = draw.pick((*two.RESTING[:4], two.RUN) if kind == "animal" else (*two.RESTING, two.GO, two.RUN))
        if verb in (two.GO, two.RUN):
            english, german, _, place = draw.pick(two.DIRECTIONS)
            way = (english, german, place)
        else:
            way = draw.pick(_PLACE_NAMES)
        return Scene(verb, subject, None, None, way, {}), {**kinds, "way": ("place", way[2])}
    if kind == "animal":
        kind, subject = "person", draw.pick(_PEOPLE)
        kinds = {"subject": (kind, subject.en)}
    if level > 3 and dice < 0.4:  # to someone
        verb = draw.pick(two.GIVING)
        what = draw.pick(verb.objects)
        thing, receiver = _other(draw, what, subject), _other(draw, "person", subject)
        kinds |= {"object": (what, thing.en), "receiver": ("person", receiver.en)}
        return Scene(verb, subject, thing, receiver, None, {}), kinds
    verb = draw.pick(_VERBS)
    what = draw.pick(verb.objects)
    thing = _other(draw, what, subject)
    kinds["object"] = (what, thing.en)
    if level == 3 or verb.en in _NOWHERE or what == "place" or draw.chance(0.4):
        return Scene(verb, subject, thing, None, None, {}), kinds
    there = draw.pick(_PLACE_NAMES)
    return Scene(verb, subject, thing, None, there, {}), {**kinds, "way": ("place", there[2])}


def _other(draw: Draw, kind: str, than: Noun) -> Noun:
    while True:
        noun = draw.pick(_PEOPLE if kind == "person" else two.NOUNS[kind])
        if noun is not than:
            return noun


def _sentence(draw: Draw, scene: Scene) -> str:
    """One way to say it: tense, articles, numbers and time are free."""
    state = scene.verb.state
    tense = draw.pick(_TIMES["state" if state else "past"])
    time = draw.pick(two.TIMES[tense]) if draw.chance(0.4) else None

    def phrase(part: str, noun: Noun, determiners: tuple[str, ...]) -> Phrase:
        if noun in two.NOUNS["kin"]:
            determiners = ("my", "our")
        return NounPhrase(noun, draw.pick(determiners), scene.adjectives.get(part))

    place = None
    if scene.way:
        place = Prepositional(scene.way[:2], "dat", phrase("way", two.NOUN[scene.way[2]], ("the", "the", "a")))
    clause = Clause(
        phrase("subject", scene.subject, ("the", "the", "a", "this")),
        scene.verb,
        phrase("object", scene.object, ("the", "the", "a")) if scene.object else None,
        phrase("receiver", scene.receiver, ("the", "a")) if scene.receiver else None,
        place=place,
        time=time,
        tense=tense,
    )
    return f"{capital(clause.en(time_first=time is not None and draw.chance(0.5)))}."
