"""Tasks of several turns, each with a partner of its own, and its best and its random return computed.

They have no id: ``textgym.TextGenerationEnv(TwentyQuestions())`` plays one.
"""

from textgym.tasks.conversations.base import ConversationTask
from textgym.tasks.conversations.haggle import Haggle
from textgym.tasks.conversations.twenty_questions import TwentyQuestions

__all__ = ["CONVERSATIONS", "ConversationTask", "Haggle", "TwentyQuestions"]

CONVERSATIONS: dict[str, type[ConversationTask]] = {"TwentyQuestions": TwentyQuestions, "Haggle": Haggle}
