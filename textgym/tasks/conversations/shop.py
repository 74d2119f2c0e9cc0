"""Shop: a clerk asks what a customer wants, looks things up, and sells the one that fits.

Shop: lamp, chair, bowl, ring. Wish: price, condition.
Clerk: price                            the policy asks the customer
cheap
Clerk: condition
old
Clerk: look lamp                        a call of the look-up tool: the reply is the record
cheap, new
Clerk: look bowl
cheap, old
Clerk: sell bowl                        the end, with 0.8: four turns before it
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from textgym.arguments import count
from textgym.core import Prompt
from textgym.dialogue import Dialogue, FunctionPartner, Reply, partner
from textgym.errors import ConfigError
from textgym.partners.tools import look_up
from textgym.tasks.conversations.base import ConversationTask
from textgym.world import Draw, Rendered
from textgym.world import lexicon as lex

COST = 0.05  # of a turn
WISHES = {"price": ("cheap", "expensive"), "condition": ("new", "old"), "material": ("metal", "wooden")}
STOCK = tuple(thing for thing in lex.MATERIALS["metal"] if thing in lex.MATERIALS["wooden"])
LOOK = ("look", "lookup", "look_up")


@partner
def serves(dialogue: Dialogue) -> Reply:
    """The customer's answer, the tool's, or the end: the record of what was sold decides the reward, not the words."""
    facts = dialogue.prompt.metadata
    wishes, names = list(facts["wishes"]), list(facts["stock"])
    kinds, wanted = _hidden(dialogue.generator(), len(names), len(wishes))
    records = {name: ", ".join(_values(kind, wishes)) for name, kind in zip(names, kinds, strict=True)}
    what, argument = request(dialogue.said[-1], names, wishes)
    if what == "sell":
        sale = {"name": argument, "record": records[argument], "wish": records[names[wanted]]}
        right = sale["record"] == sale["wish"]
        reward = (1 - COST * (len(dialogue.said) - 1)) * right
        return Reply("Thank you." if right else "Not that one.", reward, done=True, info={"sale": sale})
    if what == "ask":
        return Reply(_values(kinds[wanted], wishes)[wishes.index(argument)])
    if what == "look":
        try:
            return Reply(look_up(argument, Prompt("", metadata={"records": records})))
        except ValueError as error:
            return Reply(f"Error: {error}")
    return Reply("Sorry?")


def request(text: str, names: Sequence[str], wishes: Sequence[str]) -> tuple[str, str]:
    """What a turn of the clerk does, and with what: "sell", "look", "ask" or nothing.

    >>> stock, wishes = ["lamp", "chair"], ["price"]
    >>> request(" sell chair", stock, wishes), request("CALL look_up: chair", stock, wishes)
    (('sell', 'chair'), ('look', 'chair'))
    >>> request("Which price do you like?", stock, wishes), request("Hello!", stock, wishes)
    (('ask', 'price'), ('', ''))
    """
    said = re.findall(r"\w+", text.lower())
    verb, name, wish = (next((word for word in said if word in some), "") for some in (("sell", *LOOK), names, wishes))
    if verb and name:
        return "sell" if verb == "sell" else "look", name
    if wish:
        return "ask", wish
    if verb in LOOK:
        return "look", " ".join(said[said.index(verb) + 1 :])[:40]
    return "", ""


def _hidden(generator: np.random.Generator, records: int, questions: int) -> tuple[list[int], int]:
    """The records of an episode, all different, as bits of values, and which of them the customer wants."""
    kinds = generator.choice(1 << questions, size=records, replace=False).tolist()
    return kinds, int(generator.integers(records))


def _values(kind: int, wishes: Sequence[str]) -> tuple[str, ...]:
    return tuple(WISHES[wish][kind >> place & 1] for place, wish in enumerate(wishes))


class Shop(ConversationTask):
    """Ask a customer for a hidden wish, look records up by a tool, and sell the thing that fits.

    ## Description
    The shop has four things, whose records differ. The customer wants one of those records. A clerk's turn asks for a
    part of the wish ("price"), calls the tool ("look lamp"; "LOOKUP lamp" and "CALL look_up: lamp" are the same), or
    sells ("sell lamp"). A call for what the shop has not is answered by the tool's error.

    ## Rewards
    A sale of the thing whose record is the wish: 1, less 0.05 for each turn before it. Any other sale: 0. The best
    policy is computed for all that may be known of records and wish.

    ## Episode End
    A sale, or six turns.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | records | 4 | things that the shop has, 2 to 8, at most 2 to the power of questions |
    | questions | 2 | parts of a wish, 1 to 3, each with two values |
    | turns | None | 1 to 12; None: as many as can be of use, one for each record and question |
    | seed | 0 | of the small world |

    ## Version History
    - v0: first version.

    >>> task = Shop("test")
    >>> round(task.best_reward(), 2), round(task.random_reward(), 2)
    (0.79, 0.22)
    """

    name: ClassVar[str] = "Shop"
    variants: ClassVar[tuple[Mapping[str, int], ...]] = (
        {"records": 2, "questions": 1},
        {"records": 4, "questions": 2},
        {"records": 8, "questions": 3},
    )
    partner: ClassVar[FunctionPartner] = serves
    words_of_a_turn: ClassVar[int] = 2
    turn_template: ClassVar[tuple[str, str]] = ("\n", "\nClerk:")

    def __init__(
        self, split: str = "train", *, records: int = 4, questions: int = 2, turns: int | None = None, seed: int = 0
    ) -> None:
        self.records = count("records", records, least=2, most=8)
        self.questions = count("questions", questions, least=1, most=len(WISHES))
        if self.records > 1 << self.questions:
            raise ConfigError(
                f"records={records} can't all differ with questions={questions}, which have two answers each: expected "
                f"at most {1 << self.questions} records."
            )
        useful = self.records + self.questions
        self.max_turns = count("turns", useful if turns is None else turns, least=1, most=12)
        self.max_prompt_tokens, self.max_new_tokens = 16 + 4 * self.records, 18 * self.max_turns
        super().__init__(split, seed=seed)

    def grammar(self, draw: Draw) -> Rendered:
        stock, wishes = draw.sample(STOCK, self.records), draw.sample([*WISHES], self.questions)
        text = f"Shop: {', '.join(stock)}. Wish: {', '.join(wishes)}.\nClerk:"
        return Rendered(text, (), {"stock": tuple(stock), "wishes": tuple(wishes)})

    def vocabulary(self) -> tuple[str, ...]:
        return ("look", "sell", *WISHES, *STOCK)

    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        names: Any = prompt.metadata["stock"]
        return (*prompt.metadata["wishes"], *(f"{verb} {name}" for verb in ("look", "sell") for name in names))

    def best_return(self, prompt: Prompt) -> float:
        return _Search(self.records, self.questions, self.max_turns).best((), 0, 1)[0]

    def random_return(self, prompt: Prompt) -> float:
        number = len(self.utterances(prompt))
        goes_on = 1 - self.records / number
        return sum(goes_on ** (turn - 1) / number * (1 - COST * (turn - 1)) for turn in range(1, self.max_turns + 1))

    def oracle(self, dialogue: Dialogue) -> str:
        names: list[str] = list(dialogue.prompt.metadata["stock"])
        wishes: list[str] = list(dialogue.prompt.metadata["wishes"])
        wish: dict[int, int] = {}
        kinds: dict[str, int] = {}
        for turn, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=True):
            what, argument = request(turn.text, names, wishes)
            if what == "ask":
                wish[wishes.index(argument)] = WISHES[argument].index(reply.text)
            elif what == "look" and argument in names:
                values = zip(wishes, reply.text.split(", "), strict=True)
                kinds[argument] = sum(WISHES[one].index(value) << place for place, (one, value) in enumerate(values))
        wanted, questions = sum(bit << place for place, bit in wish.items()), sum(1 << place for place in wish)
        search = _Search(self.records, self.questions, self.max_turns)
        known = tuple(sorted(kind ^ wanted for kind in kinds.values()))
        what, which = search.best(known, questions, len(dialogue.said) + 1)[1]
        if what == "ask":
            return wishes[which]
        unknown = [name for name in names if name not in kinds]
        named = [name for name, kind in kinds.items() if what == "sell" and kind ^ wanted == which] or unknown or names
        return f"{what} {named[0]}"


Known = tuple[int, ...]
Move = tuple[str, int]
UNKNOWN = -1  # a record that was not looked up


@dataclass(frozen=True)
class _Search:
    """The best returns for all that a clerk may have seen.

    What was seen: the records that were looked up, as bits, and which questions were asked. Bits are turned so that the
    answers to those questions are 0: games that differ in the names of values alone are one. Nothing else matters, as
    the things are alike before they are looked up.
    """

    records: int
    questions: int
    turns: int

    def value(self, known: Known, asked: int, turn: int) -> float:
        """The best mean return from this turn on."""
        flips = [flip for flip in range(1 << self.questions) if not flip & asked]
        return _value(self, min(tuple(sorted(kind ^ flip for kind in known)) for flip in flips), asked, turn)

    def best(self, known: Known, asked: int, turn: int) -> tuple[float, Move]:
        """The best mean return from this turn on, and the move: the bits of what to sell, or the question to ask."""
        if turn > self.turns:
            return 0.0, ("look", UNKNOWN)
        unseen = [kind for kind in range(1 << self.questions) if kind not in known]
        fitting, rest = [kind for kind in known if not kind & asked], self.records - len(known)
        # The weights of what the wish may be: 1 for each record that was looked up and fits, and for each other one
        # the chance that it fits.
        share = sum(not kind & asked for kind in unseen) / len(unseen) if rest else 0.0
        total, now = len(fitting) + rest * share, 1 - COST * (turn - 1)
        moves: list[tuple[float, Move]] = [(now / total, ("sell", kind)) for kind in fitting]
        if rest:
            moves.append((now * share / total, ("sell", UNKNOWN)))
            later = [self._chance(kind, asked, unseen, len(fitting), rest) for kind in unseen]
            values = [self.value((*known, kind), asked, turn + 1) for kind in unseen]
            moves.append((float(np.dot(later, values)) / total, ("look", UNKNOWN)))
        for place in range(self.questions):
            if not asked >> place & 1:
                value = 0.0
                for bit in (0, 1):
                    fits = [kind for kind in unseen if not kind & asked and kind >> place & 1 == bit]
                    weight = float(sum(kind >> place & 1 == bit for kind in fitting))
                    weight += rest * len(fits) / len(unseen) if rest else 0.0
                    turned = tuple(kind ^ bit << place for kind in known)
                    value += weight * self.value(turned, asked | 1 << place, turn + 1) if weight else 0
                moves.append((value / total, ("ask", place)))
        return max(moves)

    @staticmethod
    def _chance(kind: int, asked: int, unseen: Sequence[int], fitting: int, rest: int) -> float:
        """The weight of a look-up that shows this kind."""
        fits = sum(not other & asked for other in unseen)
        own = not kind & asked
        others = (rest - 1) * (fits - own) / (len(unseen) - 1) if rest > 1 else 0.0
        return (own + others + fitting) / len(unseen)


@cache
def _value(search: _Search, known: Known, asked: int, turn: int) -> float:
    return search.best(known, asked, turn)[0]
