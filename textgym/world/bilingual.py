"""The English and German words of the translation grammar, checked by hand, one line a word."""

from typing import NamedTuple

Pair = tuple[str, str]  # English, German


class Noun(NamedTuple):
    """A noun in both languages. ``oblique`` is the German accusative and dative where they aren't the nominative."""

    en: str
    en_plural: str
    gender: str
    de: str
    de_plural: str
    oblique: str = ""


class Verb(NamedTuple):
    """A verb in both languages. The German infinitive shows a separable prefix by a bar: ``an|rufen``."""

    en: str
    past: str
    de: str
    third: str  # er ..., without the prefix
    preterite: str  # er ..., without the prefix
    participle: str
    objects: tuple[str, ...] = ()  # kinds of nouns
    case: str = "acc"
    auxiliary: str = "haben"
    state: bool = False  # never in the English progressive: "knows", not "is knowing"


NOUNS: dict[str, tuple[Noun, ...]] = {
    "person": (
        Noun("man", "men", "m", "Mann", "Männer"),
        Noun("woman", "women", "f", "Frau", "Frauen"),
        Noun("child", "children", "n", "Kind", "Kinder"),
        Noun("boy", "boys", "m", "Junge", "Jungen", "Jungen"),
        Noun("girl", "girls", "n", "Mädchen", "Mädchen"),
        Noun("teacher", "teachers", "m", "Lehrer", "Lehrer"),
        Noun("doctor", "doctors", "m", "Arzt", "Ärzte"),
        Noun("farmer", "farmers", "m", "Bauer", "Bauern", "Bauern"),
        Noun("guest", "guests", "m", "Gast", "Gäste"),
        Noun("king", "kings", "m", "König", "Könige"),
        Noun("queen", "queens", "f", "Königin", "Königinnen"),
    ),
    "kin": (
        Noun("neighbour", "neighbours", "m", "Nachbar", "Nachbarn", "Nachbarn"),
        Noun("friend", "friends", "m", "Freund", "Freunde"),
        Noun("sister", "sisters", "f", "Schwester", "Schwestern"),
        Noun("brother", "brothers", "m", "Bruder", "Brüder"),
        Noun("mother", "mothers", "f", "Mutter", "Mütter"),
        Noun("father", "fathers", "m", "Vater", "Väter"),
        Noun("grandmother", "grandmothers", "f", "Großmutter", "Großmütter"),
    ),
    "animal": (
        Noun("dog", "dogs", "m", "Hund", "Hunde"),
        Noun("cat", "cats", "f", "Katze", "Katzen"),
        Noun("horse", "horses", "n", "Pferd", "Pferde"),
        Noun("bird", "birds", "m", "Vogel", "Vögel"),
        Noun("cow", "cows", "f", "Kuh", "Kühe"),
        Noun("duck", "ducks", "f", "Ente", "Enten"),
        Noun("rabbit", "rabbits", "n", "Kaninchen", "Kaninchen"),
        Noun("bear", "bears", "m", "Bär", "Bären", "Bären"),
    ),
    "tool": (
        Noun("lamp", "lamps", "f", "Lampe", "Lampen"),
        Noun("chair", "chairs", "m", "Stuhl", "Stühle"),
        Noun("bag", "bags", "f", "Tasche", "Taschen"),
        Noun("clock", "clocks", "f", "Uhr", "Uhren"),
        Noun("umbrella", "umbrellas", "m", "Regenschirm", "Regenschirme"),
        Noun("ring", "rings", "m", "Ring", "Ringe"),
    ),
    "thing": (
        Noun("key", "keys", "m", "Schlüssel", "Schlüssel"),
        Noun("ball", "balls", "m", "Ball", "Bälle"),
        Noun("flower", "flowers", "f", "Blume", "Blumen"),
        Noun("cup", "cups", "f", "Tasse", "Tassen"),
        Noun("picture", "pictures", "n", "Bild", "Bilder"),
    ),
    "vehicle": (
        Noun("bike", "bikes", "n", "Fahrrad", "Fahrräder"),
        Noun("boat", "boats", "n", "Boot", "Boote"),
        Noun("car", "cars", "n", "Auto", "Autos"),
    ),
    "text": (
        Noun("book", "books", "n", "Buch", "Bücher"),
        Noun("letter", "letters", "m", "Brief", "Briefe"),
        Noun("newspaper", "newspapers", "f", "Zeitung", "Zeitungen"),
        Noun("poem", "poems", "n", "Gedicht", "Gedichte"),
        Noun("story", "stories", "f", "Geschichte", "Geschichten"),
    ),
    "clothes": (
        Noun("coat", "coats", "m", "Mantel", "Mäntel"),
        Noun("hat", "hats", "m", "Hut", "Hüte"),
        Noun("shirt", "shirts", "n", "Hemd", "Hemden"),
        Noun("jacket", "jackets", "f", "Jacke", "Jacken"),
        Noun("dress", "dresses", "n", "Kleid", "Kleider"),
    ),
    "food": (
        Noun("apple", "apples", "m", "Apfel", "Äpfel"),
        Noun("egg", "eggs", "n", "Ei", "Eier"),
        Noun("fish", "fish", "m", "Fisch", "Fische"),
        Noun("soup", "soups", "f", "Suppe", "Suppen"),
        Noun("cake", "cakes", "m", "Kuchen", "Kuchen"),
        Noun("pear", "pears", "f", "Birne", "Birnen"),
        Noun("potato", "potatoes", "f", "Kartoffel", "Kartoffeln"),
    ),
    "opening": (
        Noun("door", "doors", "f", "Tür", "Türen"),
        Noun("window", "windows", "n", "Fenster", "Fenster"),
        Noun("box", "boxes", "f", "Kiste", "Kisten"),
    ),
    "room": (
        Noun("kitchen", "kitchens", "f", "Küche", "Küchen"),
        Noun("room", "rooms", "n", "Zimmer", "Zimmer"),
        Noun("cellar", "cellars", "m", "Keller", "Keller"),
    ),
    "place": (
        Noun("garden", "gardens", "m", "Garten", "Gärten"),
        Noun("house", "houses", "n", "Haus", "Häuser"),
        Noun("school", "schools", "f", "Schule", "Schulen"),
        Noun("forest", "forests", "m", "Wald", "Wälder"),
        Noun("park", "parks", "m", "Park", "Parks"),
        Noun("market", "markets", "m", "Markt", "Märkte"),
        Noun("station", "stations", "m", "Bahnhof", "Bahnhöfe"),
        Noun("bridge", "bridges", "f", "Brücke", "Brücken"),
        Noun("library", "libraries", "f", "Bibliothek", "Bibliotheken"),
        Noun("museum", "museums", "n", "Museum", "Museen"),
        Noun("river", "rivers", "m", "Fluss", "Flüsse"),
        Noun("lake", "lakes", "m", "See", "Seen"),
        Noun("village", "villages", "n", "Dorf", "Dörfer"),
        Noun("town", "towns", "f", "Stadt", "Städte"),
        Noun("beach", "beaches", "m", "Strand", "Strände"),
        Noun("church", "churches", "f", "Kirche", "Kirchen"),
        Noun("tree", "trees", "m", "Baum", "Bäume"),
        Noun("table", "tables", "m", "Tisch", "Tische"),
        Noun("street", "streets", "f", "Straße", "Straßen"),
    ),
}
NOUNS["dish"] = tuple(noun for noun in NOUNS["food"] if noun.en in ("egg", "fish", "soup", "potato"))
NOUN = {noun.en: noun for nouns in NOUNS.values() for noun in nouns}
YOUNG = ("child", "boy", "girl")  # never "old"

# Where something happens: English preposition, German preposition with the dative, noun.
LOCATIONS: tuple[tuple[str, str, str], ...] = (
    ("in", "in", "garden"), ("in", "in", "house"), ("in", "in", "kitchen"), ("at", "in", "school"),
    ("in", "in", "forest"), ("in", "in", "park"), ("at", "auf", "market"), ("at", "an", "station"),
    ("on", "auf", "bridge"), ("in", "in", "library"), ("in", "in", "museum"), ("by", "an", "river"),
    ("by", "an", "lake"), ("in", "in", "village"), ("in", "in", "town"), ("on", "an", "beach"),
    ("in", "in", "church"), ("on", "auf", "street"), ("in", "in", "room"), ("in", "in", "cellar"),
)  # fmt: skip
# The same, where one rather waits, sits, sleeps or plays.
CORNERS: tuple[tuple[str, str, str], ...] = (
    ("behind", "hinter", "house"), ("in front of", "vor", "house"), ("under", "unter", "bridge"),
    ("next to", "neben", "church"), ("under", "unter", "tree"), ("under", "unter", "table"),
    ("in front of", "vor", "door"), ("at", "an", "window"), ("behind", "hinter", "tree"),
)  # fmt: skip
ARRIVALS: tuple[tuple[str, str, str], ...] = (
    ("at", "an", "station"), ("at", "an", "lake"), ("at", "in", "school"), ("in", "in", "village"),
    ("in", "in", "town"), ("at", "in", "museum"), ("at", "an", "beach"), ("at", "auf", "market"),
)  # fmt: skip

# Where someone goes: English preposition, German preposition, its case, noun.
DIRECTIONS: tuple[tuple[str, str, str, str], ...] = (
    ("into", "in", "acc", "garden"), ("into", "in", "acc", "house"), ("into", "in", "acc", "kitchen"),
    ("to", "zu", "dat", "school"), ("into", "in", "acc", "forest"), ("to", "in", "acc", "park"),
    ("to", "zu", "dat", "market"), ("to", "zu", "dat", "station"), ("over", "über", "acc", "bridge"),
    ("to", "in", "acc", "library"), ("to", "in", "acc", "museum"), ("to", "zu", "dat", "river"),
    ("to", "zu", "dat", "lake"), ("to", "in", "acc", "village"), ("to", "in", "acc", "town"),
    ("to", "zu", "dat", "beach"), ("to", "zu", "dat", "church"), ("through", "durch", "acc", "forest"),
    ("through", "durch", "acc", "town"), ("into", "in", "acc", "room"), ("into", "in", "acc", "cellar"),
)  # fmt: skip
# Where one can drive.
ROADS = tuple(
    way for way in DIRECTIONS if way[3] in ("school", "market", "station", "bridge", "lake", "village", "town")
)

# Adjectives: English, and the German form that endings are added to.
_SIZE = (("small", "klein"), ("old", "alt"))
_COLOR = (("red", "rot"), ("green", "grün"), ("blue", "blau"), ("white", "weiß"), ("black", "schwarz"))
ADJECTIVES: dict[str, tuple[Pair, ...]] = {
    "person": (
        *_SIZE, ("young", "jung"), ("tall", "groß"), ("clever", "klug"), ("friendly", "freundlich"), ("tired", "müd"),
        ("happy", "glücklich"), ("sad", "traurig"), ("famous", "berühmt"), ("rich", "reich"), ("strong", "stark"),
        ("quiet", "ruhig"), ("hungry", "hungrig"), ("ill", "krank"),
    ),
    "animal": (
        *_SIZE, *_COLOR[3:], ("young", "jung"), ("big", "groß"), ("brown", "braun"), ("clever", "klug"),
        ("hungry", "hungrig"), ("tired", "müd"), ("strong", "stark"),
    ),
    "thing": (
        *_SIZE, *_COLOR, ("big", "groß"), ("new", "neu"), ("beautiful", "schön"), ("cheap", "billig"),
        ("expensive", "teur"), ("heavy", "schwer"),
    ),
    "text": (
        *_SIZE, ("new", "neu"), ("long", "lang"), ("short", "kurz"), ("beautiful", "schön"), ("famous", "berühmt"),
    ),
    "clothes": (*_SIZE, *_COLOR, ("warm", "warm"), ("new", "neu"), ("wet", "nass"), ("expensive", "teur")),
    "food": (
        ("small", "klein"), ("big", "groß"), ("fresh", "frisch"), ("good", "gut"), ("warm", "warm"), ("cold", "kalt"),
    ),
    "opening": (*_SIZE, *_COLOR, ("heavy", "schwer"), ("big", "groß")),
    "room": (*_SIZE, ("big", "groß"), ("dark", "dunkl"), ("cold", "kalt"), ("warm", "warm")),
    "place": (*_SIZE, ("big", "groß"), ("beautiful", "schön")),
}  # fmt: skip
ADJECTIVES |= {"kin": ADJECTIVES["person"], "dish": ADJECTIVES["food"]}
ADJECTIVES |= {"tool": ADJECTIVES["thing"], "vehicle": ADJECTIVES["thing"]}
FEELINGS: tuple[Pair, ...] = (
    ("tired", "müd"),
    ("happy", "glücklich"),
    ("sad", "traurig"),
    ("hungry", "hungrig"),
    ("ill", "krank"),
)
# What a sentence says of its subject isn't one of these, so that it never contradicts an adjective, which is.
LASTING = ("old", "young", "small", "big", "tall", "new")
# What only some places are.
PLACE_ADJECTIVES: dict[str, tuple[Pair, ...]] = {
    **dict.fromkeys(("garden", "park", "beach", "village", "street"), (*ADJECTIVES["place"], ("quiet", "ruhig"))),
    **dict.fromkeys(
        ("house", "school", "station", "bridge", "library", "museum", "church"), (*ADJECTIVES["place"], ("new", "neu"))
    ),
}
# Stems that lose or lack an e: how they look without an ending.
PREDICATES = {"müd": "müde", "teur": "teuer", "dunkl": "dunkel"}

_ANY = ("tool", "thing", "vehicle", "text", "clothes")
TRANSITIVE = (
    Verb("see", "saw", "sehen", "sieht", "sah", "gesehen", ("person", "animal", *_ANY), state=True),
    Verb("know", "knew", "kennen", "kennt", "kannte", "gekannt", ("person",), state=True),
    Verb("love", "loved", "lieben", "liebt", "liebte", "geliebt", ("person", "animal"), state=True),
    Verb("hear", "heard", "hören", "hört", "hörte", "gehört", ("person", "animal"), state=True),
    Verb("find", "found", "finden", "findet", "fand", "gefunden", ("animal", *_ANY), state=True),
    Verb("look for", "looked for", "suchen", "sucht", "suchte", "gesucht", ("person", "animal", *_ANY)),
    Verb("visit", "visited", "besuchen", "besucht", "besuchte", "besucht", ("person",)),
    Verb("buy", "bought", "kaufen", "kauft", "kaufte", "gekauft", (*_ANY, "food", "animal")),
    Verb("sell", "sold", "verkaufen", "verkauft", "verkaufte", "verkauft", (*_ANY, "food")),
    Verb("carry", "carried", "tragen", "trägt", "trug", "getragen", ("tool", "thing")),
    Verb(
        "draw",
        "drew",
        "zeichnen",
        "zeichnet",
        "zeichnete",
        "gezeichnet",
        ("person", "animal", "tool", "vehicle", "place"),
    ),
    Verb("repair", "repaired", "reparieren", "repariert", "reparierte", "repariert", ("tool", "vehicle")),
    Verb("read", "read", "lesen", "liest", "las", "gelesen", ("text",)),
    Verb("write", "wrote", "schreiben", "schreibt", "schrieb", "geschrieben", ("text",)),
    Verb("eat", "ate", "essen", "isst", "aß", "gegessen", ("food",)),
    Verb("cook", "cooked", "kochen", "kocht", "kochte", "gekocht", ("dish",)),
    Verb("wash", "washed", "waschen", "wäscht", "wusch", "gewaschen", ("clothes", "animal")),
    Verb("put on", "put on", "an|ziehen", "zieht", "zog", "angezogen", ("clothes",)),
    Verb("open", "opened", "auf|machen", "macht", "machte", "aufgemacht", ("opening",)),
    Verb("close", "closed", "zu|machen", "macht", "machte", "zugemacht", ("opening",)),
    Verb("clean up", "cleaned up", "auf|räumen", "räumt", "räumte", "aufgeräumt", ("room",)),
    Verb("call", "called", "an|rufen", "ruft", "rief", "angerufen", ("person",)),
    Verb("invite", "invited", "ein|laden", "lädt", "lud", "eingeladen", ("person",)),
    Verb("pick up", "picked up", "auf|heben", "hebt", "hob", "aufgehoben", ("tool", "thing", "clothes")),
    Verb("help", "helped", "helfen", "hilft", "half", "geholfen", ("person", "animal"), "dat"),
    Verb("thank", "thanked", "danken", "dankt", "dankte", "gedankt", ("person",), "dat"),
    Verb("follow", "followed", "folgen", "folgt", "folgte", "gefolgt", ("person", "animal"), "dat", "sein"),
)
GIVING = (
    Verb("give", "gave", "geben", "gibt", "gab", "gegeben", (*_ANY, "food")),
    Verb("show", "showed", "zeigen", "zeigt", "zeigte", "gezeigt", (*_ANY, "animal")),
    Verb("send", "sent", "schicken", "schickt", "schickte", "geschickt", ("text", "clothes")),
    Verb("bring", "brought", "bringen", "bringt", "brachte", "gebracht", (*_ANY, "food")),
    Verb("sell", "sold", "verkaufen", "verkauft", "verkaufte", "verkauft", (*_ANY, "animal")),
)
RESTING = (
    Verb("sleep", "slept", "schlafen", "schläft", "schlief", "geschlafen"),
    Verb("wait", "waited", "warten", "wartet", "wartete", "gewartet"),
    Verb("sit", "sat", "sitzen", "sitzt", "saß", "gesessen"),
    Verb("play", "played", "spielen", "spielt", "spielte", "gespielt"),
    Verb("work", "worked", "arbeiten", "arbeitet", "arbeitete", "gearbeitet"),
    Verb("sing", "sang", "singen", "singt", "sang", "gesungen"),
    Verb("dance", "danced", "tanzen", "tanzt", "tanzte", "getanzt"),
)
ARRIVE = Verb("arrive", "arrived", "an|kommen", "kommt", "kam", "angekommen", auxiliary="sein")
GO = Verb("go", "went", "gehen", "geht", "ging", "gegangen", auxiliary="sein")
RUN = Verb("run", "ran", "laufen", "läuft", "lief", "gelaufen", auxiliary="sein")
DRIVE = Verb("drive", "drove", "fahren", "fährt", "fuhr", "gefahren", auxiliary="sein")
SAYING = (
    Verb("know", "knew", "wissen", "weiß", "wusste", "gewusst", state=True),
    Verb("think", "thought", "glauben", "glaubt", "glaubte", "geglaubt", state=True),
    Verb("say", "said", "sagen", "sagt", "sagte", "gesagt", state=True),
    Verb("hope", "hoped", "hoffen", "hofft", "hoffte", "gehofft", state=True),
)
BE = Verb("be", "was", "sein", "ist", "war", "gewesen", auxiliary="sein", state=True)
HAVE = Verb("have", "had", "haben", "hat", "hatte", "gehabt", ("animal", *_ANY), state=True)

RAIN = Verb("rain", "rained", "regnen", "regnet", "regnete", "geregnet")
SNOW = Verb("snow", "snowed", "schneien", "schneit", "schneite", "geschneit")

# Modal verbs: English after I or they, after it; both negated ("" where English and German disagree); German after er;
# the German infinitive (kann, können), or after sie where the form after er is a preterite (konnte, konnten).
MODALS: dict[str, tuple[str, str, str, str, str, str]] = {
    "can": ("can", "can", "cannot", "cannot", "kann", "können"),
    "could": ("could", "could", "could not", "could not", "konnte", "konnten"),
    "must": ("must", "must", "", "", "muss", "müssen"),
    "had to": ("had to", "had to", "", "", "musste", "mussten"),
    "want to": ("want to", "wants to", "do not want to", "does not want to", "will", "wollen"),
    "wanted to": ("wanted to", "wanted to", "did not want to", "did not want to", "wollte", "wollten"),
    "should": ("should", "should", "should not", "should not", "sollte", "sollten"),
}
PAST_MODALS = ("could", "had to", "wanted to")

# Times that go with a tense.
TIMES: dict[str, tuple[Pair, ...]] = {
    "progressive": (("today", "heute"), ("now", "jetzt"), ("this evening", "heute Abend")),
    "present": (("every day", "jeden Tag"), ("every morning", "jeden Morgen"), ("every evening", "jeden Abend"),
                ("on Sundays", "sonntags")),
    "past": (("yesterday", "gestern"), ("last week", "letzte Woche"), ("in the morning", "am Morgen"),
             ("in the evening", "am Abend"), ("on Monday", "am Montag"), ("on Friday", "am Freitag"),
             ("last year", "letztes Jahr"), ("in winter", "im Winter")),
    "future": (("tomorrow", "morgen"), ("next week", "nächste Woche"), ("on Sunday", "am Sonntag"),
               ("in summer", "im Sommer")),
}  # fmt: skip

PRONOUNS: dict[
    str, tuple[str, str, str, str, str]
] = {  # English subject: (English object, person, German nominative, accusative, dative)
    "I": ("me", "I", "ich", "mich", "mir"),
    "he": ("him", "it", "er", "ihn", "ihm"),
    "she": ("her", "it", "sie", "sie", "ihr"),
    "we": ("us", "they", "wir", "uns", "uns"),
    "they": ("them", "they", "sie", "sie", "ihnen"),
    "it": ("it", "it", "es", "es", "ihm"),  # of the weather alone: a thing may be er, sie or es
}
SPEAKERS = ("I", "he", "she", "we", "they")
CONJUNCTIONS = {"because": "weil", "although": "obwohl", "that": "dass", "if": "wenn", "when": "als"}
