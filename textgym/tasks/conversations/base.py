"""What tasks of several turns have in common: prompts of the small world, and the returns of two known policies."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from textgym.core import Prompt
from textgym.dialogue import Dialogue, FunctionPartner
from textgym.tasks.prompts import WorldPrompts
from textgym.world import Draw, Rendered

HELD_OUT = 50  # prompts that a mean return is computed over


class ConversationTask(ABC):
    """Base of the tasks of several turns: a :class:`textgym.Task` with a partner, which gives all reward there is.

    What the partner hides follows from the episode's seed: the same prompt is another game in another episode.

    Attributes:
        partner: replies to the policy.
        max_turns: of the policy.
        turn_template: what comes before and after a reply.

    Args:
        split: "train", "validation" or "test" of the small world.
        seed: of the small world.

    Raises:
        ConfigError: there is no such split.
        SeedError: the seed is no integer, or is negative.
    """

    name: str
    max_prompt_tokens: int
    max_new_tokens: int
    truncation_side: Literal["left", "right"] = "left"
    stop: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    partner: ClassVar[FunctionPartner]
    max_turns: ClassVar[int]
    turn_template: ClassVar[tuple[str, str]]

    def __init__(self, split: str = "train", *, seed: int = 0) -> None:
        self.prompts: Sequence[Prompt] = WorldPrompts(self.grammar, split, seed, "{prompt}")

    @staticmethod
    @abstractmethod
    def grammar(draw: Draw, /) -> Rendered:
        """One prompt's text and metadata, drawn from the small world."""

    @abstractmethod
    def best_return(self, prompt: Prompt) -> float:
        """The mean return of the best policy, over what the partner may hide. No policy has more."""

    @abstractmethod
    def random_return(self, prompt: Prompt) -> float:
        """The mean return of a policy that says one of the ``utterances`` at random at each turn."""

    @abstractmethod
    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        """All that makes sense to say."""

    @abstractmethod
    def oracle(self, dialogue: Dialogue) -> str:
        """What the best policy says next."""

    def best_reward(self) -> float:
        """The mean ``best_return`` of the first prompts."""
        return self._mean([self.best_return(self[i]) for i in range(min(HELD_OUT, len(self)))])

    def random_reward(self) -> float:
        """The mean ``random_return`` of the first prompts."""
        return self._mean([self.random_return(self[i]) for i in range(min(HELD_OUT, len(self)))])

    @staticmethod
    def _mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    def score(self, mean_return: float) -> float:
        """0 for the random policy's mean return, 1 for the best one's."""
        best, random = self.best_reward(), self.random_reward()
        return (mean_return - random) / (best - random)

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]
