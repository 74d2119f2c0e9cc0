"""Phrases, clauses and sentences that render themselves in English and in German: a synchronous grammar.

German orders a clause around its finite verb: second in a statement, first in a question or after a fronted clause,
last in a subordinate clause. All else (subject, middle field, infinitive, participle, prefix) keeps its order.
"""

from functools import lru_cache
from typing import NamedTuple

from textgym.world import german
from textgym.world.bilingual import BE, CONJUNCTIONS, HAVE, MODALS, PAST_MODALS, PREDICATES, PRONOUNS, Noun, Pair, Verb
from textgym.world.english import a, capital, progressive, spaced, third_person


class NounPhrase(NamedTuple):
    """A noun with determiner, perhaps an adjective (English, German stem), singular or plural."""

    noun: Noun
    determiner: str = "the"
    adjective: Pair | None = None
    plural: bool = False

    @property
    def person(self) -> str:
        return "they" if self.plural else "it"

    @property
    def definite(self) -> bool:
        return self.determiner not in ("a", "no", *german.NUMBERS)

    def en(self, case: str = "nom") -> str:
        return _called_en(self)

    def de(self, case: str) -> str:
        return _called_de(self, case)


# There are some ten thousand noun phrases, which sentences use again and again.


@lru_cache(maxsize=2**14)
def _called_en(phrase: NounPhrase) -> str:
    words = spaced(
        phrase.adjective[0] if phrase.adjective else "", phrase.noun.en_plural if phrase.plural else phrase.noun.en
    )
    if phrase.determiner in ("a", "no"):  # "no" is said with the verb: "did not buy a book", "did not buy any books"
        return f"any {words}" if phrase.plural else a(words)
    return f"{phrase.determiner} {words}"


@lru_cache(maxsize=2**14)
def _called_de(phrase: NounPhrase, case: str) -> str:
    gender = "p" if phrase.plural else phrase.noun.gender
    if phrase.plural:
        noun = german.dative_plural(phrase.noun.de_plural) if case == "dat" else phrase.noun.de_plural
    else:
        noun = phrase.noun.de if case == "nom" else phrase.noun.oblique or phrase.noun.de
    stem = phrase.adjective[1] if phrase.adjective else ""
    adjective = german.adjective(stem, phrase.determiner, gender, case) if stem else ""
    return spaced(german.article(phrase.determiner, gender, case), adjective, noun)


class Name(NamedTuple):
    """A person's name, the same in both languages and in every case."""

    name: str
    person: str = "it"
    definite: bool = True
    determiner: str = ""

    def en(self, case: str = "nom") -> str:
        return self.name

    def de(self, case: str) -> str:
        return self.name


class Pronoun(NamedTuple):
    """A personal pronoun, named by its English subject form."""

    pronoun: str
    definite: bool = True
    determiner: str = ""

    @property
    def person(self) -> str:
        return PRONOUNS[self.pronoun][1]

    def en(self, case: str = "nom") -> str:
        return self.pronoun if case == "nom" else PRONOUNS[self.pronoun][0]

    def de(self, case: str) -> str:
        return PRONOUNS[self.pronoun][("nom", "acc", "dat").index(case) + 2]


Phrase = NounPhrase | Name | Pronoun


class Prepositional(NamedTuple):
    """A preposition in both languages, the German case, and a noun phrase."""

    preposition: Pair
    case: str
    phrase: Phrase

    def en(self) -> str:
        return f"{self.preposition[0]} {self.phrase.en('acc')}"

    def de(self) -> str:
        phrase = self.phrase.de(self.case)
        # Only the plain article fuses: "im Garten", but never a name or a pronoun.
        return german.contracted(self.preposition[1], phrase)


class Clause(NamedTuple):
    """Who does what, to whom, when and where. ``tense``: "present", "progressive", "past" or "future"."""

    subject: Phrase
    verb: Verb
    object: Phrase | None = None
    receiver: Phrase | None = None  # dative
    place: Prepositional | None = None
    time: Pair | None = None
    adjective: Pair | None = None  # after "be"
    tense: str = "present"
    modal: str = ""
    negated: bool = False  # with "nicht"; "kein" is the object's determiner "no"

    # English

    def _verb_en(self) -> Pair:
        """The English auxiliary (may be empty) and the rest of the verb."""
        person, base = self.subject.person, self.verb.en
        third = person == "it"
        negated = self.negated or (self.object is not None and self.object.determiner == "no")
        no = "not" if negated else ""
        if self.modal:
            forms = MODALS[self.modal]
            return "", spaced(forms[(2 if negated else 0) + third], base)
        if self.tense == "future":
            return spaced("will", no), base
        if base == "be" or self.tense == "progressive":
            past = "were" if person == "they" else "was"
            be = past if self.tense == "past" else {"I": "am", "it": "is", "they": "are"}[person]
            return spaced(be, no), "" if base == "be" else progressive(base)
        if negated:
            return spaced("did" if self.tense == "past" else "does" if third else "do", no), base
        if self.tense == "past":
            return "", self.verb.past
        return "", third_person(base) if third else base

    def _rest_en(self) -> str:
        thing, receiver = self.object, self.receiver
        return spaced(
            receiver.en("dat") if receiver else "",
            thing.en("acc") if thing else "",
            self.adjective[0] if self.adjective else "",
            self.place.en() if self.place else "",
        )

    def en(self, time_first: bool = False) -> str:
        """The English clause, without a capital letter and a full stop."""
        auxiliary, verb = self._verb_en()
        said = spaced(self.subject.en(), auxiliary, verb, self._rest_en())
        if not self.time:
            return said
        return f"{self.time[0]}, {said}" if time_first else f"{said} {self.time[0]}"

    def question_en(self) -> str:
        """The English yes-or-no question."""
        auxiliary, verb = self._verb_en()
        if self.modal in ("can", "could", "must", "should"):
            auxiliary, verb = self.modal, self.verb.en
        elif not auxiliary:
            meaning = {"want to": "want to", "wanted to": "want to", "had to": "have to"}.get(self.modal, "")
            past = self.modal in PAST_MODALS or self.tense == "past"
            auxiliary = "did" if past else "does" if self.subject.person == "it" else "do"
            verb = spaced(meaning, self.verb.en)
        return spaced(auxiliary, self.subject.en(), verb, self._rest_en(), self.time[0] if self.time else "")

    # German

    def _verb_de(self, perfect: bool, tense: str) -> tuple[str, str, str]:
        """The finite verb, the prefix that leaves it in a main clause, and the infinitive or participle at the end."""
        prefix, _, plain = self.verb.de.rpartition("|")
        person = self.subject.person
        if self.modal:
            third, infinitive = MODALS[self.modal][4:]
            finite = german.present(infinitive, third, person)
            if self.modal in (*PAST_MODALS, "should"):
                finite = german.preterite(third, person)
            return finite, "", prefix + plain
        if tense == "future":
            return german.present("werden", "wird", person), "", prefix + plain
        if tense == "past" and perfect and self.verb not in (BE, HAVE):
            return german.present(self.verb.auxiliary, "", person), "", self.verb.participle
        if tense == "past":
            return german.preterite(self.verb.preterite, person), prefix, ""
        return german.present(plain, self.verb.third, person), prefix, ""

    def _fields_de(self) -> "_Fields":
        """The phrases of the clause."""
        thing, receiver, case = self.object, self.receiver, self.verb.case
        pronouns = [phrase.de(c) for phrase, c in ((thing, case), (receiver, "dat")) if isinstance(phrase, Pronoun)]
        return _Fields(
            subject=self.subject.de("nom"),
            early=[*pronouns, receiver.de("dat")] if receiver and not isinstance(receiver, Pronoun) else pronouns,
            object=[thing.de(case)] if thing and not isinstance(thing, Pronoun) else [],
            place=[self.place.de()] if self.place else [],
        )

    def _middle_de(self, fields: "_Fields", time: bool, place_first: bool) -> list[str]:
        """The words between subject or finite verb and the end of the clause."""
        middle = [*fields.early, self.time[1]] if time and self.time else [*fields.early]
        if place_first:
            middle += fields.place
        middle += fields.object
        if self.negated:
            middle.append("nicht")
        if not place_first:
            middle += fields.place
        if self.adjective:
            middle.append(PREDICATES.get(self.adjective[1], self.adjective[1]))
        return middle

    def de(self, order: str = "second", *, perfect: bool = True) -> str:
        """The German clause; ``order`` says where the finite verb is: "second", "first" or "last"."""
        fields = self._fields_de()
        return self._ordered_de(order, fields, self._verb_de(perfect, self.tense))

    def _ordered_de(
        self,
        order: str,
        fields: "_Fields",
        verb: tuple[str, str, str],
        time_first: bool = False,
        place_first: bool = False,
    ) -> str:
        (finite, prefix, end), subject = verb, fields.subject
        middle = self._middle_de(fields, not time_first, place_first)
        if order == "last":
            return spaced(subject, *middle, end, prefix + finite)
        if order == "first":
            return spaced(finite, subject, *middle, prefix, end)
        if time_first and self.time:
            return spaced(self.time[1], finite, subject, *middle, prefix, end)
        return spaced(subject, finite, *middle, prefix, end)

    def variants(self, order: str = "second", time_first: bool = False) -> tuple[str, ...]:
        """Every German clause that says the same: perfect or preterite, time first or later, place before an object."""
        fixed_time = order != "second" or not self.time
        fronts = (False,) if fixed_time else (True,) if self.negated else (time_first, not time_first)
        swap = bool(self.place and self.object and not self.object.definite and not self.negated)
        soon = self.tense == "future" and self.time and not self.modal  # said in the present too
        tenses = ((True, self.tense), (True, "present") if soon else (False, self.tense))
        fields, verbs = self._fields_de(), [self._verb_de(*tense) for tense in tenses]
        if verbs[1] == verbs[0]:
            verbs.pop()
        texts = [
            self._ordered_de(order, fields, verb, front, place)
            for place in ((False, True) if swap else (False,))
            for verb in verbs
            for front in fronts
        ]
        return tuple(dict.fromkeys(texts))


class _Fields(NamedTuple):
    """The German phrases of a clause: pronouns and receiver are early, object and place late."""

    subject: str
    early: list[str]
    object: list[str]
    place: list[str]


class Sentence(NamedTuple):
    """A statement or a question, perhaps with a subordinate clause before or after its main clause."""

    main: Clause
    time_first: bool = False
    asks: bool = False
    conjunction: str = ""
    sub: Clause | None = None
    sub_first: bool = False

    def en(self) -> str:
        """The English sentence."""
        if self.sub is None:
            text = self.main.question_en() if self.asks else self.main.en(self.time_first)
        elif self.sub_first:
            text = f"{self.conjunction} {self.sub.en()}, {self.main.en()}"
        else:
            comma = "," if self.conjunction == "although" else ""
            text = f"{self.main.en()}{comma} {self.conjunction} {self.sub.en()}"
        return f"{capital(text)}{'?' if self.asks else '.'}"

    def de(self) -> tuple[str, ...]:
        """Its German translations."""
        if self.sub is None:
            texts = self.main.variants("first") if self.asks else self.main.variants(time_first=self.time_first)
        else:
            texts = tuple(dict.fromkeys(self._compound_de(self.sub, perfect) for perfect in (True, False)))
        return tuple(f"{capital(text)}{'?' if self.asks else '.'}" for text in texts)

    def _compound_de(self, sub: Clause, perfect: bool) -> str:
        last = f"{CONJUNCTIONS[self.conjunction]} {sub.de('last', perfect=perfect)}"
        if self.sub_first:
            return f"{last}, {self.main.de('first', perfect=perfect)}"
        return f"{self.main.de(perfect=perfect)}, {last}"


def statement(clause: Clause, time_first: bool = False) -> Sentence:
    """A statement."""
    return Sentence(clause, time_first)


def question(clause: Clause) -> Sentence:
    """A yes-or-no question."""
    return Sentence(clause, asks=True)


def compound(main: Clause, conjunction: str, sub: Clause, sub_first: bool = False) -> Sentence:
    """A sentence with a subordinate clause, before or after the main clause."""
    return Sentence(main, conjunction=conjunction, sub=sub, sub_first=sub_first)
