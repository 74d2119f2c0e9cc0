"""The sentences of the translation grammar in Chinese.

Chinese has no articles, genders, cases or tenses. What English says with them is said by measure words, by what is put
before the verb, and by aspect: 了 for what happened, 正在 for what is happening, 会 for what will. Times and places are
before the verb, and a condition or a concession before the main clause.
"""

from dataclasses import replace

from textgym.world import bilingual as two
from textgym.world import chinese_words as words
from textgym.world.chinese_words import Noun, Verb
from textgym.world.syntax import Clause, Name, NounPhrase, Phrase, Prepositional, Pronoun, Sentence

MOST = 8  # translations of a sentence

Texts = tuple[str, ...]

_KINDS = {noun.en: kind for kind, nouns in two.NOUNS.items() if kind != "dish" for noun in nouns}
_FAMILY = ("sister", "brother", "mother", "father", "grandmother")
_WOMEN = ("woman", "girl", "queen", "sister", "mother", "grandmother")
_BARE = ("doctor", "teacher")  # "the doctor" is 医生 as well where something is done to him
_NUMBERS = {"two": ("两",), "three": ("三",)}
_HABITS = tuple(english for english, _ in two.TIMES["present"])
_PLANS = ("today", "this evening")  # with these an English progressive is about what is planned


def sayable(sentence: Sentence) -> bool:
    """Whether one would say it: the rest is grammatical in English, and nothing that is said of the world in Chinese.

    >>> from textgym.world.bilingual import NOUN, TRANSITIVE
    >>> write = next(verb for verb in TRANSITIVE if verb.en == "write")
    >>> [sayable(Sentence(Clause(Pronoun("I"), write, NounPhrase(NOUN[text])))) for text in ("letter", "newspaper")]
    [True, False]
    """
    main, sub = sentence.main, sentence.sub
    for clause in (main, sub) if sub else (main,):
        verb, thing, timed = clause.verb.en, clause.object, clause.time is not None
        place = clause.place.phrase if clause.place else None
        if not all(_is_phrase(phrase) for phrase in (clause.subject, thing, clause.receiver, place)):
            return False
        if verb in ("know", "love") and clause.object and (timed or clause.tense == "future"):
            return False
        if verb == "write" and isinstance(thing, NounPhrase) and thing.noun.en == "newspaper":
            return False
        if verb == "have" and thing is not None and thing.determiner in (*words.OWN, "my", "our"):
            return False
        if verb == "run" and clause.tense == "progressive" and clause.time and clause.time[0] in _PLANS:
            return False
    indefinite = main.subject.determiner == "a"
    if sub is None:
        return not (sentence.asks and indefinite)
    if sentence.conjunction == "if":
        return not (indefinite or sub.subject.determiner == "a")
    if main.verb.en == "hope":
        return not (sub.adjective and sub.adjective[0] in ("tired", "sad", "hungry", "ill"))
    return not (sentence.conjunction == "when" and main.verb.en in ("know", "love"))


def _is_phrase(phrase: Phrase | None) -> bool:
    if not isinstance(phrase, NounPhrase):
        return True
    several = phrase.plural and phrase.determiner in ("my", "our")
    parents = several and phrase.noun.en in ("mother", "father", "grandmother")
    adjective = phrase.adjective[0] if phrase.adjective else ""
    return not parents and (adjective, phrase.noun.en) not in words.UNSAYABLE


def translations(sentence: Sentence) -> Texts:
    """Its Chinese translations, the one nearest to the English first, at most eight.

    >>> from textgym.world.bilingual import BE, NOUN
    >>> translations(Sentence(Clause(NounPhrase(NOUN["soup"], "this"), BE, adjective=("warm", "warm"), negated=True)))
    ('这碗汤不热。',)
    """
    if sentence.sub is not None:
        texts = _COMPOUNDS[sentence.conjunction](sentence.main, sentence.sub, sentence.sub_first)
    elif sentence.asks:
        texts = [f"{text}吗" for text in _said(sentence.main, _asked(sentence.main))]
    else:
        texts = _said(sentence.main, _predicates(sentence.main), time_first=sentence.time_first)
    mark = "？" if sentence.asks else "。"
    return tuple(f"{text}{mark}" for text in [*dict.fromkeys(texts)][:MOST])


def _said(clause: Clause, predicates: Texts, subjects: Texts = (), time_first: bool = False) -> list[str]:
    """Subject, time and predicate, in both orders of the first two."""
    time = words.TIMES[clause.time[0]] if clause.time else ""
    texts: list[str] = []
    for predicate in predicates:
        for subject in subjects or _subjects(clause.subject):
            both = (f"{subject}{time}{predicate}", f"{time}{subject}{predicate}")
            texts += both[::-1] if time_first else both
    return texts


# Phrases


def _noun(phrase: NounPhrase) -> Noun:
    """The noun with its adjective."""
    english = phrase.noun.en
    noun = words.NOUNS[english]
    if phrase.plural and english in words.PLURALS:
        noun = noun._replace(zh=words.PLURALS[english])
    if not phrase.adjective:
        return noun
    adjective = phrase.adjective[0]
    if (adjective, english) in words.COMPOUNDS:
        return words.COMPOUNDS[adjective, english]
    if adjective == "old":
        attribute = noun.old
    else:
        of_kind = words.KIND_ATTRIBUTES.get(_KINDS[english], {})
        attribute = of_kind.get(adjective, words.ATTRIBUTES[adjective])
        attribute = words.NOUN_ATTRIBUTES.get((adjective, english), attribute)
    return noun._replace(zh=attribute + noun.zh)


def _owned(owner: str, phrase: NounPhrase) -> str:
    """Something of someone's: 我妈妈, 我聪明的姐姐, 我的狗."""
    noun, several = _noun(phrase).zh, "们" if phrase.plural and _is_person(phrase) else ""
    described = phrase.adjective and "的" in noun
    if described or (owner == "我" and phrase.noun.en in _FAMILY and not phrase.adjective and not phrase.plural):
        return f"{owner}{noun}{several}"
    return f"{owner}的{noun}{several}"


def _is_person(phrase: NounPhrase) -> bool:
    return _KINDS[phrase.noun.en] in ("person", "kin")


def _several(phrase: NounPhrase) -> Texts:
    """More than one: 那些客人, 两条鱼, 许多椅子."""
    noun = _noun(phrase)
    if phrase.determiner == "the":
        if phrase.noun.en in _FAMILY:
            return (f"{noun.zh}们",)
        return (f"那些{noun.zh}", f"{noun.zh}们") if _is_person(phrase) else (f"那些{noun.zh}",)
    if phrase.determiner == "many":
        return (f"许多{noun.zh}", f"很多{noun.zh}")
    if phrase.determiner in _NUMBERS:
        return tuple(f"{number}{noun.measure}{noun.zh}" for number in _NUMBERS[phrase.determiner])
    return (_owned(words.PRONOUNS["I" if phrase.determiner == "my" else "we"], phrase),)


def _subjects(phrase: Phrase) -> Texts:
    """What a sentence begins with: what is definite may go without 那, and what is not is introduced by 有."""
    if isinstance(phrase, Name):
        return (words.NAMES[phrase.name],)
    if isinstance(phrase, Pronoun):
        return (words.PRONOUNS[phrase.pronoun],)
    if phrase.plural:
        return _several(phrase)
    noun = _noun(phrase)
    if phrase.determiner == "a":
        return (f"有{noun.measure}{noun.zh}", f"一{noun.measure}{noun.zh}")
    if phrase.determiner == "this":
        return (f"这{noun.measure}{noun.zh}",)
    if phrase.determiner == "the":
        plain = noun.unique and not phrase.adjective
        return (noun.zh,) if plain else (f"那{noun.measure}{noun.zh}", noun.zh)
    return (_owned(words.PRONOUNS["I" if phrase.determiner == "my" else "we"], phrase),)


def _objects(phrase: Phrase) -> Texts:
    """What something is done to."""
    if not isinstance(phrase, NounPhrase):
        return _subjects(phrase)
    noun = _noun(phrase)
    if phrase.determiner == "no":
        return (noun.zh,)
    if phrase.determiner in words.OWN:
        return (_owned("自己", phrase), _owned(words.OWN[phrase.determiner], phrase))
    if phrase.plural:
        return _several(phrase)
    if phrase.determiner == "a":
        return (f"一{noun.measure}{noun.zh}",)
    if phrase.determiner == "the":
        that = f"那{noun.measure}{noun.zh}"
        if phrase.adjective:
            return (that,)
        return (noun.zh, that) if noun.unique else (that, noun.zh) if phrase.noun.en in _BARE else (that,)
    return _subjects(phrase)


def _place(phrase: NounPhrase) -> str:
    """A place, which goes without 那 unless an adjective tells it from others."""
    noun = _noun(phrase)
    if not phrase.adjective:
        return words.BARE_PLACES.get(phrase.noun.en, noun.zh)
    return f"{'一' if phrase.determiner == 'a' else '那'}{noun.measure}{noun.zh}"


def _where(place: Prepositional) -> str:
    """在 and a place: 在花园里, 在桥上, 在学校."""
    phrase = place.phrase
    assert isinstance(phrase, NounPhrase)
    which = place.preposition[0], phrase.noun.en
    if not phrase.adjective and which in words.BARE_WHERE:
        return f"在{words.BARE_WHERE[which]}"
    return f"在{_place(phrase)}{words.AFTER_PLACES.get(which, '里')}"


def _goal(place: Prepositional) -> str:
    """Where someone goes or arrives: 花园, 河边, 城里."""
    phrase = place.phrase
    assert isinstance(phrase, NounPhrase)
    noun = words.NOUNS[phrase.noun.en].zh
    if place.preposition[0] not in ("to", "at", "in") or phrase.noun.en not in words.GOALS:
        return _place(phrase) if phrase.adjective else noun
    described, bare = words.GOALS[phrase.noun.en]
    return described.format(_place(phrase)) if phrase.adjective else bare


# Predicates


def _predicates(clause: Clause) -> Texts:
    """What follows subject and time, in one or several ways."""
    verb = clause.verb.en
    if clause.verb is two.BE:
        return _being(clause)
    if clause.receiver is not None:
        return _giving(clause, clause.receiver)
    if clause.verb in two.SAYING:
        return words.SAYING[verb]
    if verb in words.RESTING:
        return _resting(clause)
    if clause.object is None:
        return _moving(clause)
    return _doing(clause, clause.object)


def _being(clause: Clause) -> Texts:
    """很累, 不热, 都是红色的."""
    assert clause.adjective is not None
    adjective, subject = clause.adjective[0], clause.subject
    so, not_so = words.PREDICATES[adjective]
    if isinstance(subject, NounPhrase) and _KINDS[subject.noun.en] == "food":
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
    return (f"要{base}",) if time in _PLANS else (now,)


def _resting(clause: Clause) -> Texts:
    """在桥下睡觉, 坐在窗边, 正在玩."""
    at, past, now, base = words.RESTING[clause.verb.en]
    if clause.place is None:
        return _when(clause, (past,), f"正{now}", base)
    subject, there = clause.subject, _where(clause.place)
    if clause.verb.en == "sit":
        noun = subject.noun.en if isinstance(subject, NounPhrase) else ""
        there, at = words.SITTING.get(noun, "坐") + there, ""
    if clause.time and clause.time[0] in _PLANS and clause.tense == "progressive":
        return (f"{there}{at}",)
    return _when(clause, (f"{there}{at}",), f"正{there}{at}", f"{there}{at}")


def _moving(clause: Clause) -> Texts:
    """走进了花园, 正在去学校的路上, 会到车站."""
    if clause.place is None:
        return _when(clause, ("到了",), "到了", "到")
    goal = _goal(clause.place)
    if clause.verb is two.ARRIVE:
        return _when(clause, (f"到了{goal}", f"到达了{goal}"), f"到了{goal}", f"到{goal}")
    past, now, base = (text.format(goal) for text in words.MOTION[clause.verb.en, clause.place.preposition[0]])
    return _when(clause, (past,), now, base)


def _giving(clause: Clause, receiver: Phrase) -> Texts:
    """给了她一本书, 把那本书给了她."""
    assert clause.object is not None
    past, moved, now, base, base_moved = words.GIVING[clause.verb.en]
    forms = ((moved, past), now, base_moved) if clause.object.definite else ((past,), now, base)
    to = _objects(receiver)[0]
    texts: list[str] = []
    for thing in _objects(clause.object):
        texts += (text.format(r=to, o=thing) for text in _when(clause, *forms))
    return tuple(texts)


def _verb(clause: Clause) -> Verb:
    """The verb, which may depend on what something is done to."""
    verb, thing = clause.verb.en, clause.object
    if verb == "sell" and thing is not None and thing.definite:
        return words.SOLD
    if isinstance(thing, NounPhrase):
        noun = thing.noun.en
        found = words.NOUN_VERBS.get((verb, noun)) or words.KIND_VERBS.get((verb, _KINDS[noun]))
        if found:
            return found
    return words.VERBS[verb]


def _things(clause: Clause) -> Texts:
    """What a verb's ``{o}`` is: one hears not someone, but someone's voice."""
    assert clause.object is not None
    things = _objects(clause.object)
    if clause.verb.en != "hear":
        return things
    animal = isinstance(clause.object, NounPhrase) and _KINDS[clause.object.noun.en] == "animal"
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
        there = _where(clause.place)
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


def _asked(clause: Clause) -> Texts:
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


# Sentences of two clauses


def _couple(main: Clause, sub: Clause) -> tuple[Texts, str]:
    """Who both clauses are about, and the pronoun for the second of them; the main clause's subject and "" if not one.

    Chinese names someone first, and then takes the pronoun or nothing, whichever clause English puts first.
    """
    if sub.subject == Pronoun("it"):
        return _subjects(main.subject), ""
    named = main.subject if isinstance(sub.subject, Pronoun) else sub.subject
    if isinstance(named, NounPhrase) and named.plural and named.noun.en in _WOMEN:
        return _subjects(named), "她们"
    pronoun = sub.subject if isinstance(sub.subject, Pronoun) else main.subject
    return _subjects(named), _subjects(pronoun)[0]


def _weather(clause: Clause, form: int) -> str:
    return words.WEATHER[clause.adjective[0] if clause.adjective else clause.verb.en][form]


def _reason(sub: Clause) -> str:
    """A cause or a concession without its subject: the weather, or how someone is."""
    if sub.subject == Pronoun("it"):
        return _weather(sub, 0 if sub.tense == "past" else 1)
    return _being(sub)[0]


def _because(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """A，因为B; 因为B，所以A."""
    (names, pronoun), reason, then = _couple(main, sub), _reason(sub), _predicates(main)[0]
    before, after = [], []
    for name in names:
        after.append(f"{name}{then}，因为{pronoun}{reason}")
        before.append(f"因为{name if pronoun else ''}{reason}，所以{pronoun or name}{then}")
    # "Because someone ..." would speak of another one than the clause after it.
    texts = after if main.subject.determiner == "a" else before + after if sub_first else after + before
    return texts


def _although(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """虽然B，但A."""
    (names, pronoun), reason, then = _couple(main, sub), _reason(sub), _predicates(main)[0]
    before, after = [], []
    for name in names:
        still = f"还是{then.removeprefix('正')}"
        if pronoun:
            before.append(f"{name}虽然{reason}，但{still}")
        if main.subject.determiner != "a" or not pronoun:
            before.append(f"虽然{name if pronoun else ''}{reason}，但{pronoun or name}{still}")
        after.append(f"{name}{then}，虽然{pronoun}{reason}")
    return before + after


def _if(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """如果B，A就."""
    names, pronoun = _couple(main, sub)
    texts: list[str] = []
    feeling = words.FEELING_CASES[sub.adjective[0]] if pronoun and sub.adjective else ""
    for name in names:
        condition = f"{name}{feeling}" if pronoun else _weather(sub, 3)
        for then in _predicates(main)[:2]:
            texts += [f"{word}{condition}，{pronoun or name}就{then}" for word in ("如果", "要是")]
    return texts


def _at_that_time(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """B的时候，A."""
    if sub.subject == Pronoun("it"):
        whens: Texts = (_weather(sub, 2),)
    else:
        assert sub.adjective is not None
        whens = tuple(f"{name}{words.FEELING_TIMES[sub.adjective[0]]}" for name in _subjects(sub.subject))
    then = _said(main, _predicates(main))
    texts = [f"{when}的时候，{text}" for when in whens for text in then]
    return texts if sub.subject == Pronoun("it") else [*texts, f"当{whens[0]}的时候，{then[0]}"]


def _that(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """A说B."""
    predicates = _predicates(sub)
    if main.verb.en == "hope" and sub.tense == "past" and sub.verb is not two.BE:  # what is hoped for hasn't happened
        predicates = tuple(text.removeprefix("会") for text in _predicates(replace(sub, tense="future")))
    facts = _said(sub, predicates)
    return [f"{text}{fact}" for text in _said(main, _predicates(main)) for fact in facts]


_COMPOUNDS = {"because": _because, "although": _although, "if": _if, "when": _at_that_time, "that": _that}
