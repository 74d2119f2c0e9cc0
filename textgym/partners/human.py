"""A person at the terminal as the partner."""

from collections.abc import Sequence

from textgym.dialogue import Dialogue, Reply
from textgym.rendering import visible


class Human:
    """Shows each turn of the policy and asks for a reply. Ctrl-D ends the conversation.

    A person is no pure function: what was said is saved with an environment's state, and is never asked for again.

    Args:
        name: what comes before the person's line.
    """

    def __init__(self, name: str = "You") -> None:
        self.name = name

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply]:
        return [self._asked(dialogue) for dialogue in dialogues]

    def _asked(self, dialogue: Dialogue) -> Reply:
        if len(dialogue.turns) == 1:
            print(visible(dialogue.prompt.text))
        print(f"> {visible(dialogue.said[-1].strip())}")
        try:
            return Reply(input(f"{self.name}: "))
        except EOFError:
            print()
            return Reply(done=True)

    def __repr__(self) -> str:
        return f"Human({self.name!r})"
