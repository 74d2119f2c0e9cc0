"""German inflection: articles, adjective endings, nouns, verbs and contractions.

Cases are "nom", "acc" and "dat"; genders "m", "f", "n", and "p" for every plural. Persons are those of English:
"I", "it" (he, she, it and every singular noun) and "they" (we, they and every plural noun).
"""

# Article endings of words like "der" and "dieser": stem d- or dies- with these.
_DER = {
    "nom": {"m": "er", "f": "ie", "n": "as", "p": "ie"},
    "acc": {"m": "en", "f": "ie", "n": "as", "p": "ie"},
    "dat": {"m": "em", "f": "er", "n": "em", "p": "en"},
}
_DIESER = {
    "nom": {"m": "er", "f": "e", "n": "es", "p": "e"},
    "acc": {"m": "en", "f": "e", "n": "es", "p": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "p": "en"},
}
# Article endings of words like "ein", "kein" and "mein".
_EIN = {
    "nom": {"m": "", "f": "e", "n": "", "p": "e"},
    "acc": {"m": "en", "f": "e", "n": "", "p": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "p": "en"},
}
EIN_WORDS = {"a": "ein", "no": "kein", "my": "mein", "our": "unser", "his": "sein", "her": "ihr", "their": "ihr"}
NUMBERS = {"two": "zwei", "three": "drei", "four": "vier", "many": "viele"}

# Adjective endings after words like "der", after words like "ein", and without either (plural only: "zwei rote Äpfel").
_WEAK = {
    "nom": {"m": "e", "f": "e", "n": "e", "p": "en"},
    "acc": {"m": "en", "f": "e", "n": "e", "p": "en"},
    "dat": {"m": "en", "f": "en", "n": "en", "p": "en"},
}
_MIXED = {
    "nom": {"m": "er", "f": "e", "n": "es", "p": "en"},
    "acc": {"m": "en", "f": "e", "n": "es", "p": "en"},
    "dat": {"m": "en", "f": "en", "n": "en", "p": "en"},
}
_STRONG_PLURAL = {"nom": "e", "acc": "e", "dat": "en"}

_CONTRACTIONS = {
    "in dem": "im", "an dem": "am", "in das": "ins", "an das": "ans", "zu dem": "zum", "zu der": "zur",
    "von dem": "vom", "bei dem": "beim",
}  # fmt: skip

# The verbs that follow no rule, in the present: I, it, they.
_PRESENT = {
    "sein": ("bin", "ist", "sind"), "haben": ("habe", "hat", "haben"), "werden": ("werde", "wird", "werden"),
    "wissen": ("weiß", "weiß", "wissen"), "können": ("kann", "kann", "können"), "müssen": ("muss", "muss", "müssen"),
    "wollen": ("will", "will", "wollen"),
}  # fmt: skip
_PERSONS = ("I", "it", "they")


def article(determiner: str, gender: str, case: str) -> str:
    """The German article or number for an English one.

    >>> article("the", "m", "acc"), article("a", "f", "dat"), article("our", "n", "nom"), article("two", "p", "dat")
    ('den', 'einer', 'unser', 'zwei')
    """
    if determiner == "the":
        return "d" + _DER[case][gender]
    if determiner == "this":
        return "dies" + _DIESER[case][gender]
    if determiner == "many":
        return "viel" + _DIESER[case][gender]
    return NUMBERS.get(determiner) or EIN_WORDS[determiner] + _EIN[case][gender]


def adjective(stem: str, determiner: str, gender: str, case: str) -> str:
    """The adjective with the ending that its determiner leaves to it.

    >>> adjective("alt", "the", "m", "nom"), adjective("alt", "a", "m", "nom"), adjective("rot", "two", "p", "acc")
    ('alte', 'alter', 'rote')
    """
    if determiner in ("the", "this"):
        return stem + _WEAK[case][gender]
    if determiner in NUMBERS:
        return stem + _STRONG_PLURAL[case]
    return stem + _MIXED[case][gender]


def dative_plural(plural: str) -> str:
    """The dative of a plural noun.

    >>> dative_plural("Kinder"), dative_plural("Katzen"), dative_plural("Autos")
    ('Kindern', 'Katzen', 'Autos')
    """
    return plural if plural.endswith(("n", "s")) else plural + "n"


def contracted(preposition: str, phrase: str) -> str:
    """Preposition and noun phrase, fused where German fuses them.

    >>> contracted("in", "dem Garten"), contracted("zu", "der Schule"), contracted("in", "einem Garten")
    ('im Garten', 'zur Schule', 'in einem Garten')
    """
    first, _, rest = phrase.partition(" ")
    return f"{_CONTRACTIONS.get(f'{preposition} {first}', f'{preposition} {first}')} {rest}".rstrip()


def present(infinitive: str, third: str, person: str) -> str:
    """The present of a verb without its prefix, from its infinitive and its form after er.

    >>> [present("laufen", "läuft", person) for person in ("I", "it", "they")]
    ['laufe', 'läuft', 'laufen']
    """
    if infinitive in _PRESENT:
        return _PRESENT[infinitive][_PERSONS.index(person)]
    if person == "it":
        return third
    return infinitive if person == "they" else infinitive[: -2 if infinitive.endswith("en") else -1] + "e"


def preterite(third: str, person: str) -> str:
    """The preterite of a verb without its prefix, from its form after er.

    >>> preterite("kaufte", "they"), preterite("sah", "they"), preterite("sah", "I")
    ('kauften', 'sahen', 'sah')
    """
    if person != "they":
        return third
    return third + ("n" if third.endswith("e") else "en")
