"""Inflected forms of English words: the rules, and the words that follow none. No library, no data to download."""

import re
from functools import lru_cache

# Verbs: base, past, past participle, where the rules don't give them. Forms that are alike are given once.
_VERBS = """
be was were been am is are being; have had has; do did done does; go went gone goes; say said; make made
get got gotten; take took taken; come came; see saw seen; know knew known; give gave given; find found
think thought; tell told; become became; leave left; feel felt; put; bring brought; begin began begun; keep kept
hold held; write wrote written; stand stood; hear heard; let; mean meant; set; meet met; run ran; pay paid
sit sat; speak spoke spoken; lie lay lain lying; lead led; read; grow grew grown; lose lost; fall fell fallen
send sent; build built; understand understood; draw drew drawn; break broke broken; spend spent; cut
rise rose risen; drive drove driven; buy bought; wear wore worn; choose chose chosen; throw threw thrown
catch caught; eat ate eaten; drink drank drunk; sing sang sung; swim swam swum; ride rode ridden; fly flew flown
sleep slept; sell sold; teach taught; fight fought; hit; hurt; shut; win won; hang hung; light lit; shoot shot
show shown; hide hid hidden; blow blew blown; feed fed; shake shook shaken; stick stuck; wake woke woken
ring rang rung; bend bent; dig dug; sweep swept; slide slid; spin spun; swing swung; tear tore torn
bite bit bitten; freeze froze frozen; forget forgot forgotten; lay laid; lend lent; steal stole stolen
sink sank sunk; spread; split; spring sprang sprung; stride strode; strike struck; weave wove woven; bet; burst
cast; cost; quit; shed; shine shone; shear shorn; kneel knelt; leap leapt; lean leant; dive dove; knit; saw sawn
sew sewn; sow sown; mow mown; wind wound; grind ground; bind bound; cling clung; creep crept; deal dealt
flee fled; fling flung; bleed bled; breed bred; seek sought; slay slew slain; sting stung; swear swore sworn
weep wept; wring wrung; speed sped; spit spat; stink stank; beat beaten; bear bore born; awake awoke awoken
forgive forgave forgiven; dream dreamt; burn burnt; learn learnt
"""
_NOUNS = """
man men; woman women; child children; person people; foot feet; tooth teeth; goose geese; mouse mice; ox oxen
leaf leaves; knife knives; wife wives; life lives; half halves; shelf shelves; wolf wolves; loaf loaves
calf calves; scarf scarves; thief thieves; fish; sheep; deer; potato potatoes; tomato tomatoes; hero heroes
echo echoes; die dice; cactus cacti
"""
_IRREGULAR: dict[str, set[str]] = {}
for _line in re.split(r"[;\n]", _VERBS.strip() + "\n" + _NOUNS.strip()):
    _base, *_others = _line.split()
    _IRREGULAR.setdefault(_base, set()).update(_others)
_DOUBLED = re.compile(r"(?:^|[^aeiou])[aeiou][bdglmnprt]$")  # "run" and "plan", not "eat", "show" or "play"


@lru_cache(maxsize=8192)
def inflections(word: str) -> frozenset[str]:
    """The forms of an English word, in lower case: of a noun, a verb or an adjective, whichever it is.

    Rules give more than there is ("eated"): it is for finding a word in a text, not for writing one.

    >>> sorted(inflections("give") & {"give", "gives", "gave", "given", "giving", "gift"})
    ['gave', 'give', 'given', 'gives', 'giving']
    >>> "carried" in inflections("carry"), "running" in inflections("run"), "children" in inflections("child")
    (True, True, True)
    """
    word = word.lower()
    forms = {word} | _IRREGULAR.get(word, set())
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        stem = word[:-1] + "i"
        return frozenset(forms | {f"{stem}es", f"{stem}ed", f"{word}ing", f"{stem}er", f"{stem}est"})
    forms.add(f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s")
    if word.endswith("ie"):
        return frozenset(forms | {f"{word}d", f"{word[:-2]}ying"})
    stems = [word[:-1]] if word.endswith("e") and not word.endswith("ee") else [word]
    if _DOUBLED.search(word):
        stems.append(word + word[-1])
    forms.update(stem + ending for stem in stems for ending in ("ed", "ing", "er", "est"))
    if word.endswith("ee"):
        forms.add(f"{word}d")
    return frozenset(forms)
