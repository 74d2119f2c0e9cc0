"""Phrases of the translation grammar in Chinese: who, what, where and where to."""

from functools import lru_cache

from textgym.world import bilingual as two
from textgym.world import chinese_words as words
from textgym.world.chinese_words import Noun
from textgym.world.syntax import Name, NounPhrase, Phrase, Prepositional, Pronoun

Texts = tuple[str, ...]

KINDS = {noun.en: kind for kind, nouns in two.NOUNS.items() if kind != "dish" for noun in nouns}
_FAMILY = ("sister", "brother", "mother", "father", "grandmother")
_BARE = ("doctor", "teacher")  # "the doctor" is 医生 as well where something is done to him
_NUMBERS = {"two": "两", "three": "三"}


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
        of_kind = words.KIND_ATTRIBUTES.get(KINDS[english], {})
        attribute = of_kind.get(adjective, words.ATTRIBUTES[adjective])
        attribute = words.NOUN_ATTRIBUTES.get((adjective, english), attribute)
    return noun._replace(zh=attribute + noun.zh)


def _owned(owner: str, phrase: NounPhrase) -> str:
    """Something of someone's: 我妈妈, 我聪明的姐姐, 我的狗."""
    (noun, measure, *_), several = _noun(phrase), "们" if phrase.plural and _is_person(phrase) else ""
    if "很" in noun:  # 我那把很重的椅子
        return f"{owner}那{measure}{noun}"
    described = phrase.adjective and "的" in noun
    if described or (owner == "我" and phrase.noun.en in _FAMILY and not phrase.adjective and not phrase.plural):
        return f"{owner}{noun}{several}"
    return f"{owner}的{noun}{several}"


def _is_person(phrase: NounPhrase) -> bool:
    return KINDS[phrase.noun.en] in ("person", "kin")


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
        return (f"{_NUMBERS[phrase.determiner]}{noun.measure}{noun.zh}",)
    return (_owned(words.PRONOUNS["I" if phrase.determiner == "my" else "we"], phrase),)


@lru_cache(maxsize=2**14)
def subjects(phrase: Phrase) -> Texts:
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


@lru_cache(maxsize=2**14)
def objects(phrase: Phrase) -> Texts:
    """What something is done to."""
    if not isinstance(phrase, NounPhrase):
        return subjects(phrase)
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
    return subjects(phrase)


def _place(phrase: NounPhrase) -> str:
    """A place, which goes without 那 unless an adjective tells it from others."""
    noun = _noun(phrase)
    if not phrase.adjective:
        return words.BARE_PLACES.get(phrase.noun.en, noun.zh)
    return f"{'一' if phrase.determiner == 'a' else '那'}{noun.measure}{noun.zh}"


def where(place: Prepositional) -> str:
    """在 and a place: 在花园里, 在桥上, 在学校."""
    phrase = place.phrase
    assert isinstance(phrase, NounPhrase)
    which = place.preposition[0], phrase.noun.en
    if not phrase.adjective and which in words.BARE_WHERE:
        return f"在{words.BARE_WHERE[which]}"
    return f"在{_place(phrase)}{words.AFTER_PLACES.get(which, '里')}"


def goal(place: Prepositional) -> str:
    """Where someone goes or arrives: 花园, 河边, 城里."""
    phrase = place.phrase
    assert isinstance(phrase, NounPhrase)
    noun = words.NOUNS[phrase.noun.en].zh
    if place.preposition[0] not in ("to", "at", "in") or phrase.noun.en not in words.GOALS:
        return _place(phrase) if phrase.adjective else noun
    described, bare = words.GOALS[phrase.noun.en]
    return described.format(_place(phrase)) if phrase.adjective else bare
