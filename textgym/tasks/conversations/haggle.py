"""Haggle: sell a thing for as much as the customer will pay, without knowing how much that is.

You sell a red bag for 1 to 20 coins.
Price: 14                               the policy
Too much.                               the partner, who pays 9 at most
Price: 8
Deal.                                   the end, with 8 / 20
"""

import re
from functools import lru_cache
from typing import ClassVar

from textgym.core import Prompt
from textgym.dialogue import Dialogue, FunctionPartner, Reply, partner
from textgym.tasks.conversations.base import ConversationTask
from textgym.tasks.conversations.twenty_questions import ITEMS
from textgym.world import Draw, Rendered
from textgym.world import lexicon as lex

HIGHEST, TURNS = 20, 3


@partner
def buys(dialogue: Dialogue) -> Reply:
    """Takes the first price that is not above the one in mind, which is any from 1 to 20 with the same chance."""
    most = 1 + int(dialogue.generator().integers(HIGHEST))
    number = re.search(r"\d+", dialogue.said[-1])
    price = int(number[0][:9]) if number else 0
    if not 1 <= price <= HIGHEST:
        return Reply(f"A price from 1 to {HIGHEST}, please.")
    return Reply("Deal.", price / HIGHEST, done=True) if price <= most else Reply("Too much.")


class Haggle(ConversationTask):
    """Sell a thing in three offers.

    The customer has a highest price in mind, from 1 to 20 coins with the same chance, and takes the first offer that is
    not above it. The reward is the price over 20; without a deal there is none.

    The best policy is computed for every number of offers and every highest price that is still possible. With prices
    of any fraction its return is n / (2 (n + 1)) for n offers, 3/8 for these three.

    >>> task = Haggle("test")
    >>> round(task.best_reward(), 2), round(task.random_reward(), 2)
    (0.41, 0.26)
    """

    name = "Haggle"
    max_prompt_tokens = 24
    max_new_tokens = 48
    partner: ClassVar[FunctionPartner] = buys
    max_turns = TURNS
    turn_template = ("\n", "\nPrice:")

    @staticmethod
    def grammar(draw: Draw) -> Rendered:
        thing = f"{draw.pick(lex.CONDITIONS)} {draw.pick(lex.COLORS)} {draw.pick(ITEMS)}"
        return Rendered(f"You sell: {thing}. 1 to {HIGHEST} coins.\nPrice:", (), {"thing": thing})

    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        return tuple(str(price) for price in range(1, HIGHEST + 1))

    def best_return(self, prompt: Prompt) -> float:
        return _best(HIGHEST, TURNS)[0]

    def random_return(self, prompt: Prompt) -> float:
        total = 0.0
        for most in range(1, HIGHEST + 1):
            deal = sum(price / HIGHEST for price in range(1, most + 1)) / HIGHEST
            total += deal * sum((1 - most / HIGHEST) ** turn for turn in range(TURNS))
        return total / HIGHEST

    def oracle(self, dialogue: Dialogue) -> str:
        refused = [int(text) for text in dialogue.said if text.strip().isdigit()]
        return str(_best(min([HIGHEST + 1, *refused]) - 1, TURNS - len(dialogue.said))[1])


@lru_cache
def _best(most: int, turns: int) -> tuple[float, int]:
    """The best mean return and the price to name, where the customer pays up to any of 1 to ``most``."""
    if turns == 0 or most == 0:
        return 0.0, 1
    return max(
        (((most - price + 1) * price / HIGHEST + (price - 1) * _best(price - 1, turns - 1)[0]) / most, price)
        for price in range(1, most + 1)
    )
