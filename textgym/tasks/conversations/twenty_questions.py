"""TwentyQuestions: find out which of eight things it is, by asking for one word at a time.

Things: red bag, blue bag, red hat, old mug, ...
Ask: red                                the policy: a word of the list
yes                                     the partner
Ask: red hat                            a whole name is a guess
yes                                     the end, with 0.9: one question before it
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import ClassVar

from textgym.arguments import count
from textgym.core import Prompt
from textgym.dialogue import Dialogue, FunctionPartner, Reply, partner
from textgym.tasks.conversations.base import ConversationTask
from textgym.world import Draw, Rendered
from textgym.world import lexicon as lex

COST = 0.1  # of a turn
KINDS = 4  # colors of a prompt, and items
ITEMS = tuple(dict.fromkeys(item for items in lex.MATERIALS.values() for item in items))


@partner
def answers(dialogue: Dialogue) -> Reply:
    """Yes or no to a word or a name of the list; a right name is the end, and worth 0.1 less for each turn before."""
    things = tuple(dialogue.prompt.metadata["things"])
    secret = things[int(dialogue.generator().integers(len(things)))]
    said = asked(dialogue.said[-1], things)
    if said == secret:
        return Reply("yes", 1 - COST * (len(dialogue.said) - 1), done=True)
    if not said:
        return Reply("what?")
    return Reply("yes" if said in secret.split() else "no")


def asked(text: str, things: Sequence[str]) -> str:
    """The first name or word of the list that a turn has; empty if it has none.

    >>> asked(" Is it a red hat?", ["red hat", "blue bag"]), asked(" red bag", ["red hat", "blue bag"])
    ('red hat', 'red')
    """
    said, listed = re.findall(r"\w+", text.lower()), words(things)
    for word, following in itertools.zip_longest(said, said[1:], fillvalue=""):
        if f"{word} {following}" in things:
            return f"{word} {following}"
        if word in listed:
            return word
    return ""


def words(things: Sequence[str]) -> tuple[str, ...]:
    """The different words of names, in their order."""
    return tuple(dict.fromkeys(word for thing in things for word in thing.split()))


class TwentyQuestions(ConversationTask):
    """Find out which of eight things it is by questions that are answered by yes or no.

    ## Description
    A prompt lists eight things, each of a color and a kind. The partner has one of them in mind. A turn that has a word
    of the list is a question, answered by "yes" or "no"; one with a name is a guess. The first of them counts.

    ## Rewards
    A right guess: 1, less 0.1 for each turn before it. The best policy is computed by searching all questions and
    guesses for every set of things that are still possible.

    ## Episode End
    A right guess, or six turns.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | things | 8 | how many, 2 to 12 |
    | turns | 6 | questions and guesses, 1 to 10 |
    | seed | 0 | of the small world |

    ## Version History
    - v0: first version.

    >>> task = TwentyQuestions("test")
    >>> round(task.best_reward(), 2), round(task.random_reward(), 2)
    (0.75, 0.25)
    """

    name: ClassVar[str] = "TwentyQuestions"
    variants: ClassVar[tuple[Mapping[str, int], ...]] = ({"things": 4}, {"things": 8}, {"things": 12})
    partner: ClassVar[FunctionPartner] = answers
    words_of_a_turn: ClassVar[int] = 2
    turn_template: ClassVar[tuple[str, str]] = ("\n", "\nAsk:")

    def __init__(self, split: str = "train", *, things: int = 8, turns: int = 6, seed: int = 0) -> None:
        self.things = count("things", things, least=2, most=12)
        self.max_turns = count("turns", turns, least=1, most=10)
        self.max_prompt_tokens, self.max_new_tokens = 16 + 4 * self.things, 12 * self.max_turns
        super().__init__(split, seed=seed)

    def grammar(self, draw: Draw) -> Rendered:
        colors, items = draw.sample(lex.COLORS, KINDS), draw.sample(ITEMS, KINDS)
        pairs = tuple(f"{color} {item}" for color in colors for item in items)
        things = tuple(draw.sample(pairs, self.things))
        return Rendered(f"Things: {', '.join(things)}\nAsk:", (), {"things": things})

    def vocabulary(self) -> tuple[str, ...]:
        return (*lex.COLORS, *ITEMS)

    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        things = tuple(prompt.metadata["things"])
        return (*words(things), *things)

    def best_return(self, prompt: Prompt) -> float:
        return _value(sum(_cells(prompt).values()), 1, self.max_turns)

    def random_return(self, prompt: Prompt) -> float:
        right = 1 / len(self.utterances(prompt))  # at each turn, whatever was said before
        turns = range(1, self.max_turns + 1)
        return sum((1 - right) ** (turn - 1) * right * (1 - COST * (turn - 1)) for turn in turns)

    def oracle(self, dialogue: Dialogue) -> str:
        cells = _cells(dialogue.prompt)
        possible, fitting = sum(cells.values()), {text: _fitting(cells, text) for text in (*words([*cells]), *cells)}
        for turn, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=True):
            if said := asked(turn.text, [*cells]):
                possible &= fitting[said] if reply.text == "yes" else ~fitting[said]
        move = _best(possible, len(dialogue.said) + 1, self.max_turns)[1]
        return next((text for text in reversed(fitting) if fitting[text] & possible == move), next(iter(cells)))


# The things are cells of a grid of colors and kinds, one bit each, so that equal games are searched once.

LINES = tuple(
    sum(1 << KINDS * row + column for row, column in itertools.product(rows, columns))
    for side in range(KINDS)
    for rows, columns in (([side], range(KINDS)), (range(KINDS), [side]))
)
ORDERS = [
    [sum((line >> column & 1) << place for place, column in enumerate(order)) for line in range(1 << KINDS)]
    for order in itertools.permutations(range(KINDS))
]


def _cells(prompt: Prompt) -> dict[str, int]:
    """The bit of each thing."""
    things = [str(thing) for thing in prompt.metadata["things"]]
    rows, columns = ([*dict.fromkeys(thing.split()[word] for thing in things)] for word in (0, 1))
    places = [(rows.index(color), columns.index(item)) for color, item in map(str.split, things)]
    return {thing: 1 << KINDS * row + column for thing, (row, column) in zip(things, places, strict=True)}


def _fitting(cells: Mapping[str, int], said: str) -> int:
    """The things for which the answer to a word or a name is yes."""
    return sum(cell for thing, cell in cells.items() if said == thing or said in thing.split())


@cache
def _canonical(possible: int) -> int:
    """The same number for grids that differ in the order of their rows or columns."""
    rows = [possible >> KINDS * row & (1 << KINDS) - 1 for row in range(KINDS)]
    ordered = min(sorted(order[row] for row in rows) for order in ORDERS)
    return sum(row << KINDS * place for place, row in enumerate(ordered))


def _value(possible: int, turn: int, turns: int) -> float:
    """The best mean return from this turn on, where the bits of ``possible`` say what it may be."""
    return _known_value(_canonical(possible), turn, turns)


@cache
def _known_value(possible: int, turn: int, turns: int) -> float:
    return _best(possible, turn, turns)[0]


def _best(possible: int, turn: int, turns: int) -> tuple[float, int]:
    """The best mean return from this turn on, and the cells for which the answer to the best move is yes."""
    if turn > turns or not possible:
        return 0.0, 0
    number, best = possible.bit_count(), (-1.0, 0)
    for cell in (1 << place for place in range(KINDS * KINDS)):
        if cell & possible:
            later = (number - 1) * _value(possible & ~cell, turn + 1, turns)
            best = max(best, ((1 - COST * (turn - 1) + later) / number, cell))
    for line in LINES:
        yes, no = possible & line, possible & ~line
        if yes and no:
            values = [part.bit_count() * _value(part, turn + 1, turns) for part in (yes, no)]
            best = max(best, (sum(values) / number, yes))
    return best
