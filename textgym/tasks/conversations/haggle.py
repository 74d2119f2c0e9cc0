"""Haggle: sell a thing for as much as the customer will pay, without the customer's highest price.

You sell: red bag. 1 to 20 coins.
Price: 14                               the policy
Too much.                               the partner, who pays 9 at most
Price: 8
Deal.                                   the end, with 8 / 20
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

from textgym.arguments import count
from textgym.core import Prompt
from textgym.dialogue import Dialogue, FunctionPartner, Reply, partner
from textgym.tasks.conversations.base import ConversationTask
from textgym.tasks.conversations.twenty_questions import ITEMS
from textgym.world import Draw, Rendered
from textgym.world import lexicon as lex


@partner
def buys(dialogue: Dialogue) -> Reply:
    """Takes the first price that is not above the one in mind, which is any from 1 on with the same chance."""
    highest = int(dialogue.prompt.metadata["highest"])
    most = 1 + int(dialogue.generator().integers(highest))
    price = named_price(dialogue.said[-1])
    if not 1 <= price <= highest:
        return Reply(f"A price from 1 to {highest}, please.")
    return Reply("Deal.", price / highest, done=True) if price <= most else Reply("Too much.")


def named_price(text: str) -> int:
    """The first number of a turn; 0 if there is none.

    >>> named_price(" What about 12?"), named_price(" Hello!")
    (12, 0)
    """
    number = re.search(r"\d+", text)
    return int(number[0][:9]) if number else 0


class Haggle(ConversationTask):
    """Sell a thing for as much as the customer will pay, in three offers.

    ## Description
    The customer has a highest price in mind, from 1 to 20 coins with the same chance, and takes the first offer that is
    not above it. A turn offers the first number in it.

    ## Rewards
    The price as a share of 20, at the deal; without one there is none. The best policy is computed for every number of
    offers and every highest price that is still possible. With prices of any fraction its return is n / (2 (n + 1)) for
    n offers, 3/8 for three.

    ## Episode End
    The deal, or three offers.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train", "validation" or "test" |
    | highest | 20 | coins that a customer may have in mind, 2 to 99 |
    | turns | 3 | offers, 1 to 10 |
    | seed | 0 | of the small world |

    ## Version History
    - v0: first version.

    >>> task = Haggle("test")
    >>> round(task.best_reward(), 2), round(task.random_reward(), 2)
    (0.41, 0.26)
    """

    name: ClassVar[str] = "Haggle"
    variants: ClassVar[tuple[Mapping[str, int], ...]] = ({"turns": 1}, {"turns": 3}, {"turns": 6})
    partner: ClassVar[FunctionPartner] = buys
    words_of_a_turn: ClassVar[int] = 1
    turn_template: ClassVar[tuple[str, str]] = ("\n", "\nPrice:")
    max_prompt_tokens = 24

    def __init__(self, split: str = "train", *, highest: int = 20, turns: int = 3, seed: int = 0) -> None:
        self.highest = count("highest", highest, least=2, most=99)
        self.max_turns = count("turns", turns, least=1, most=10)
        self.max_new_tokens = 16 * self.max_turns
        super().__init__(split, seed=seed)

    def grammar(self, draw: Draw) -> Rendered:
        thing = f"{draw.pick(lex.CONDITIONS)} {draw.pick(lex.COLORS)} {draw.pick(ITEMS)}"
        facts = {"thing": thing, "highest": self.highest}
        return Rendered(f"You sell: {thing}. 1 to {self.highest} coins.\nPrice:", (), facts)

    def vocabulary(self) -> tuple[str, ...]:
        return tuple(str(price) for price in range(1, self.highest + 1))

    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        return self.vocabulary()

    def best_return(self, prompt: Prompt) -> float:
        return _best(self.highest, self.max_turns, self.highest)[0]

    def random_return(self, prompt: Prompt) -> float:
        total, highest = 0.0, self.highest
        for most in range(1, highest + 1):
            deal = sum(price / highest for price in range(1, most + 1)) / highest
            total += deal * sum((1 - most / highest) ** turn for turn in range(self.max_turns))
        return total / highest

    def oracle(self, dialogue: Dialogue) -> str:
        prices = [named_price(text) for text in dialogue.said]
        refused = [price for price in prices if 1 <= price <= self.highest]
        most = min([self.highest + 1, *refused]) - 1
        return str(_best(most, self.max_turns - len(dialogue.said), self.highest)[1])


@lru_cache
def _best(most: int, turns: int, highest: int) -> tuple[float, int]:
    """The best mean return and the price to name, where the customer pays up to any of 1 to ``most``."""
    if turns == 0 or most == 0:
        return 0.0, 1
    return max(
        (
            ((most - price + 1) * price / highest + (price - 1) * _best(price - 1, turns - 1, highest)[0]) / most,
            price,
        )
        for price in range(1, most + 1)
    )
