"""A partner that says its lines in their order, whatever the policy says."""

from collections.abc import Sequence

from textgym.dialogue import Dialogue, Reply
from textgym.errors import ConfigError


class Scripted:
    """Says its lines in order, and ends the conversation with the last one.

    Args:
        lines: texts, or ``Reply`` objects for rewards and ends of their own.

    Raises:
        ConfigError: there is no line, or one is neither a text nor a reply.

    >>> import textgym
    >>> env = textgym.TextGenerationEnv([textgym.Prompt("Hello!")], partner=Scripted(["How are you?", "Bye."]),
    ...     max_prompt_tokens=8, max_new_tokens=64, max_turns=9)
    >>> env = textgym.wrappers.CompletionAction(env)
    >>> observation, info = env.reset(seed=0)
    >>> for text in (" Hi.", " Fine."):
    ...     observation, reward, terminated, truncated, info = env.step(text)
    >>> [turn.text for turn in info["turns"]], info["finish_reason"]
    ([' Hi.', 'How are you?', ' Fine.', 'Bye.'], 'done')
    """

    def __init__(self, lines: Sequence[str | Reply]) -> None:
        if isinstance(lines, str) or not lines or not all(isinstance(line, str | Reply) for line in lines):
            raise ConfigError(f"lines={lines!r} is no script, expected a list of texts or textgym.Reply objects.")
        self.lines = tuple(Reply(line) if isinstance(line, str) else line for line in lines)

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply]:
        return [self._reply(len(dialogue.said) - 1) for dialogue in dialogues]

    def _reply(self, number: int) -> Reply:
        last = len(self.lines) - 1
        line = self.lines[min(number, last)]
        return Reply(line.text, line.reward, line.done or number >= last, line.info)

    def __repr__(self) -> str:
        return f"Scripted({[line.text for line in self.lines]!r})"
