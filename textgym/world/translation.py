"""Sentences drawn from the synchronous grammar: what is said, who says it, and in which construction."""

from collections.abc import Callable, Iterator
from itertools import product

from textgym.world import bilingual as two
from textgym.world import chinese
from textgym.world.bilingual import Pair
from textgym.world.draw import Draw, Rendered
from textgym.world.lexicon import PEOPLE
from textgym.world.syntax import (
    Clause,
    Name,
    NounPhrase,
    Phrase,
    Prepositional,
    Pronoun,
    Sentence,
    compound,
    question,
    statement,
)

_SHE = frozenset(name for name, forms in PEOPLE if forms[0] == "she")
_OWN = {"I": "my", "he": "his", "she": "her", "we": "our", "they": "their"}
PAIRS = ("en-de", "en-zh", "de-en", "zh-en")
_KINDS = {noun.en: kind for kind, nouns in two.NOUNS.items() if kind != "dish" for noun in nouns}
# A German girl is neuter and a German table masculine: only where gender and sex agree is the pronoun safe.
_SAFE_PRONOUNS = {
    "woman": "she", "queen": "she", "sister": "she", "mother": "she", "man": "he", "king": "he", "boy": "he",
    "brother": "he", "father": "he",
}  # fmt: skip
# What one says of something, but not of something that is called so.
_PASSING = {kind: tuple(pair for pair in pairs if pair[0] not in two.LASTING) for kind, pairs in two.ADJECTIVES.items()}
_TENSES = ("past", "past", "past", "progressive", "present", "future")


def translation_grammar(draw: Draw, languages: str = "en-de") -> Rendered:
    """A sentence and its translations, from the first of two languages to the second: one of ``PAIRS``."""
    source, target = languages.split("-")
    chinese_too = "zh" in (source, target)
    sentence = draw.pick(CONSTRUCTIONS)(draw)
    while chinese_too and not chinese.sayable(sentence):  # one of twenty
        sentence = draw.pick(CONSTRUCTIONS)(draw)
    if source == "en":
        said = sentence.en()
        if not draw.wants(said):
            return Rendered(said, ())
        return Rendered(said, chinese.translations(sentence) if chinese_too else sentence.de())
    said = draw.pick(chinese.translations(sentence) if chinese_too else sentence.de())
    if not draw.wants(said):
        return Rendered(said, ())
    alike = [sentence]
    if sentence.main.time or sentence.conjunction not in ("", "that"):
        alike.append(_other_order(sentence))
    if chinese_too:
        alike += [other for one in alike for other in _other_tenses(one) if said in chinese.translations(other)]
    return Rendered(said, tuple(dict.fromkeys(one.en() for one in alike)))


def _other_order(sentence: Sentence) -> Sentence:
    """The sentence with its time or its subordinate clause at the other end, whose subject is still named first."""
    main, sub = sentence.main, sentence.sub
    if sub is None or sentence.conjunction == "that":
        return sentence._replace(time_first=not sentence.time_first)
    one = sentence.conjunction == "if" and sub.subject != Pronoun("it")  # both clauses are about one
    if one and sentence.sub_first and isinstance(main.subject, Pronoun):
        main, sub = main._replace(subject=sub.subject), sub._replace(subject=main.subject)
    return sentence._replace(main=main, sub=sub, sub_first=not sentence.sub_first)


def _other_tenses(sentence: Sentence) -> Iterator[Sentence]:
    """The sentence in the other tense, past or present, between which Chinese makes no difference for what is so."""
    clauses = [sentence.main, sentence.sub] if sentence.sub else [sentence.main]
    if sentence.conjunction not in ("", "that"):
        return
    tenses = [
        ("present", "past") if clause.verb.state and not clause.time and clause.tense != "future" else (clause.tense,)
        for clause in clauses
    ]
    own = tuple(clause.tense for clause in clauses)
    for chosen in product(*tenses):
        if chosen not in (own, ("past", "present")):  # English keeps to the past: "knew that he was"
            main, *sub = (clause._replace(tense=tense) for clause, tense in zip(clauses, chosen, strict=True))
            yield sentence._replace(main=main, sub=sub[0] if sub else None)


def _noun_phrase(draw: Draw, kind: str, determiners: tuple[str, ...], plural: float = 0.2) -> NounPhrase:
    """A noun phrase of a kind, with an adjective more often than not."""
    if kind == "person" and draw.chance(0.3):
        kind, determiners = "kin", ("my", "our", "my", "our", "the")
    noun = draw.pick(two.NOUNS[kind])
    adjective = draw.pick(two.PLACE_ADJECTIVES.get(noun.en, two.ADJECTIVES[kind])) if draw.chance(0.55) else None
    if adjective and adjective[0] == "old" and noun.en in two.YOUNG:
        adjective = ("small", "klein")
    if draw.chance(plural):
        determiners = ("the", "my", "our") if kind == "kin" else ("the", "two", "three", "many")
        return NounPhrase(noun, draw.pick(determiners), adjective, plural=True)
    return NounPhrase(noun, draw.pick(determiners), adjective)


def _someone(draw: Draw) -> Phrase:
    """The subject of a sentence about people."""
    dice = draw.uniform()
    if dice < 0.2:
        return Name(draw.pick(PEOPLE)[0])
    if dice < 0.4:
        return Pronoun(draw.pick(two.SPEAKERS))
    return _noun_phrase(draw, "person", ("the", "the", "a", "this"))


def _object(draw: Draw, kinds: tuple[str, ...], subject: Phrase, *, pronouns: bool = False) -> Phrase:
    """An object that isn't its own subject."""
    kind = draw.pick(kinds)
    dice = draw.uniform()
    if kind == "person" and pronouns and dice < 0.25 and not isinstance(subject, Pronoun):
        return Pronoun(draw.pick(two.SPEAKERS))
    if kind == "person" and dice < 0.4 and not isinstance(subject, Name):
        return Name(draw.pick(PEOPLE)[0])
    determiners: tuple[str, ...] = ("the", "the", "a", "a", "this")
    own = _pronoun(subject)
    if own and kind in ("tool", "thing", "vehicle", "clothes", "animal", "text"):
        determiners += (_OWN[own],)
    while True:
        phrase = _noun_phrase(draw, kind, determiners)
        if not (isinstance(subject, NounPhrase) and subject.noun == phrase.noun):
            return phrase


def _pronoun(subject: Phrase) -> str:
    """The pronoun of a subject, or "" where English and German might disagree about it."""
    if isinstance(subject, Pronoun):
        return subject.pronoun
    if isinstance(subject, Name):
        return "she" if subject.name in _SHE else "he"
    if subject.plural:
        return "they" if _KINDS[subject.noun.en] in ("person", "kin") else ""
    return _SAFE_PRONOUNS.get(subject.noun.en, "")


def _place(draw: Draw, places: tuple[tuple[str, str, str], ...] = two.LOCATIONS) -> Prepositional:
    """Where something happens: with the dative."""
    english, german, noun = draw.pick(places)
    return Prepositional((english, german), "dat", _place_phrase(draw, noun))


def _direction(draw: Draw, ways: tuple[tuple[str, str, str, str], ...] = two.DIRECTIONS) -> Prepositional:
    """Where someone goes."""
    english, german, case, noun = draw.pick(ways)
    return Prepositional((english, german), case, _place_phrase(draw, noun))


def _place_phrase(draw: Draw, noun: str) -> NounPhrase:
    adjective = draw.pick(two.PLACE_ADJECTIVES.get(noun, two.ADJECTIVES["place"])) if draw.chance(0.3) else None
    return NounPhrase(two.NOUN[noun], "a" if adjective and draw.chance(0.4) else "the", adjective)


def _tense(draw: Draw, verb: two.Verb) -> tuple[str, Pair | None]:
    """A tense, and perhaps a time that goes with it."""
    tense = draw.pick(_TENSES)
    if tense == "progressive" and verb.state:
        return "present", None
    if verb.state and tense == "present":
        return "present", None
    # The plain present is about habits, so it comes with how often.
    timed = tense == "present" or draw.chance(0.4)
    return tense, draw.pick(two.TIMES[tense]) if timed else None


def _event(draw: Draw) -> Clause:
    """Someone does something to someone or something."""
    verb, subject = draw.pick(two.TRANSITIVE), _someone(draw)
    thing = _object(draw, verb.objects, subject, pronouns=True)
    tense, time = _tense(draw, verb)
    placed = draw.chance(0.2) and not time and verb.en in ("see", "buy", "sell", "find", "read", "eat")
    place = _place(draw) if placed else None
    return Clause(subject, verb, thing, place=place, time=time, tense=tense)


def _statement(draw: Draw, clause: Clause) -> Sentence:
    return statement(clause, time_first=clause.time is not None and draw.chance(0.5))


def acting(draw: Draw) -> Sentence:
    """Subject, verb and object: "The boy bought a red ball." """
    return _statement(draw, _event(draw))


def giving(draw: Draw) -> Sentence:
    """Dative and accusative: "The man gave the child an apple." """
    verb, subject = draw.pick(two.GIVING), _someone(draw)
    thing, receiver = _object(draw, verb.objects, subject), _object(draw, ("person",), subject, pronouns=True)
    tense, _ = _tense(draw, verb)
    return statement(Clause(subject, verb, thing, receiver, tense="past" if tense == "present" else tense))


def going(draw: Draw) -> Sentence:
    """Motion, with the perfect of sein: "The dog ran into the garden." """
    verb = draw.pick((two.GO, two.RUN, two.DRIVE))
    subject = _someone(draw) if verb is not two.RUN else _noun_phrase(draw, "animal", ("the", "a", "our"))
    tense, time = _tense(draw, verb)
    way = _direction(draw, two.ROADS) if verb is two.DRIVE else _direction(draw)
    return _statement(draw, Clause(subject, verb, place=way, time=time, tense=tense))


def resting(draw: Draw) -> Sentence:
    """A place with the dative: "The cat is sleeping under the table." """
    verb = draw.pick((*two.RESTING, two.ARRIVE))
    subject = _someone(draw)
    if verb.en in ("sleep", "wait", "sit", "play"):
        if draw.chance(0.5):
            subject = _noun_phrase(draw, "animal", ("the", "a", "our"))
        places = (*two.LOCATIONS, *two.CORNERS)
    else:
        places = two.ARRIVALS if verb is two.ARRIVE else two.LOCATIONS
    tense, time = _tense(draw, verb)
    if verb is two.ARRIVE and tense != "future":
        tense, time = "past", time if tense == "past" else None
    return _statement(draw, Clause(subject, verb, place=_place(draw, places), time=time, tense=tense))


def being(draw: Draw) -> Sentence:
    """An adjective without an ending: "The old house was cold." """
    return statement(_state(draw)._replace(negated=draw.chance(0.25)))


def _state(draw: Draw, subject: Phrase | None = None, tense: str = "", *, feeling: bool = False) -> Clause:
    """Someone or something is like this."""
    if subject is None:
        kind = draw.pick(("person", "person", "animal", "tool", "clothes", "room", "food"))
        subject = _someone(draw) if kind == "person" else _noun_phrase(draw, kind, ("the", "this", "my", "our"))
    kind = "person"
    if isinstance(subject, NounPhrase):
        kind = _KINDS[subject.noun.en]
        if subject.adjective and subject.adjective[0] not in two.LASTING:
            subject = subject._replace(adjective=None)
    adjective = draw.pick(two.FEELINGS if feeling else _PASSING[kind])
    return Clause(subject, two.BE, adjective=adjective, tense=tense or draw.pick(("present", "past")))


def _weather(draw: Draw, tense: str) -> Clause:
    """It rains, it snows or it is cold."""
    verb = draw.pick((two.RAIN, two.SNOW, two.BE))
    adjective = draw.pick((("cold", "kalt"), ("warm", "warm"), ("dark", "dunkel"))) if verb is two.BE else None
    return Clause(Pronoun("it"), verb, adjective=adjective, tense=tense)


def wanting(draw: Draw) -> Sentence:
    """A modal verb, with the infinitive last: "She must help the old woman." """
    clause = _event(draw)
    modal = draw.pick(tuple(two.MODALS))
    if modal == "must":
        modal = draw.pick(("must", "must", "had to"))
    time = None
    if draw.chance(0.3):
        time = draw.pick(two.TIMES["past" if modal in two.PAST_MODALS else "future"])
    negatable = bool(two.MODALS[modal][2]) and time is None and clause.object is not None and clause.object.definite
    negated = negatable and draw.chance(0.4)
    if clause.verb.en in ("know", "love"):  # "The man should know the boy" is grammatical, and says little
        return _statement(draw, clause)
    if clause.verb.state:
        return statement(clause._replace(place=None, time=None, modal="could", negated=negated))
    return _statement(draw, Clause(clause.subject, clause.verb, clause.object, time=time, modal=modal, negated=negated))


def denying(draw: Draw) -> Sentence:
    """Negation with kein or nicht: "The boy did not buy a book." """
    if draw.chance(0.3):
        subject = _someone(draw)
        thing = _object(draw, two.HAVE.objects, subject)
        return statement(_denied(Clause(subject, two.HAVE, thing, tense=draw.pick(("present", "past")))))
    return statement(_denied(_event(draw)._replace(place=None, time=None)))


def _denied(clause: Clause) -> Clause:
    """The clause, denied: an indefinite object takes kein, all else nicht."""
    if isinstance(clause.object, NounPhrase) and not clause.object.definite:
        return clause._replace(object=clause.object._replace(determiner="no"))
    return clause._replace(negated=True)


def asking(draw: Draw) -> Sentence:
    """A question, with the verb first: "Did the boy see the dog?" """
    clause = _event(draw)._replace(place=None, time=None)
    if not clause.verb.state and draw.chance(0.3):
        clause = clause._replace(tense="present", modal=draw.pick(tuple(two.MODALS)))
    return question(clause)


def explaining(draw: Draw) -> Sentence:
    """Because and although, with the verb last: "He slept because he was tired." """
    subject, verb = _someone(draw), draw.pick(two.RESTING[:5])
    # One tense for both halves. An English progressive goes with a German present.
    past = draw.chance(0.6)
    place = _place(draw) if draw.chance(0.4) else None
    main = Clause(subject, verb, place=place, tense="past" if past else "progressive")
    pronoun = _pronoun(subject)
    if pronoun and draw.chance(0.6):
        reason = _state(draw, Pronoun(pronoun), "past" if past else "present", feeling=True)
    else:
        reason = _weather(draw, "past" if past else "progressive")
    return compound(main, draw.pick(("because", "because", "although")), reason, sub_first=draw.chance(0.3))


def saying(draw: Draw) -> Sentence:
    """Reported facts: "Anna knows that the dog is hungry." """
    speaker, verb, tense = _someone(draw), draw.pick(two.SAYING), draw.pick(("past", "present"))
    if draw.chance(0.5):
        fact = _state(draw, tense=tense)
    else:
        fact = _event(draw)._replace(place=None, time=None)
        fact = fact._replace(tense="future" if verb.en == "hope" and tense == "present" else "past")
    return compound(Clause(speaker, verb, tense=tense), "that", fact)


def supposing(draw: Draw) -> Sentence:
    """Conditions: "If the soup is cold, I will call the cook." """
    action = _event(draw)._replace(place=None, time=None, tense="future")
    condition = _weather(draw, "present") if draw.chance(0.5) else _state(draw, action.subject, "present", feeling=True)
    sub_first = draw.chance(0.6)
    if action.verb.state or isinstance(action.object, Pronoun):
        action = Clause(action.subject, draw.pick(two.RESTING[:4]), place=_place(draw), tense="future")
    pronoun = _pronoun(action.subject)
    if condition.verb is two.BE and condition.adjective in two.FEELINGS:
        if not pronoun:
            condition = _weather(draw, "present")
        elif sub_first:
            action = action._replace(subject=Pronoun(pronoun))
        else:
            condition = condition._replace(subject=Pronoun(pronoun))
    return compound(action, "if", condition, sub_first)


def remembering(draw: Draw) -> Sentence:
    """Once in the past, with als: "When the child was ill, the mother called the doctor." """
    action = _event(draw)._replace(place=None, time=None, tense="past")
    when = _weather(draw, "past") if draw.chance(0.3) else _state(draw, _someone(draw), "past", feeling=True)
    return compound(action, "when", when, sub_first=draw.chance(0.6))


CONSTRUCTIONS: tuple[Callable[[Draw], Sentence], ...] = (
    acting, acting, acting, giving, going, resting, being, wanting, wanting, denying, asking, explaining, saying,
    supposing, remembering,
)  # fmt: skip
