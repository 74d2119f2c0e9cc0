"""Recall: say what was said some turns ago, after other things were said.

Colors: red, blue, green, white.
You: red                                the policy: anything
The lamp is blue.                       the partner, at the first turn
You: red
The cup is green.                       another thing
You: red
Go on.
You: red
Which color is the lamp?                three turns later
You: blue
yes                                     the end, with 1
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textgym.arguments import count
from textgym.core import Prompt
from textgym.dialogue import Dialogue, FunctionPartner, Reply, partner
from textgym.tasks.conversations.base import ConversationTask
from textgym.world import Draw, Rendered
from textgym.world import lexicon as lex

MOST = 10  # turns between what is said and the question


@partner
def talks(dialogue: Dialogue) -> Reply:
    """Says the color of a thing, then others or nothing new, then asks for the first one."""
    facts, turn = dialogue.prompt.metadata, len(dialogue.said)
    colors, distance, distractors = list(facts["colors"]), int(facts["distance"]), int(facts["distractors"])
    drawn = dialogue.generator()
    things = [str(thing) for thing in drawn.permutation(lex.THINGS)]
    color = str(drawn.choice(colors))
    others = [str(other) for other in drawn.choice([one for one in colors if one != color], distractors)]
    places = [2 + int(place) for place in drawn.permutation(distance - 1)[:distractors]]
    if turn == 1:
        return Reply(f"The {things[0]} is {color}.")
    if turn in places:
        other = places.index(turn)
        return Reply(f"The {things[1 + other]} is {others[other]}.")
    if turn <= distance:
        return Reply("Go on.")
    if turn == distance + 1:
        return Reply(f"Which color is the {things[0]}?")
    right = named_color(dialogue.said[-1], colors) == color
    return Reply("yes" if right else "no", float(right), done=True)


def named_color(text: str, colors: Sequence[str]) -> str:
    """The first of the colors in a turn; empty if it has none.

    >>> named_color(" It is blue, not red.", ["red", "blue"])
    'blue'
    """
    return next((word for word in re.findall(r"\w+", text.lower()) if word in colors), "")


class Recall(ConversationTask):
    """Answer a question about what was said three turns before.

    ## Description
    A prompt lists four colors. After the first turn, whatever it is, the partner says a thing's color. Then it goes on,
    and says the colors of as many other things as there are distractors. Then it asks for the first thing's color.

    ## Rewards
    1 for the first color in the answer, if it is right. The best policy gets it always, a random one as often as it
    guesses it.

    ## Episode End
    The answer.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | distance | 3 | turns from what is said to the question, 1 to 10 |
    | distractors | 1 | other things in between, less than distance |
    | colors | 4 | of a prompt, 2 to 8 |
    | seed | 0 | of the small world |

    ## Version History
    - v0: first version.

    >>> task = Recall("test")
    >>> task.best_reward(), task.random_reward()
    (1.0, 0.25)
    """

    name: ClassVar[str] = "Recall"
    variants: ClassVar[tuple[Mapping[str, int], ...]] = (
        {"distance": 1, "distractors": 0},
        {"distance": 3, "distractors": 1},
        {"distance": 8, "distractors": 6},
    )
    partner: ClassVar[FunctionPartner] = talks
    words_of_a_turn: ClassVar[int] = 1
    turn_template: ClassVar[tuple[str, str]] = ("\n", "\nYou:")
    max_prompt_tokens = 32

    def __init__(
        self, split: str = "train", *, distance: int = 3, distractors: int = 1, colors: int = 4, seed: int = 0
    ) -> None:
        self.distance = count("distance", distance, least=1, most=MOST)
        self.distractors = count("distractors", distractors, least=0, most=self.distance - 1)
        self.colors = count("colors", colors, least=2, most=8)
        self.max_turns = self.distance + 2
        self.max_new_tokens = 16 * self.max_turns
        super().__init__(split, seed=seed)

    def grammar(self, draw: Draw) -> Rendered:
        colors = tuple(draw.sample(lex.COLORS, self.colors))
        facts = {"colors": colors, "distance": self.distance, "distractors": self.distractors}
        return Rendered(f"Colors: {', '.join(colors)}.\nYou:", (), facts)

    def vocabulary(self) -> tuple[str, ...]:
        return lex.COLORS

    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        return tuple(prompt.metadata["colors"])

    def best_return(self, prompt: Prompt) -> float:
        return 1.0

    def random_return(self, prompt: Prompt) -> float:
        return 1 / len(self.utterances(prompt))

    def oracle(self, dialogue: Dialogue) -> str:
        heard = [turn.text for turn in dialogue.turns if turn.speaker == "partner"]
        said = heard[0] if heard else ""
        return named_color(said, self.utterances(dialogue.prompt)) or self.utterances(dialogue.prompt)[0]
