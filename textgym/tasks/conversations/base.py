"""What tasks of several turns have in common: prompts of the small world, and the returns of two known policies."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from textgym.core import Prompt, Turn
from textgym.dialogue import Dialogue, FunctionPartner, ask_partner
from textgym.errors import ConfigError
from textgym.tasks.prompts import WorldPrompts
from textgym.tokenizer import BUILTIN_MEDIUM, Tokenizer
from textgym.world import Draw, Rendered

HELD_OUT = 50  # prompts that a mean return is computed over


class ConversationTask(ABC):
    """Base of the tasks of several turns: a :class:`textgym.Task` with a partner, which gives all reward there is.

    What the partner hides follows from the episode's seed: the same prompt is another game in another episode. The
    tokens of the task's vocabulary and the end token alone are legal, so that random play is rewarded at times;
    ``allowed_tokens`` allows others.

    Attributes:
        default_model: the model that acts where the user names none.
        variants: arguments of the class from easy to hard.
        partner: replies to the policy.
        max_turns: of the policy.
        words_of_a_turn: how many words the longest utterance has. A turn ends after so many and an end token.
        turn_template: what comes before and after a reply.

    Args:
        split: "train", "validation" or "test" of the small world.
        seed: of the small world.

    Raises:
        ConfigError: there is no such split.
        SeedError: the seed is no integer, or is negative.
    """

    name: ClassVar[str]
    truncation_side: Literal["left", "right"] = "left"
    stop: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    max_prompt_tokens: int
    max_new_tokens: int
    max_turns: int

    default_model: ClassVar[str] = BUILTIN_MEDIUM
    variants: ClassVar[tuple[Mapping[str, int], ...]]
    partner: ClassVar[FunctionPartner]
    words_of_a_turn: ClassVar[int]
    turn_template: ClassVar[tuple[str, str]]

    def __init__(self, split: str = "train", *, seed: int = 0) -> None:
        self.prompts: Sequence[Prompt] = WorldPrompts(self.grammar, split, seed, "{prompt}")

    @abstractmethod
    def grammar(self, draw: Draw, /) -> Rendered:
        """One prompt's text and metadata, drawn from the small world."""

    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """The words of all utterances of any prompt."""

    @abstractmethod
    def utterances(self, prompt: Prompt) -> tuple[str, ...]:
        """All that makes sense to say."""

    @abstractmethod
    def best_return(self, prompt: Prompt) -> float:
        """The mean return of the best policy, over what the partner may hide. No policy has more."""

    @abstractmethod
    def random_return(self, prompt: Prompt) -> float:
        """The mean return of a policy that says one of the ``utterances`` at random at each turn."""

    @abstractmethod
    def oracle(self, dialogue: Dialogue) -> str:
        """What the best policy says next."""

    def token_options(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """Arguments of the environment: the vocabulary's tokens and the end token, and how many a turn may have."""
        words = self.vocabulary()
        alone = [tokenizer.encode(f" {word}", add_special_tokens=False) for word in words]
        together = tokenizer.encode(f" {' '.join(words)}", add_special_tokens=False)
        return {
            "allowed_tokens": [
                *sorted({*together, *(token for ids in alone for token in ids)}),
                tokenizer.eos_token_id,
            ],
            "max_turn_tokens": self.words_of_a_turn * max(map(len, alone)) + 1,
        }

    def play(self, prompt: Prompt, seed: int, policy: Callable[[Dialogue], str] | None = None) -> Dialogue:
        """A conversation with the partner, without an environment: the policy's turns have the rewards.

        Args:
            prompt: one of the task's.
            seed: what the partner hides.
            policy: what to say next. None: the oracle.

        >>> from textgym.tasks.conversations import Haggle
        >>> task = Haggle("test")
        >>> [turn.text for turn in task.play(task[0], seed=3).turns]
        [' 16', 'Deal.']
        """
        turns: tuple[Turn, ...] = ()
        for _ in range(self.max_turns):
            said = (policy or self.oracle)(Dialogue(prompt, turns, seed))
            said = said if said[:1].isspace() else f" {said}"
            (reply,) = ask_partner(self.partner, [Dialogue(prompt, (*turns, Turn("policy", said)), seed)])
            turns = (*turns, Turn("policy", said, reward=reply.reward), Turn("partner", reply.text))
            if reply.done:
                break
        return Dialogue(prompt, turns, seed)

    def random_policy(self, seed: int = 0) -> Callable[[Dialogue], str]:
        """A policy for :meth:`play` that says one of the ``utterances`` at random at each turn."""
        generator = np.random.default_rng(seed)

        def says(dialogue: Dialogue) -> str:
            texts = self.utterances(dialogue.prompt)
            return texts[int(generator.integers(len(texts)))]

        return says

    def dialogues(self, number: int, *, skill: float = 0.0, seed: int = 0) -> list[dict[str, Any]]:
        """Dialogues with their rewards as ``bc`` and ``ilql`` read them, about the first prompts.

        A model that never saw a turn says nothing that is rewarded. With these it begins as a policy of known return.

        Args:
            number: of dialogues.
            skill: the chance that an utterance is the oracle's, and not a random one.
            seed: of the utterances, and of what the partner hides.

        Raises:
            ConfigError: ``skill`` is no number from 0 to 1.

        >>> from textgym.tasks.conversations import Haggle
        >>> Haggle("test").dialogues(1, skill=1.0)[0]["turns"][0]
        {'speaker': 'policy', 'text': ' 16'}
        """
        if isinstance(skill, bool) or not isinstance(skill, int | float) or not 0 <= skill <= 1:
            raise ConfigError(f"skill={skill!r} makes no sense, expected a number from 0 to 1.")
        generator, random = np.random.default_rng([seed, 1]), self.random_policy(seed)

        def says(dialogue: Dialogue) -> str:
            return self.oracle(dialogue) if generator.random() < skill else random(dialogue)

        played = [self.play(self[i % len(self)], int(generator.integers(1 << 62)), says) for i in range(number)]
        return [{"prompt": one.prompt.text, "turns": [_logged(turn) for turn in one.turns]} for one in played]

    def best_reward(self) -> float:
        """The mean ``best_return`` of the first prompts."""
        return self._mean(self.best_return)

    def random_reward(self) -> float:
        """The mean ``random_return`` of the first prompts."""
        return self._mean(self.random_return)

    def _mean(self, value: Callable[[Prompt], float]) -> float:
        values = [value(self[i]) for i in range(min(HELD_OUT, len(self)))]
        return sum(values) / len(values)

    def score(self, mean_return: float) -> float:
        """A mean return as a share of what there is to learn, as a probe's: 0 is random or less, 1 the best."""
        best, random = self.best_reward(), self.random_reward()
        return min(max((mean_return - random) / (best - random), 0.0), 1.0)

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]


def _logged(turn: Turn) -> dict[str, Any]:
    return {"speaker": turn.speaker, "text": turn.text, **({"reward": turn.reward} if turn.reward else {})}
