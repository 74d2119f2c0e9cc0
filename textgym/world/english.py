"""English agreement: articles, capital letters, lists and verb forms."""

from collections.abc import Sequence

# Written with a vowel but spoken without one, and the other way round.
_CONSONANT_SOUND = ("used", "uni", "one", "euro")
_VOWEL_SOUND = ("hour", "honest", "8", "11", "18")
_ING = {"sit": "sitting", "run": "running", "put": "putting", "get": "getting", "swim": "swimming"}


def a(phrase: str) -> str:
    """The phrase with its indefinite article.

    >>> a("old lamp"), a("used bag"), a("34-year-old baker"), a("80-year-old baker")
    ('an old lamp', 'a used bag', 'a 34-year-old baker', 'an 80-year-old baker')
    """
    vowel = phrase[0].lower() in "aeiou" and not phrase.lower().startswith(_CONSONANT_SOUND)
    return f"{'an' if vowel or phrase.startswith(_VOWEL_SOUND) else 'a'} {phrase}"


def capital(text: str) -> str:
    """The text with a capital first letter.

    >>> capital("the dog sleeps.")
    'The dog sleeps.'
    """
    return text[:1].upper() + text[1:]


def spaced(*parts: str) -> str:
    """The parts that aren't empty, joined by spaces."""
    return " ".join(filter(None, parts))


def prose(*parts: str) -> str:
    """The parts that aren't empty as the end of a sentence.

    >>> prose("The Red Fox is a pub", "", "by the river")
    'The Red Fox is a pub by the river.'
    """
    return f"{spaced(*parts)}."


def listed(parts: Sequence[str]) -> str:
    """The parts as a list in prose.

    >>> listed(["a cat"]), listed(["a cat", "a dog"]), listed(["a cat", "a dog", "an owl"])
    ('a cat', 'a cat and a dog', 'a cat, a dog and an owl')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def third_person(verb: str) -> str:
    """The form after he, she or it. A particle stays as it is.

    >>> third_person("pick up"), third_person("wash"), third_person("carry"), third_person("play")
    ('picks up', 'washes', 'carries', 'plays')
    """
    first, space, rest = verb.partition(" ")
    if first == "have":
        first = "has"
    elif first.endswith(("s", "sh", "ch", "x", "o")):
        first += "es"
    elif first.endswith("y") and first[-2] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "s"
    return first + space + rest


def progressive(verb: str) -> str:
    """The form in -ing.

    >>> progressive("get up"), progressive("write"), progressive("see"), progressive("sing")
    ('getting up', 'writing', 'seeing', 'singing')
    """
    first, space, rest = verb.partition(" ")
    if first in _ING:
        first = _ING[first]
    elif first.endswith("e") and not first.endswith("ee"):
        first = first[:-1] + "ing"
    else:
        first += "ing"
    return first + space + rest
