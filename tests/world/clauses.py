"""Short ways to write sentences of the translation grammar."""

from textgym.world import bilingual as two
from textgym.world.syntax import Clause, Name, NounPhrase, Prepositional, Pronoun

VERB = {verb.en: verb for verb in (*two.TRANSITIVE, *two.RESTING, two.GO, two.RUN, two.DRIVE, two.ARRIVE)}
GIVE, KNOW_THAT = two.GIVING[0], two.SAYING[0]
ADJECTIVE = {pair[0]: pair for pairs in two.ADJECTIVES.values() for pair in pairs} | {"tall": ("tall", "groß")}


def np(noun, determiner="the", adjective="", plural=False):
    return NounPhrase(two.NOUN[noun], determiner, ADJECTIVE[adjective] if adjective else None, plural)


def place(english, preposition, noun, case="dat", determiner="the", adjective=""):
    return Prepositional((english, preposition), case, np(noun, determiner, adjective))


def clause(subject, verb, thing=None, receiver=None, **more):
    subject = Pronoun(subject) if subject in two.PRONOUNS else Name(subject) if isinstance(subject, str) else subject
    return Clause(subject, VERB[verb] if isinstance(verb, str) else verb, thing, receiver, **more)


def be(subject, adjective, **more):
    return clause(subject, two.BE, adjective=ADJECTIVE[adjective], **more)


YESTERDAY, TODAY, TOMORROW = ("yesterday", "gestern"), ("today", "heute"), ("tomorrow", "morgen")
