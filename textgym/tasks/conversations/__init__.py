"""Tasks of several turns, each with a partner of its own, and its best and its random return computed.

A task is a file here, with its import and its row in ``CONVERSATIONS``: its id and its row in the
guide's table follow. ``CustomerService``, whose customers are those of a dataset, has no id of its own.
"""

from textgym.tasks.conversations.base import ConversationTask
from textgym.tasks.conversations.customer_service import CustomerService
from textgym.tasks.conversations.haggle import Haggle
from textgym.tasks.conversations.recall import Recall
from textgym.tasks.conversations.shop import Shop
from textgym.tasks.conversations.twenty_questions import TwentyQuestions
from textgym.tasks.conversations.wordle import Wordle3

__all__ = [
    "CONVERSATIONS",
    "ConversationTask",
    "CustomerService",
    "Haggle",
    "Recall",
    "Shop",
    "TwentyQuestions",
    "Wordle3",
]

CONVERSATIONS: dict[str, type[ConversationTask]] = {
    "TwentyQuestions": TwentyQuestions,
    "Shop": Shop,
    "Haggle": Haggle,
    "Wordle3": Wordle3,
    "Recall": Recall,
}
