"""A customer with a goal: slots to fill, said when asked for, or one after the other from a stack.

I need help.                            the prompt
Which city, and on which day?           the policy asks for "city" and "day"
The city is Oakford. The day is Monday. the customer informs, and takes both from the stack
A ticket to Oakford on Monday.          the policy says the values: 1, half of it for each
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from textgym.core import Prompt
from textgym.dialogue import Dialogue, Reply
from textgym.errors import ConfigError, PartnerError

GOAL = "goal"  # in a prompt's metadata


class Agenda:
    """A simulated customer after Schatzmann et al. (2007): a goal of slots, and a stack of what is yet to be said.

    A turn that has the name of a slot asks for it, and the customer informs. A turn that asks for nothing gets what is
    on top of the stack, whose order follows from the episode's seed. A turn that says a slot's value serves it: each of
    n slots is worth 1 / n, once. When all are served the customer thanks and the conversation is over.

    The customer has no other ears than these words: what a person would take from "when?" it does not.

    Args:
        noise: with this chance a turn is not understood: it counts for nothing, and the customer asks for it again.

    Raises:
        ConfigError: ``noise`` is no number from 0 up to 1.

    >>> import textgym
    >>> agenda = Agenda()
    >>> env = textgym.TextGenerationEnv(agenda.prompts([{"day": "Monday", "city": "Oakford"}]), partner=agenda,
    ...     max_turns=4, max_prompt_tokens=32, max_new_tokens=128)
    >>> env = textgym.wrappers.CompletionAction(env)
    >>> observation, info = env.reset(seed=0)
    >>> for text in (" Which day?", " Monday. To which city?", " To Oakford on Monday."):
    ...     observation, reward, terminated, truncated, info = env.step(text)
    ...     print(info["turns"][-1].text, reward, terminated)
    The day is Monday. 0.0 False
    The city is Oakford. 0.5 False
    Yes, thank you. 0.5 True
    """

    def __init__(self, noise: float = 0.0) -> None:
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < 1:
            raise ConfigError(f"noise={noise!r} makes no sense, expected a number from 0 up to 1, without 1.")
        self.noise = noise

    def prompts(self, goals: Iterable[Mapping[str, str]], text: str = "Customer: I need help.\nClerk:") -> list[Prompt]:
        """A task of one episode for each goal, slot -> value, such as those of Schema-Guided Dialogue.

        Raises:
            ConfigError: a goal is empty or has something else than texts.
        """
        return [Prompt(text, metadata={GOAL: _checked(goal)}) for goal in goals]

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply]:
        return [self._reply(dialogue) for dialogue in dialogues]

    def _reply(self, dialogue: Dialogue) -> Reply:
        if GOAL not in dialogue.prompt.metadata:
            raise PartnerError(f"Agenda needs a prompt with metadata[{GOAL!r}]: make prompts by Agenda.prompts.")
        goal: Mapping[str, str] = dialogue.prompt.metadata[GOAL]
        stack = [str(slot) for slot in dialogue.generator().permutation(sorted(goal))]
        served: set[str] = set()
        reply = Reply()
        for turn, text in enumerate(dialogue.said):  # the turns again, from the first
            reply = self._hear(text, goal, stack, served, dialogue.generator(turn))
        return reply

    def _hear(
        self, text: str, goal: Mapping[str, str], stack: list[str], served: set[str], generator: np.random.Generator
    ) -> Reply:
        """One turn: what is served is added to ``served``, and what is said is taken from the stack."""
        if generator.random() < self.noise:
            return Reply("Sorry, what?")
        new = {slot for slot, value in goal.items() if slot not in served and _has(text, value)}
        served |= new
        reward = len(new) / len(goal)
        if len(served) == len(goal):
            return Reply("Yes, thank you.", reward, done=True)
        asked = [slot for slot in goal if _has(text, _words(slot))]
        informs = asked or stack[-1:]
        stack[:] = [slot for slot in stack if slot not in informs]
        said = " ".join(f"The {_words(slot)} is {goal[slot]}." for slot in informs)
        return Reply(said or "That is all.", reward)

    def __repr__(self) -> str:
        return f"Agenda(noise={self.noise!r})"


def _checked(goal: object) -> dict[str, str]:
    if not isinstance(goal, Mapping) or not goal:
        raise ConfigError(f"The goal {goal!r} has no slots, expected a dict of slots and their values.")
    for slot, value in goal.items():
        if not isinstance(slot, str) or not isinstance(value, str) or not slot.strip() or not value.strip():
            raise ConfigError(f"The goal {dict(goal)!r} has {slot!r}: {value!r}, expected two texts.")
    return dict(goal)


def _words(slot: str) -> str:
    return slot.replace("_", " ")


def _has(text: str, words: str) -> bool:
    """Whether ``words`` occur in ``text`` as words, in any case."""
    return re.search(rf"(?<!\w){re.escape(words.lower())}(?!\w)", text.lower()) is not None
