"""The German of the translation grammar, checked by hand."""

import re

import pytest

from tests.world.clauses import GIVE, KNOW_THAT, TODAY, TOMORROW, YESTERDAY, be, clause, np, place
from textgym.world import Draw, german, translation_grammar
from textgym.world import bilingual as two
from textgym.world.syntax import Pronoun, compound, question, statement
from textgym.world.translation import CONSTRUCTIONS

SENTENCES = [
    # Cases, genders and adjective endings
    (
        statement(clause(np("man", adjective="old"), "see", np("dog", adjective="black"))),
        "The old man sees the black dog.",
        "Der alte Mann sieht den schwarzen Hund.",
    ),
    (
        statement(clause(np("woman", "a", "young"), "buy", np("lamp", "a", "red"), tense="progressive")),
        "A young woman is buying a red lamp.",
        "Eine junge Frau kauft eine rote Lampe.",
    ),
    (
        statement(clause(np("child", "a", "small"), "eat", np("egg", "a", "fresh"), tense="progressive")),
        "A small child is eating a fresh egg.",
        "Ein kleines Kind isst ein frisches Ei.",
    ),
    (
        statement(clause(np("girl", "this", "clever"), "draw", np("horse", "our", "brown"), tense="progressive")),
        "This clever girl is drawing our brown horse.",
        "Dieses kluge Mädchen zeichnet unser braunes Pferd.",
    ),
    (
        statement(clause(np("boy", "the"), GIVE, np("apple", "a", "big"), np("woman", "the", "old"), tense="past")),
        "The boy gave the old woman a big apple.",
        "Der Junge gab der alten Frau einen großen Apfel.",
    ),
    (
        statement(clause("Anna", GIVE, np("letter", "this"), np("neighbour", "my", "friendly"), tense="future")),
        "Anna will give my friendly neighbour this letter.",
        "Anna wird meinem freundlichen Nachbarn diesen Brief geben.",
    ),
    (
        statement(
            clause("we", GIVE, np("book", "two", "new", True), np("child", "the", "", True), tense="progressive")
        ),
        "We are giving the children two new books.",
        "Wir geben den Kindern zwei neue Bücher.",
    ),
    (
        statement(clause(np("farmer", "many", "", True), "help", np("guest", "the", "hungry", True), tense="past")),
        "Many farmers helped the hungry guests.",
        "Viele Bauern halfen den hungrigen Gästen.",
    ),
    (
        statement(clause("I", "buy", np("coat", "a", "expensive"), tense="past")),
        "I bought an expensive coat.",
        "Ich habe einen teuren Mantel gekauft.",
    ),
    # Verbs with the dative, and the perfect with sein
    (
        statement(clause("she", "thank", Pronoun("he"), tense="past")),
        "She thanked him.",
        "Sie hat ihm gedankt.",
    ),
    (
        statement(clause(np("dog", "our"), "follow", np("bear", "a", "strong"), tense="past")),
        "Our dog followed a strong bear.",
        "Unser Hund ist einem starken Bären gefolgt.",
    ),
    # Places with the dative, ways with the accusative, contractions
    (
        statement(clause(np("cat"), "sleep", place=place("under", "unter", "table"), tense="progressive")),
        "The cat is sleeping under the table.",
        "Die Katze schläft unter dem Tisch.",
    ),
    (
        statement(clause(np("cat"), "run", place=place("into", "in", "garden", "acc"), tense="past")),
        "The cat ran into the garden.",
        "Die Katze ist in den Garten gelaufen.",
    ),
    (
        statement(clause(np("king"), "work", place=place("in", "in", "garden"), tense="past")),
        "The king worked in the garden.",
        "Der König hat im Garten gearbeitet.",
    ),
    (
        statement(clause("we", "go", place=place("into", "in", "house", "acc", "the", "old"), tense="progressive")),
        "We are going into the old house.",
        "Wir gehen ins alte Haus.",
    ),
    (
        statement(clause("they", "drive", place=place("to", "zu", "church"), tense="past")),
        "They drove to the church.",
        "Sie sind zur Kirche gefahren.",
    ),
    (
        statement(clause("I", "go", place=place("to", "zu", "market", "dat", "a", "small"), tense="past")),
        "I went to a small market.",
        "Ich bin zu einem kleinen Markt gegangen.",
    ),
    # Separable verbs
    (
        statement(clause("he", "put on", np("hat", "his", "red"), tense="progressive")),
        "He is putting on his red hat.",
        "Er zieht seinen roten Hut an.",
    ),
    (
        statement(clause("she", "call", np("doctor"), tense="past", time=YESTERDAY)),
        "She called the doctor yesterday.",
        "Sie rief gestern den Arzt an.",
    ),
    (
        statement(clause("she", "invite", np("sister", "her"), modal="want to")),
        "She wants to invite her sister.",
        "Sie will ihre Schwester einladen.",
    ),
    # Verb second
    (
        statement(clause(np("mother", "my"), "cook", np("soup", "a"), tense="past", time=YESTERDAY), time_first=True),
        "Yesterday, my mother cooked a soup.",
        "Gestern hat meine Mutter eine Suppe gekocht.",
    ),
    (
        statement(clause("Ben", "open", np("window", "the", "small"), time=TOMORROW, tense="future"), time_first=True),
        "Tomorrow, Ben will open the small window.",
        "Morgen macht Ben das kleine Fenster auf.",
    ),
    (
        statement(clause(np("girl"), "read", np("poem", "a"), place=place("in", "in", "library"), tense="progressive")),
        "The girl is reading a poem in the library.",
        "Das Mädchen liest in der Bibliothek ein Gedicht.",
    ),
    # Modal verbs
    (
        statement(clause("I", "repair", np("bike", "my"), modal="must", time=TODAY)),
        "I must repair my bike today.",
        "Ich muss heute mein Fahrrad reparieren.",
    ),
    (
        statement(clause(np("brother", "the", "", True), "help", np("farmer", "this"), modal="could", negated=True)),
        "The brothers could not help this farmer.",
        "Die Brüder konnten diesem Bauern nicht helfen.",
    ),
    # Negation
    (
        statement(clause(np("boy", "the"), "buy", np("ball", "no", "green"), tense="past")),
        "The boy did not buy a green ball.",
        "Der Junge hat keinen grünen Ball gekauft.",
    ),
    (
        statement(clause("they", two.HAVE, np("flower", "no", "", True))),
        "They do not have any flowers.",
        "Sie haben keine Blumen.",
    ),
    (
        statement(clause("he", "see", np("horse"), negated=True)),
        "He does not see the horse.",
        "Er sieht das Pferd nicht.",
    ),
    (
        statement(clause("Mia", "pick up", np("key"), negated=True, tense="past")),
        "Mia did not pick up the key.",
        "Mia hob den Schlüssel nicht auf.",
    ),
    (statement(be(np("soup", "this"), "warm", negated=True)), "This soup is not warm.", "Diese Suppe ist nicht warm."),
    # Adjectives without an ending
    (
        statement(be(np("kitchen", "the", "", True), "dark", tense="past")),
        "The kitchens were dark.",
        "Die Küchen waren dunkel.",
    ),
    (statement(be("I", "tired")), "I am tired.", "Ich bin müde."),
    # Questions
    (
        question(clause(np("queen"), "close", np("door", "the", "heavy"), tense="past")),
        "Did the queen close the heavy door?",
        "Machte die Königin die schwere Tür zu?",
    ),
    (
        question(clause("he", "sell", np("boat", "his"), modal="want to")),
        "Does he want to sell his boat?",
        "Will er sein Boot verkaufen?",
    ),
    (question(clause("we", "know", np("teacher", "this"))), "Do we know this teacher?", "Kennen wir diesen Lehrer?"),
    # Subordinate clauses
    (
        compound(clause("Anna", "wait", tense="progressive"), "because", be("she", "ill")),
        "Anna is waiting because she is ill.",
        "Anna wartet, weil sie krank ist.",
    ),
    (
        compound(clause("Leo", KNOW_THAT), "that", clause(np("child"), "call", np("father", "his"), tense="past")),
        "Leo knows that the child called his father.",
        "Leo weiß, dass das Kind seinen Vater anrief.",
    ),
    (
        compound(
            clause("they", "clean up", np("room", "the"), tense="future"), "if", clause("it", two.RAIN), sub_first=True
        ),
        "If it rains, they will clean up the room.",
        "Wenn es regnet, werden sie das Zimmer aufräumen.",
    ),
    (
        compound(clause("I", "arrive", tense="past"), "when", clause("it", two.SNOW, tense="past"), sub_first=True),
        "When it snowed, I arrived.",
        "Als es schneite, kam ich an.",
    ),
    (
        compound(
            clause(np("guest", "the", "", True), "sing", tense="past"), "although", be("they", "sad", tense="past")
        ),
        "The guests sang, although they were sad.",
        "Die Gäste haben gesungen, obwohl sie traurig waren.",
    ),
]


@pytest.mark.parametrize(("sentence", "english", "expected"), SENTENCES, ids=[english for _, english, _ in SENTENCES])
def test_sentences_checked_by_hand(sentence, english, expected):
    assert sentence.en() == english
    assert expected in sentence.de()


def test_all_orders_of_one_clause():
    main = clause(np("man"), "invite", Pronoun("we"), tense="past", time=YESTERDAY)
    assert statement(main).de() == (
        "Der Mann hat uns gestern eingeladen.",
        "Gestern hat der Mann uns eingeladen.",
        "Der Mann lud uns gestern ein.",
        "Gestern lud der Mann uns ein.",
    )
    assert main.de("last") == "der Mann uns gestern eingeladen hat"
    assert main.de("last", perfect=False) == "der Mann uns gestern einlud"
    assert main.de("first", perfect=False) == "lud der Mann uns gestern ein"
    assert main._replace(tense="future").de("last") == "der Mann uns gestern einladen wird"


# Whole paradigms, from any German grammar book.
PHRASES = [
    ("man", "the", "old", ("der alte Mann", "den alten Mann", "dem alten Mann")),
    ("man", "a", "old", ("ein alter Mann", "einen alten Mann", "einem alten Mann")),
    ("woman", "the", "old", ("die alte Frau", "die alte Frau", "der alten Frau")),
    ("woman", "no", "old", ("keine alte Frau", "keine alte Frau", "keiner alten Frau")),
    ("child", "this", "small", ("dieses kleine Kind", "dieses kleine Kind", "diesem kleinen Kind")),
    ("child", "my", "small", ("mein kleines Kind", "mein kleines Kind", "meinem kleinen Kind")),
    ("bear", "our", "strong", ("unser starker Bär", "unseren starken Bären", "unserem starken Bären")),
    ("room", "a", "dark", ("ein dunkles Zimmer", "ein dunkles Zimmer", "einem dunklen Zimmer")),
]
PLURALS = [
    ("apple", "the", "fresh", ("die frischen Äpfel", "die frischen Äpfel", "den frischen Äpfeln")),
    ("apple", "two", "fresh", ("zwei frische Äpfel", "zwei frische Äpfel", "zwei frischen Äpfeln")),
    ("apple", "many", "fresh", ("viele frische Äpfel", "viele frische Äpfel", "vielen frischen Äpfeln")),
    ("car", "our", "new", ("unsere neuen Autos", "unsere neuen Autos", "unseren neuen Autos")),
    ("queen", "no", "rich", ("keine reichen Königinnen", "keine reichen Königinnen", "keinen reichen Königinnen")),
]


@pytest.mark.parametrize(("plural", "row"), [(False, row) for row in PHRASES] + [(True, row) for row in PLURALS])
def test_declension(plural, row):
    noun, determiner, adjective, expected = row
    phrase = np(noun, determiner, adjective, plural)
    assert tuple(phrase.de(case) for case in ("nom", "acc", "dat")) == expected


CONJUGATION = [
    ("see", ("ich sehe", "er sieht", "wir sehen"), ("ich sah", "er sah", "wir sahen")),
    ("read", ("ich lese", "er liest", "wir lesen"), ("ich las", "er las", "wir lasen")),
    ("eat", ("ich esse", "er isst", "wir essen"), ("ich aß", "er aß", "wir aßen")),
    ("find", ("ich finde", "er findet", "wir finden"), ("ich fand", "er fand", "wir fanden")),
    ("wash", ("ich wasche", "er wäscht", "wir waschen"), ("ich wusch", "er wusch", "wir wuschen")),
    ("invite", ("ich lade ein", "er lädt ein", "wir laden ein"), ("ich lud ein", "er lud ein", "wir luden ein")),
    ("work", ("ich arbeite", "er arbeitet", "wir arbeiten"), ("ich arbeitete", "er arbeitete", "wir arbeiteten")),
    ("run", ("ich laufe", "er läuft", "wir laufen"), ("ich lief", "er lief", "wir liefen")),
]


@pytest.mark.parametrize(("verb", "present", "preterite"), CONJUGATION)
def test_conjugation(verb, present, preterite):
    clauses = [clause(person, verb) for person in ("I", "he", "we")]
    assert tuple(c.de() for c in clauses) == present
    assert tuple(c._replace(tense="past").de(perfect=False) for c in clauses) == preterite


@pytest.mark.parametrize(
    ("preposition", "phrase", "expected"),
    [
        ("in", "dem Wald", "im Wald"),
        ("in", "das Museum", "ins Museum"),
        ("in", "der Stadt", "in der Stadt"),
        ("an", "dem Fluss", "am Fluss"),
        ("zu", "der Brücke", "zur Brücke"),
        ("zu", "dem Bahnhof", "zum Bahnhof"),
        ("auf", "dem Markt", "auf dem Markt"),
        ("in", "diesem Dorf", "in diesem Dorf"),
    ],
)
def test_contractions(preposition, phrase, expected):
    assert german.contracted(preposition, phrase) == expected


def test_the_noun_table_is_whole():
    for noun in two.NOUN.values():
        assert noun.gender in ("m", "f", "n")
        assert noun.de[0].isupper()
        assert noun.de_plural[0].isupper()
        # Weak masculine nouns have one form beside the nominative, and it is their plural too.
        assert noun.oblique in ("", noun.de_plural), noun
        assert not (noun.oblique and noun.gender != "m"), noun
        assert noun.en in str(two.NOUNS)
    for _, _, name in (*two.LOCATIONS, *two.CORNERS, *two.ARRIVALS):
        assert name in two.NOUN
    for _, _, case, name in two.DIRECTIONS:
        assert name in two.NOUN
        assert case in ("acc", "dat")


def test_every_construction_renders_well_formed_german():
    nouns = {form for noun in two.NOUN.values() for form in (noun.de, noun.de_plural, noun.oblique)} - {""}
    nouns |= {german.dative_plural(noun.de_plural) for noun in two.NOUN.values()}
    lower = re.compile(r"(?<=[a-zäöüß] )([A-ZÄÖÜ]\w+)")
    for construction in dict.fromkeys(CONSTRUCTIONS):
        for index in range(150):
            sentence = construction(Draw.at(4, "train", index))
            english, texts = sentence.en(), sentence.de()
            assert 1 <= len(texts) == len(set(texts)), english
            for text in texts:
                assert text[0].isupper(), text
                assert text[-1] == ("?" if english[-1] == "?" else "."), text
                assert not re.search(r"  | [.,?]|[{}|]", text), text
                # Inside a sentence, what has a capital is a noun, a name or a time, and every noun has one.
                for word in lower.findall(text):
                    assert word in nouns | {*two_names()}, text
                for word in re.findall(r"\w+", text):
                    assert word.capitalize() not in nouns or word[0].isupper() or word in LOWER, text


# German words that happen to be nouns as well once they have a capital letter.
LOWER = {"ei", "sie", "morgen", "junge", "jungen"}


def two_names():
    from textgym.world.lexicon import PEOPLE

    days = ("Montag", "Freitag", "Sonntag", "Abend", "Morgen", "Tag", "Woche", "Jahr", "Winter", "Sommer")
    return (*(name for name, _ in PEOPLE), *days)


def test_english_and_german_agree_about_the_kind_of_sentence():
    for index in range(1000):
        text = translation_grammar(Draw.at(5, "train", index))
        negated = re.search(r"\b(not|cannot)\b", text.source)
        for target in text.targets:
            assert bool(negated) == bool(re.search(r"\b(nicht|kein\w*)\b", target)), (text.source, target)
