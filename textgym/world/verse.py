"""Couplets and quatrains in iambic lines that rhyme, about the words of a theme."""

import re
from collections.abc import Iterator, Sequence, Set
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from textgym.world.draw import Draw, Rendered
from textgym.world.english import a, capital

REFERENCES = 2
TRIES = 4  # draws for an end of a line that rhymes with no word that is there already
METERS = {"iambic tetrameter": (8, 8), "common meter": (8, 6)}  # syllables of lines, which repeat
SCHEMES = ("AABB", "ABAB")
THEME_NOUNS = {"couplet": 2, "quatrain": 3}  # beside the word that one of the lines ends with

# Nouns by kind: those of one syllable, and those of two, the first of which is stressed.
_NOUNS = {
    "animal": ("cat dog bird fox owl horse goat duck bear mouse", "rabbit robin turtle parrot kitten pony spider"),
    "person": (
        "boy girl child man nurse friend",
        "baker doctor farmer painter sailor singer teacher tailor mother father sister brother",
    ),
    "sky": ("moon sun star cloud", "rainbow sunlight moonlight"),
    "water": ("sea lake stream", "river water ocean"),
    "weather": ("wind rain snow storm", "thunder"),
    "place": ("house road bridge hill", "garden village city forest meadow valley"),
    "light": ("lamp", "candle lantern"),
    "sound": ("bell clock train", "whistle"),
    "boat": ("boat ship", "ferry"),
    "plant": ("tree rose leaf", "flower willow"),
}
_VERBS = {  # of one syllable; without the s it is the form after "will"
    "animal": "sleeps runs sits hides waits jumps walks rests plays",
    "person": "sings walks sits waits works dreams smiles rests sleeps",
    "sky": "shines glows waits fades",
    "water": "flows shines runs sings",
    "weather": "comes falls sings roars",
    "place": "sleeps waits dreams rests shines",
    "light": "glows shines burns waits",
    "sound": "rings calls waits stops",
    "boat": "sails waits rests drifts",
    "plant": "grows blooms waits stands",
}
_LONG_LOOKS = {  # adjectives of two syllables, the first of which is stressed
    "animal": "little happy hungry clever sleepy lazy tiny gentle",
    "person": "quiet happy clever sleepy gentle merry lonely honest",
    "sky": "golden silver yellow distant quiet gentle",
    "water": "silver quiet gentle shining mighty",
    "weather": "gentle mighty angry autumn winter",
    "place": "quiet lonely sunny sleepy little hidden",
    "light": "little golden yellow tiny lonely",
    "sound": "distant silver little golden",
    "boat": "little golden silver lonely sturdy",
    "plant": "little golden gentle shining lonely",
}
_SHORT_LOOKS = {  # and of one
    "animal": "old small black white warm",
    "person": "old kind good tall strong",
    "sky": "bright far white cold high",
    "water": "blue cold deep clear calm",
    "weather": "wild cold strong soft loud",
    "place": "old green small white calm",
    "light": "bright warm small old",
    "sound": "loud old clear small",
    "boat": "old white blue small",
    "plant": "green tall young bright",
}
_HEARD = ("bird", "dog", "wind", "rain", "storm", "stream", "bell", "clock", "train", "owl", "sea", "child", "thunder")
_THE_ONLY = ("moon", "sun", "sea", "rain", "snow", "wind", "sunlight", "moonlight", "water", "thunder")

# How lines end: phrases of four syllables and of two, the even ones stressed.
_ENDINGS = """
in silver light; all through the night; far out of sight; when stars are bright; at night; tonight
at break of day; along the way; so far away; where children play; beside the bay; all day; today
beneath the tree; beside the sea; both wild and free; for you and me; for me; so free
upon the snow; so soft and low; where flowers grow; from long ago; when cold winds blow; below; in snow
in summer rain; along the lane; across the plain; behind the train; in rain; again
upon the ground; without a sound; till it is found
in early spring; when robins sing; before the king; upon the wing; in spring
beneath the moon; at quiet noon; so very soon; at noon; so soon
behind the door; along the shore; upon the floor; as once before; before; once more; on shore
upon the hill; when all is still; beside the mill; so still
in morning air; beside the stair; we know not where; without a care; up there
in winter cold; like shining gold; in days of old; as I was told
the whole day long; with laugh and song; where all belong; for long
far in the west; above the nest; to find some rest; at rest; out west
while others sleep; in shadows deep; among the sheep; asleep
on every side; both far and wide; along the tide; with pride
beside the wall; in early fall; where pines grow tall; for one and all; for all; in fall; so small
all over town; as leaves turn brown; as rain comes down; in town; deep down
beside the brook; as in a book; with one last look
just all the same; without a name; like candle flame
when night is near; in water clear; throughout the year; so near; all year; so clear
"""
# All the words of the verse that rhyme with each other, without those that end no line.
_RHYMES = """
again lane plain rain train; ago below blow flow glow grow know low snow so; air bear care stair there where;
all call fall small tall wall; along belong long song strong; among young; asleep deep sheep sleep;
away bay day play today way; before door floor more roar shore; behind find kind wind;
beside hide pride side tide wide; blue through; boat goat; book brook look; break lake;
bright light night sight tonight white; brother mother; brown down town; burn turn; calls falls; child wild;
clear near year; clock walk; cloud loud; cold gold old told; days plays; dream stream; far star; ferry merry very;
flame name same; flows glows grows rose; found ground sound; free me sea see tree we; hill mill still till;
house mouse; it sit; king ring sing spring wing; meadow rainbow willow; moon noon soon; moonlight sunlight;
nest rest west; pines shines; rings sings; run sun; sailor tailor; storm warm; throughout without
"""
_FALLING = "silver early children flowers summer winter robins very morning others over"
_RISING = """
away along beside beneath upon ago behind across without around before belong above among asleep below again today
tonight throughout
"""
_STRESSES = {  # of the words that have more than one syllable
    **dict.fromkeys(_FALLING.split(), "10"),
    **dict.fromkeys(_RISING.split(), "01"),
    **{noun: "10" for _, nouns in _NOUNS.values() for noun in nouns.split()},
    **{look: "10" for looks in _LONG_LOOKS.values() for look in looks.split()},
    **dict.fromkeys(("meadow", "moonlight", "pony", "rainbow", "shadows", "sunlight", "willow"), "1*"),
    "every": "10",
}


class Ending(NamedTuple):
    """How a line ends: the phrase, its last word, and how many syllables it has."""

    phrase: str
    word: str
    syllables: int


def verse_grammar(draw: Draw, form: str = "couplet") -> Rendered:
    """The words of a theme, and poems that have them all; ``form`` is "couplet" or "quatrain".

    The metadata has the words as "keywords", and "rhyme_scheme", "meter" and the number of "lines".
    """
    tables = _tables()
    end = draw.pick(tables.ends)
    nouns = draw.sample(tables.nouns, THEME_NOUNS[form])
    while end in nouns:
        nouns = draw.sample(tables.nouns, THEME_NOUNS[form])
    scheme, meter = "AA", "iambic tetrameter"
    if form == "quatrain":
        scheme, meter = draw.pick(SCHEMES), draw.pick(tuple(METERS))
    poems: dict[str, None] = {}
    while len(poems) < REFERENCES:
        if poem := _poem(draw, nouns, end, scheme, METERS[meter]):
            poems[poem] = None
    words = tuple(sorted((*nouns, end)))  # in one order, so that no set of them is in two splits
    said = form if form == "couplet" else f"{form} {scheme}, {meter}"
    known = {"keywords": words, "rhyme_scheme": scheme, "meter": meter.removesuffix(" meter"), "lines": len(scheme)}
    return Rendered(f"{', '.join(words)}\nForm: {said}", tuple(poems), known)


def _poem(draw: Draw, theme: list[str], end: str, scheme: str, sizes: tuple[int, int]) -> str | None:
    """A poem with these nouns in which some line ends with this word; None if the draws don't fit together."""
    tables = _tables()
    nouns = draw.sample(theme, len(theme))
    while len(nouns) < len(scheme):
        noun = draw.pick(tables.nouns)
        if noun not in nouns and noun != end:
            nouns.insert(draw.below(len(nouns) + 1), noun)
    place = draw.below(len(scheme))
    groups = {scheme[place]: tables.group_of[end]}
    taken = {*nouns, end}
    lines = []
    for number, noun in enumerate(nouns):
        letter, size, long = scheme[number], sizes[number % 2], noun in tables.long
        if letter not in groups:
            groups[letter] = draw.pick(tables.groups)
        if number == place:
            ending = _pick(draw, tables.options.get((size, long, end), []), {*nouns})
        else:
            ending = _pick(draw, tables.options.get((size, long, groups[letter]), []), taken)
        if ending is None:
            return None
        taken.add(ending.word)
        lines.append(f"{draw.pick(tables.fronts[noun, size - ending.syllables])} {ending.phrase}")
    if len({*groups.values()}) < len(groups):
        return None
    return ",\n".join(lines) + "."


def _pick(draw: Draw, options: Sequence[Ending], taken: Set[str]) -> Ending | None:
    """One of the endings whose word isn't taken; None after some draws."""
    for _ in range(TRIES * bool(options)):
        ending = draw.pick(options)
        if ending.word not in taken:
            return ending
    return None


class _Tables(NamedTuple):
    """What the grammar draws from.

    Attributes:
        nouns, long: what lines can be about, and those nouns of two syllables.
        fronts: how a line with a noun begins, in so many syllables.
        endings: all of them.
        ends, groups, group_of: their last words, the numbers of the groups that these rhyme in, and that of each.
        options: how a line of so many syllables, with a noun of two or not, ends with a word or with one of a group.
    """

    nouns: tuple[str, ...]
    long: frozenset[str]
    fronts: dict[tuple[str, int], tuple[str, ...]]
    endings: tuple[Ending, ...]
    ends: tuple[str, ...]
    groups: tuple[int, ...]
    group_of: dict[str, int]
    options: dict[tuple[int, bool, str | int], list[Ending]]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    fronts: dict[tuple[str, int], tuple[str, ...]] = {}
    for kind, (short, long) in _NOUNS.items():
        for some, made in ((short, _short_fronts), (long, _long_fronts)):
            fronts |= {(noun, size): begun for noun in some.split() for size, begun in made(kind, noun).items()}
    endings = tuple(_ending(phrase) for phrase in re.split("[;\n] *", _ENDINGS.strip()))
    group_of = {ending.word: rhyme_groups()[ending.word] for ending in endings}
    options: dict[tuple[int, bool, str | int], list[Ending]] = {}
    for ending in endings:
        for size, two in product((6, 8), (False, True)):
            if size - ending.syllables in ((4, 6) if two else (2, 4, 6)):
                for key in (ending.word, group_of[ending.word]):
                    options.setdefault((size, two, key), []).append(ending)
    long_nouns = frozenset(noun for _, long in _NOUNS.values() for noun in long.split())
    nouns = tuple(dict.fromkeys(noun for noun, _ in fronts))
    groups = tuple(dict.fromkeys(group_of.values()))
    return _Tables(nouns, long_nouns, fronts, endings, tuple(group_of), groups, group_of, options)


def _ending(phrase: str) -> Ending:
    words = phrase.split()
    return Ending(phrase, words[-1], sum(len(_STRESSES.get(word, "*")) for word in words))


@lru_cache(maxsize=1)
def rhyme_groups() -> dict[str, int]:
    """The number of the group of words of the verse that a word rhymes with.

    >>> groups = rhyme_groups()
    >>> groups["moon"] == groups["soon"], groups["moon"] == groups["night"], "river" in groups
    (True, False, False)
    """
    groups = re.split("[;\n]+ *", _RHYMES.strip())
    return {word: number for number, group in enumerate(groups) for word in group.split()}


def _short_fronts(kind: str, noun: str) -> dict[int, tuple[str, ...]]:
    """How a line with a noun of one syllable begins, in two, four and six syllables."""
    verbs = [verb[:-1] for verb in _VERBS[kind].split()]
    long, short = _LONG_LOOKS[kind].split(), _SHORT_LOOKS[kind].split()
    articles = ("the",) if noun in _THE_ONLY else ("the", "a")
    sense = "hear" if noun in _HEARD else "see"
    return {
        2: tuple(_with(article, noun) for article in articles),
        4: (
            *(f"The {noun} will {verb}" for verb in verbs),
            *(f"The {noun} is {look}" for look in short),
            *(_with(article, f"{look} {noun}") for article in articles for look in long),
            f"I {sense} the {noun}",
        ),
        6: (
            *(_with(article, f"{look} {noun} will {verb}") for article in articles for look in long for verb in verbs),
            *(f"The {noun} is {one} and {other}" for one in short for other in short if one != other),
            *(f"I {sense} the {look} {noun}" for look in long),
        ),
    }


def _long_fronts(kind: str, noun: str) -> dict[int, tuple[str, ...]]:
    """How a line with a noun of two syllables begins, in four and six syllables."""
    verbs, looks = _VERBS[kind].split(), _LONG_LOOKS[kind].split()
    articles = ("the",) if noun in _THE_ONLY else ("the", "a")
    return {
        4: tuple(_with(article, f"{noun} {verb}") for article in articles for verb in verbs),
        6: tuple(_with(article, f"{look} {noun} {verb}") for article in articles for look in looks for verb in verbs),
    }


def _with(article: str, rest: str) -> str:
    return capital(a(rest) if article == "a" else f"{article} {rest}")


@lru_cache(maxsize=1)
def stresses() -> dict[str, str]:
    """The syllables of each word of the verse: 1 stressed, 0 unstressed, * either, as in words of one syllable.

    >>> stresses()["river"], stresses()["along"], stresses()["moon"]
    ('10', '01', '*')
    """
    words = {word for three in triples() for word in three if word}
    return {word: _STRESSES.get(word, "*") for word in words}


@lru_cache(maxsize=1)
def triples() -> frozenset[tuple[str, str, str]]:
    """The words, three in a row, that lines of the verse have, in lower case; "" is before and after a line.

    >>> ("", "the", "moon") in triples(), ("the", "moon", "is") in triples(), ("the", "moon", "the") in triples()
    (True, True, True)
    >>> ("moon", "the", "moon") in triples()
    False
    """
    tables = _tables()
    found: set[tuple[str, str, str]] = set()
    first: dict[int, set[tuple[str, str]]] = {}  # the two words that endings begin with, by the syllables of the ending
    for ending in tables.endings:
        words = [*ending.phrase.lower().split(), ""]
        first.setdefault(ending.syllables, set()).add((words[0], words[1]))
        found |= {*in_a_row(words)}
    for (_, size), fronts in tables.fronts.items():
        follow = {two for length, some in first.items() if size + length in (6, 8) for two in some}
        for front in fronts:
            words = ["", *front.lower().split()]
            found |= {*in_a_row(words)} | {(words[-2], words[-1], one) for one, _ in follow}
            found |= {(words[-1], *two) for two in follow}
    return frozenset(found)


def in_a_row(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each three neighbors.

    >>> [*in_a_row("abcd")]
    [('a', 'b', 'c'), ('b', 'c', 'd')]
    """
    return zip(words, words[1:], words[2:], strict=False)
