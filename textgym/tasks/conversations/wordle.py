"""Wordle3: find a word of three letters; each guess says which of its letters are right.

Letters: b, t, k and a, e.
Word: b a t                             the policy: consonant, vowel, consonant
near yes no                             "b" is in the word at another place, "a" is right, there is no "t"
Word: k a b
yes yes yes                             the end, with 0.9: one guess before it
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

COST = 0.1  # of a turn
CONSONANTS, VOWELS = "bdkmt", "aeo"
VOWELS_OF_A_PROMPT = 2


@partner
def marks(dialogue: Dialogue) -> Reply:
    """A mark for each letter of a guess; the right word is the end, and worth 0.1 less for each turn before."""
    listed = words(str(dialogue.prompt.metadata["consonants"]), str(dialogue.prompt.metadata["vowels"]))
    secret = listed[int(dialogue.generator().integers(len(listed)))]
    guess = guessed(dialogue.said[-1])
    if guess not in listed:
        return Reply("what?")
    right = guess == secret
    return Reply(marked(guess, secret), right * (1 - COST * (len(dialogue.said) - 1)), done=right)


def words(consonants: str, vowels: str) -> tuple[str, ...]:
    """All words of a consonant, a vowel and a consonant.

    >>> words("bt", "a")
    ('bab', 'bat', 'tab', 'tat')
    """
    return tuple(map("".join, itertools.product(consonants, vowels, consonants)))


def guessed(text: str) -> str:
    """The first three letters of a turn.

    >>> guessed(" b a t"), guessed("Bat?")
    ('bat', 'bat')
    """
    return "".join(re.findall(r"[a-z]", text.lower())[:3])


def marked(guess: str, secret: str) -> str:
    """The mark of each letter: "yes", "near" (at another place) or "no". A letter of the word is for one mark.

    >>> marked("bat", "tab"), marked("bab", "bat"), marked("tat", "bat")
    ('near yes near', 'yes yes no', 'no yes yes')
    """
    left = [letter for letter, right in zip(secret, guess, strict=True) if letter != right]
    said = []
    for letter, right in zip(guess, secret, strict=True):
        near = letter != right and letter in left
        if near:
            left.remove(letter)
        said.append("yes" if letter == right else "near" if near else "no")
    return " ".join(said)


class Wordle3(ConversationTask):
    """Find a word of three letters by guesses whose letters are marked.

    ## Description
    A prompt lists consonants and vowels. The partner has one word in mind of all those that are a consonant, a vowel
    and a consonant. A turn guesses the word of its first three letters, with or without spaces between them, and each
    letter is marked: "yes", "near" (the word has it at another place) or "no".

    ## Rewards
    The right word: 1, less 0.1 for each turn before it. The best policy is computed by searching all guesses for every
    set of words that are still possible.

    ## Episode End
    The right word, or six turns.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | letters | 3 | consonants, 2 to 5: there are 2 letters² words |
    | turns | 6 | guesses, 1 to 10 |
    | seed | 0 | of the small world |

    ## Version History
    - v0: first version.

    >>> task = Wordle3("test")
    >>> round(task.best_reward(), 2), round(task.random_reward(), 2)
    (0.88, 0.22)
    """

    name: ClassVar[str] = "Wordle3"
    variants: ClassVar[tuple[Mapping[str, int], ...]] = ({"letters": 2}, {"letters": 3}, {"letters": 4})
    partner: ClassVar[FunctionPartner] = marks
    words_of_a_turn: ClassVar[int] = 3
    turn_template: ClassVar[tuple[str, str]] = ("\n", "\nWord:")
    max_prompt_tokens = 32

    def __init__(self, split: str = "train", *, letters: int = 3, turns: int = 6, seed: int = 0) -> None:
        self.letters = count("letters", letters, least=2, most=len(CONSONANTS))
        self.max_turns = count("turns", turns, least=1, most=10)
        self.max_new_tokens = 16 * self.max_turns
        super().__init__(split, seed=seed)

    def grammar(self, draw: Draw) -> Rendered:
        consonants, vowels = draw.sample(CONSONANTS, self.letters), draw.sample(VOWELS, VOWELS_OF_A_PROMPT)
        facts = {"consonants": "".join(consonants), "vowels": "".join(vowels)}
        return Rendered(f"Letters: {', '.join(consonants)} and {', '.join(vowels)}.\nWord:", (), facts)

    def vocabulary(self) -> tuple[str, ...]:
        return (*CONSONANTS, *VOWELS)

    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        return tuple(map(" ".join, self._words(prompt)))

    @staticmethod
    def _words(prompt: Prompt) -> tuple[str, ...]:
        return words(str(prompt.metadata["consonants"]), str(prompt.metadata["vowels"]))

    def best_return(self, prompt: Prompt) -> float:
        number = len(self._words(prompt))
        return _best(self.letters, (1 << number) - 1, 1, self.max_turns)[0]

    def random_return(self, prompt: Prompt) -> float:
        right = 1 / len(self._words(prompt))  # at each turn, whatever was said before
        turns = range(1, self.max_turns + 1)
        return sum((1 - right) ** (turn - 1) * right * (1 - COST * (turn - 1)) for turn in turns)

    def oracle(self, dialogue: Dialogue) -> str:
        listed = self._words(dialogue.prompt)
        possible = sum(
            1 << place
            for place, word in enumerate(listed)
            if all(
                marked(guess, word) == reply.text
                for turn, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=True)
                if (guess := guessed(turn.text)) in listed
            )
        )
        return " ".join(listed[_best(self.letters, possible, len(dialogue.said) + 1, self.max_turns)[1]])


@cache
def _partitions(letters: int) -> Sequence[Sequence[int]]:
    """For each guess the sets of words, as bits, that get each mark; the guess itself comes first."""
    listed = words("bcdfg"[:letters], "ae")  # which letters they are makes no difference
    partitions = []
    for guess in listed:
        parts = {marked(guess, guess): 0}
        for place, word in enumerate(listed):
            mark = marked(guess, word)
            parts[mark] = parts.get(mark, 0) | 1 << place
        partitions.append(tuple(parts.values()))
    return partitions


@cache
def _best(letters: int, possible: int, turn: int, turns: int) -> tuple[float, int]:
    """The best mean return from this turn on, where the bits of ``possible`` say what it may be, and which to guess."""
    if turn > turns:
        return 0.0, 0
    number, best = possible.bit_count(), (-1.0, 0)
    now, soon = 1 - COST * (turn - 1), 1 - COST * turn
    for guess, parts in enumerate(_partitions(letters)):
        hit = parts[0] & possible
        if not hit and number <= 2:
            continue  # a guess that may be right is as good
        limit = (now + (number - 1) * soon) / number if hit else soon
        if limit <= best[0]:
            continue
        total = now if hit else 0.0
        for part in parts[1:]:
            if (rest := part & possible) == possible:
                break  # it says nothing
            if rest:
                total += rest.bit_count() * _best(letters, rest, turn + 1, turns)[0]
        else:
            best = max(best, (total / number, guess))
    return best
