"""TwentyQuestions: find out which of eight things it is, by asking for one word at a time.

Things: red bag, blue bag, red hat, old mug, ...
Ask: red                                the policy: a word of the list
yes                                     the partner
Ask: red hat                            a whole name is a guess
yes                                     the end, with 0.9: one question before it
"""

import re
from functools import lru_cache
from typing import ClassVar

from textgym.core import Prompt
from textgym.dialogue import Dialogue, FunctionPartner, Reply, partner
from textgym.tasks.conversations.base import ConversationTask
from textgym.world import Draw, Rendered
from textgym.world import lexicon as lex

THINGS, WORDS_OF_A_KIND, TURNS, COST = 8, 4, 6, 0.1
ITEMS = tuple(dict.fromkeys(item for items in lex.MATERIALS.values() for item in items))


@partner
def answers(dialogue: Dialogue) -> Reply:
    """Yes or no to a word or a name of the list; a right name is the end, and worth 0.1 less for each turn before."""
    things = tuple(dialogue.prompt.metadata["things"])
    secret = things[int(dialogue.generator().integers(len(things)))]
    said = asked(dialogue.said[-1])
    if said == secret:
        return Reply("yes", 1 - COST * (len(dialogue.said) - 1), done=True)
    if said in things:
        return Reply("no")
    if said in words(things):
        return Reply("yes" if said in secret.split() else "no")
    return Reply("what?")


def asked(text: str) -> str:
    """What a turn asks for, without case, punctuation and the words around it.

    >>> asked(" Is it a red hat?"), asked(" red")
    ('red hat', 'red')
    """
    return re.sub(r"^is it (an? |the )?", "", " ".join(re.findall(r"\w+", text.lower())))


def words(things: tuple[str, ...]) -> tuple[str, ...]:
    """The different words of names, in their order."""
    return tuple(dict.fromkeys(word for thing in things for word in thing.split()))


class TwentyQuestions(ConversationTask):
    """Find out which of eight things it is.

    A prompt lists eight things, each of a color and a kind. The partner has one of them in mind. A turn that is a word
    of the list is a question, answered by "yes" or "no"; a name is a guess. A right guess ends the episode with a
    reward of 1, less 0.1 for each turn before it. After six turns it is over.

    The best policy is computed by searching all questions and guesses for every set of things that are still possible.

    >>> task = TwentyQuestions("test")
    >>> round(task.best_reward(), 2), round(task.random_reward(), 2)
    (0.75, 0.25)
    """

    name = "TwentyQuestions"
    max_prompt_tokens = 48
    max_new_tokens = 72
    partner: ClassVar[FunctionPartner] = answers
    max_turns = TURNS
    turn_template = ("\n", "\nAsk:")

    @staticmethod
    def grammar(draw: Draw) -> Rendered:
        colors, items = draw.sample(lex.COLORS, WORDS_OF_A_KIND), draw.sample(ITEMS, WORDS_OF_A_KIND)
        pairs = tuple(f"{color} {item}" for color in colors for item in items)
        things = tuple(draw.sample(pairs, THINGS))
        return Rendered(f"Things: {', '.join(things)}\nAsk:", (), {"things": things})

    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        things = tuple(prompt.metadata["things"])
        return (*words(things), *things)

    def best_return(self, prompt: Prompt) -> float:
        things = tuple(prompt.metadata["things"])
        return _search(things, (1 << len(things)) - 1, 1)[0]

    def random_return(self, prompt: Prompt) -> float:
        right = 1 / len(self.utterances(prompt))  # at each turn, whatever was said before
        return sum((1 - right) ** (turn - 1) * right * (1 - COST * (turn - 1)) for turn in range(1, TURNS + 1))

    def oracle(self, dialogue: Dialogue) -> str:
        things = tuple(dialogue.prompt.metadata["things"])
        possible = (1 << len(things)) - 1
        for turn, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=True):
            fitting = _fitting(things, asked(turn.text))
            if reply.text in ("yes", "no"):
                possible &= fitting if reply.text == "yes" else ~fitting
        return _search(things, possible, len(dialogue.said) + 1)[1]


def _fitting(things: tuple[str, ...], said: str) -> int:
    """The things, as bits, for which the answer to a word or a name is yes."""
    return sum(1 << i for i, thing in enumerate(things) if said == thing or said in thing.split())


@lru_cache(maxsize=1 << 16)
def _search(things: tuple[str, ...], possible: int, turn: int) -> tuple[float, str]:
    """The best mean return from this turn on, where the bits of ``possible`` say what it may be, and what to say."""
    if turn > TURNS:
        return 0.0, things[0]
    count, best = possible.bit_count(), (-1.0, "")
    for i, thing in enumerate(things):
        if possible >> i & 1:
            rest = possible & ~(1 << i)
            later = (count - 1) * _search(things, rest, turn + 1)[0] if rest else 0.0
            best = max(best, ((1 - COST * (turn - 1) + later) / count, thing))
    for word in words(things):
        yes = possible & _fitting(things, word)
        if yes and yes != possible:
            values = [part.bit_count() * _search(things, part, turn + 1)[0] for part in (yes, possible & ~yes)]
            best = max(best, (sum(values) / count, word))
    return best
