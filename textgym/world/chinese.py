"""The sentences of the translation grammar in Chinese.

Chinese has no articles, genders, cases or tenses. What English says with them is said by measure words, by what is put
before the verb, and by aspect: 了 for what happened, 正在 for what is happening, 会 for what will. Times and places are
before the verb, and a condition or a concession before the main clause.
"""

from textgym.world import bilingual as two
from textgym.world import chinese_words as words
from textgym.world.chinese_phrases import Texts, subjects
from textgym.world.chinese_predicates import PLANS, asked, being, predicates
from textgym.world.syntax import Clause, NounPhrase, Pronoun, Sentence

MOST = 8  # translations of a sentence

_WOMEN = ("woman", "girl", "queen", "sister", "mother", "grandmother")


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
        for phrase in (clause.subject, thing, clause.receiver, place):
            if isinstance(phrase, NounPhrase) and not _is_said(phrase):
                return False
        if verb in ("know", "love") and clause.object and (timed or clause.tense == "future"):
            return False
        if verb == "write" and isinstance(thing, NounPhrase) and thing.noun.en == "newspaper":
            return False
        if verb == "have" and thing is not None and thing.determiner in (*words.OWN, "my", "our"):
            return False
        if verb == "run" and clause.tense == "progressive" and clause.time and clause.time[0] in PLANS:
            return False
    indefinite = main.subject.determiner == "a"
    if sub is None:
        return not (sentence.asks and indefinite)
    if sentence.conjunction == "if":
        return not (indefinite or sub.subject.determiner == "a")
    if main.verb.en == "hope":
        return not (sub.adjective and sub.adjective[0] in ("tired", "sad", "hungry", "ill"))
    return not (sentence.conjunction == "when" and main.verb.en in ("know", "love"))


def _is_said(phrase: NounPhrase) -> bool:
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
        texts = [f"{text}吗" for text in _said(sentence.main, asked(sentence.main))]
    else:
        texts = _said(sentence.main, predicates(sentence.main), time_first=sentence.time_first)
    mark = "？" if sentence.asks else "。"
    return tuple(f"{text}{mark}" for text in [*dict.fromkeys(texts)][:MOST])


def _said(clause: Clause, said: Texts, time_first: bool = False) -> list[str]:
    """Subject, time and predicate, in both orders of the first two."""
    time = words.TIMES[clause.time[0]] if clause.time else ""
    texts: list[str] = []
    for predicate in said:
        for subject in subjects(clause.subject):
            both = (f"{subject}{time}{predicate}", f"{time}{subject}{predicate}")
            texts += both[::-1] if time_first else both
    return texts


def _couple(main: Clause, sub: Clause) -> tuple[Texts, str]:
    """Who both clauses are about, and the pronoun for the second of them; the main clause's subject and "" if not one.

    Chinese names someone first, and then takes the pronoun or nothing, whichever clause English puts first.
    """
    if sub.subject == Pronoun("it"):
        return subjects(main.subject), ""
    named = main.subject if isinstance(sub.subject, Pronoun) else sub.subject
    if isinstance(named, NounPhrase) and named.plural and named.noun.en in _WOMEN:
        return subjects(named), "她们"
    pronoun = sub.subject if isinstance(sub.subject, Pronoun) else main.subject
    return subjects(named), subjects(pronoun)[0]


def _weather(clause: Clause, form: int) -> str:
    return words.WEATHER[clause.adjective[0] if clause.adjective else clause.verb.en][form]


def _reason(sub: Clause) -> str:
    """A cause or a concession without its subject: the weather, or how someone is."""
    if sub.subject == Pronoun("it"):
        return _weather(sub, 0 if sub.tense == "past" else 1)
    return being(sub)[0]


def _because(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """A，因为B; 因为B，所以A."""
    (names, pronoun), reason, then = _couple(main, sub), _reason(sub), predicates(main)[0]
    before, after = [], []
    for name in names:
        after.append(f"{name}{then}，因为{pronoun}{reason}")
        before.append(f"因为{name if pronoun else ''}{reason}，所以{pronoun or name}{then}")
    # "Because someone ..." would speak of another one than the clause after it.
    texts = after if main.subject.determiner == "a" else before + after if sub_first else after + before
    return texts


def _although(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """虽然B，但A."""
    (names, pronoun), reason, then = _couple(main, sub), _reason(sub), predicates(main)[0]
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
        for then in predicates(main)[:2]:
            texts += [f"{word}{condition}，{pronoun or name}就{then}" for word in ("如果", "要是")]
    return texts


def _at_that_time(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """B的时候，A."""
    if sub.subject == Pronoun("it"):
        whens: Texts = (_weather(sub, 2),)
    else:
        assert sub.adjective is not None
        whens = tuple(f"{name}{words.FEELING_TIMES[sub.adjective[0]]}" for name in subjects(sub.subject))
    then = _said(main, predicates(main))
    texts = [f"{when}的时候，{text}" for when in whens for text in then]
    return texts if sub.subject == Pronoun("it") else [*texts, f"当{whens[0]}的时候，{then[0]}"]


def _that(main: Clause, sub: Clause, sub_first: bool) -> list[str]:
    """A说B."""
    said = predicates(sub)
    if main.verb.en == "hope" and sub.tense == "past" and sub.verb is not two.BE:  # what is hoped for hasn't happened
        said = tuple(text.removeprefix("会") for text in predicates(sub._replace(tense="future")))
    facts = _said(sub, said)
    return [f"{text}{fact}" for text in _said(main, predicates(main)) for fact in facts]


_COMPOUNDS = {"because": _because, "although": _although, "if": _if, "when": _at_that_time, "that": _that}
