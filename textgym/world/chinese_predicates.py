"""What a sentence of the translation grammar says in Chinese of its subject: verbs, aspect, modal verbs, negation."""

from textgym.world import bilingual as two
from textgym.world import chinese_words as words
from textgym.world.chinese_phrases import KINDS, Texts, goal, objects, where
from textgym.world.chinese_words import Verb
from textgym.world.syntax import Clause, NounPhrase, Phrase, Pronoun

_HABITS = tuple(english for english, _ in two.TIMES["present"])
PLANS = ("today", "this evening")  # with these an English progressive is about what is planned


def predicates(clause: Clause) -> Texts:
    """What follows subject and time, in one or several ways."""
    verb = clause.verb.en
    if clause.verb is two.BE:
        return being(clause)
    if clause.receiver is not None:
        return _giving(clause, clause.receiver)
    if clause.verb in two.SAYING:
        return words.SAYING[verb]
    if verb in words.RESTING:
        return _resting(clause)
    if clause.object is None:
        return _moving(clause)
    return _doing(clause, clause.object)


def being(clause: Clause) -> Texts:
    """很累, 不热, 都是红色的."""
    assert clause.adjective is not None
    adjective, subject = clause.adjective[0], clause.subject
    so, not_so = words.PREDICATES[adjective]
    if isinstance(subject, NounPhrase) and KINDS[subject.noun.en] == "food":
        so, not_so = words.FOOD_PREDICATES.get(adjective, (so, not_so))
        if subject.noun.en == "soup":
            so, not_so = words.SOUP_PREDICATES.get(adjective, (so, not_so))
    every = "都" if isinstance(subject, NounPhrase) and subject.plural else ""
    return tuple(f"{every}{text}" for text in ((not_so,) if clause.negated else so))


def _when(clause: Clause, past: Texts, now: str, base: str) -> Texts:
    """What happened, is happening, happens again and again, or will happen."""
    time = clause.time[0] if clause.time else ""
    if clause.tense == "past":
        return past
    if clause.tense == "future":
        return (f"会{base}", f"要{base}") if time else (f"会{base}",)
    if time in _HABITS:
        return (f"都{base}",)
    return (f"要{base}",) if time in PLANS else (now,)


def _resting(clause: Clause) -> Texts:
    """在桥下睡觉, 坐在窗边, 正在玩."""
    at, past, now, base = words.RESTING[clause.verb.en]
    if clause.place is None:
        return _when(clause, (past,), f"正{now}", base)
    subject, there = clause.subject, where(clause.place)
    if clause.verb.en == "sit":
        noun = subject.noun.en if isinstance(subject, NounPhrase) else ""
        there, at = words.SITTING.get(noun, "坐") + there, ""
    if clause.time and clause.time[0] in PLANS and clause.tense == "progressive":
        return (f"{there}{at}",)
    return _when(clause, (f"{there}{at}",), f"正{there}{at}", f"{there}{at}")


def _moving(clause: Clause) -> Texts:
    """走进了花园, 正在去学校的路上, 会到车站."""
    if clause.place is None:
        return _when(clause, ("到了",), "到了", "到")
    there = goal(clause.place)
    if clause.verb is two.ARRIVE:
        return _when(clause, (f"到了{there}", f"到达了{there}"), f"到了{there}", f"到{there}")
    past, now, base = (text.format(there) for text in words.MOTION[clause.verb.en, clause.place.preposition[0]])
    return _when(clause, (past,), now, base)


def _giving(clause: Clause, receiver: Phrase) -> Texts:
    """给了她一本书, 把那本书给了她."""
    assert clause.object is not None
    past, moved, now, base, base_moved = words.GIVING[clause.verb.en]
    forms = ((moved, past), now, base_moved) if clause.object.definite else ((past,), now, base)
    to = objects(receiver)[0]
    texts: list[str] = []
    for thing in objects(clause.object):
        texts += (text.format(r=to, o=thing) for text in _when(clause, *forms))
    return tuple(texts)


def _verb(clause: Clause) -> Verb:
    """The verb, which may depend on what something is done to."""
    verb, thing = clause.verb.en, clause.object
    if verb == "sell" and thing is not None and thing.definite:
        return words.SOLD
    if isinstance(thing, NounPhrase):
        noun = thing.noun.en
        found = words.NOUN_VERBS.get((verb, noun)) or words.KIND_VERBS.get((verb, KINDS[noun]))
        if found:
            return found
    return words.VERBS[verb]


def _things(clause: Clause) -> Texts:
    """What a verb's ``{o}`` is: one hears not someone, but someone's voice."""
    assert clause.object is not None
    things = objects(clause.object)
    if clause.verb.en != "hear":
        return things
    animal = isinstance(clause.object, NounPhrase) and KINDS[clause.object.noun.en] == "animal"
    return tuple(f"{thing}的{'叫声' if animal else '声音'}" for thing in things)


def _doing(clause: Clause, thing: Phrase) -> Texts:
    """买了一本书, 正在洗自己的帽子, 没有打开门."""
    no = clause.negated or thing.determiner == "no"
    if clause.verb is two.HAVE:
        return tuple(f"没有{o}" for o in _things(clause))
    verb = _verb(clause)
    if clause.modal:
        forms = _modal(clause, verb, no)
    elif no:
        forms = _denied(clause, verb)
    elif clause.verb.state and clause.tense == "present":
        forms = verb.past
    else:
        moved = verb.moved and thing.definite and not clause.place and not isinstance(thing, Pronoun)
        forms = _when(clause, (*verb.past, verb.moved) if moved else verb.past, f"正{verb.now}", verb.base)
    if clause.place:
        there = where(clause.place)
        if clause.tense == "progressive":
            forms = (f"正{there}{verb.plain}",)
        elif clause.tense == "future":
            forms = (f"会{there}{verb.base}",)
        else:
            forms = tuple(there + form for form in forms)
    return tuple(form.format(o=o) for form in forms for o in _things(clause))


def _modal(clause: Clause, verb: Verb, no: bool) -> Texts:
    so, not_so = words.MODALS[clause.modal]
    if no and clause.verb.en in words.UNABLE:
        return words.UNABLE[clause.verb.en], f"没能{verb.base}"
    return tuple(f"{modal}{verb.base}" for modal in (not_so if no else so) if not (clause.time and "当时" in modal))


def _denied(clause: Clause, verb: Verb) -> Texts:
    """不 for what is or will be, 没有 for what is not yet so or was not done."""
    if clause.verb.en in ("know", "love"):
        return (f"不{verb.plain}",)
    if clause.verb.state and clause.tense == "present":
        return f"没有{verb.base}", words.UNABLE[clause.verb.en]
    if clause.tense == "future":
        return (f"不会{verb.base}",)
    if clause.tense == "present":
        return (f"不{verb.plain}",)
    if clause.tense == "progressive" or clause.verb.en == "carry":  # 没有提包 would be to have no bag
        return f"没有{verb.now}", f"没{verb.now}"
    return f"没有{verb.base}", f"没{verb.base}"


def asked(clause: Clause) -> Texts:
    """What comes before 吗."""
    verb = _verb(clause)
    if clause.modal:
        forms = tuple(f"{modal}{verb.base}" for modal in words.MODALS[clause.modal][0])
    elif clause.tense == "future":
        forms = (f"会{verb.base}",)
    elif clause.tense == "progressive":
        forms = f"正{verb.now}", verb.now
    else:
        forms = (verb.asked if clause.tense == "past" or clause.verb.state else verb.plain,)
    return tuple(form.format(o=o) for form in forms for o in _things(clause))
