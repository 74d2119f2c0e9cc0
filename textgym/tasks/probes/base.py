"""What the probes share: one-word tokens, exact values of two policies, a score of their own."""

import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from textgym.arguments import check_seed
from textgym.core import Prompt, Sample, Score
from textgym.errors import ConfigError, TokenizerError, did_you_mean
from textgym.tokenizer import Tokenizer
from textgym.world import SPLITS, Draw

# Each is one token with its space, in the tokenizers of the built-in models too. Their initial policies take none of
# them much more often than another after the cue.
WORDS = ("hat", "book", "bag", "train", "old", "new", "help", "sell")
CUE = "Words:"
LENGTHS = {"train": 1_000_000, "validation": 1_000, "test": 1_000}  # prompts in a split
MOST_COMPLETIONS = 100_000  # that are enumerated


@dataclass(frozen=True)
class ProbeReward:
    """The reward of a probe: a function of the words of a completion and of the prompt's metadata.

    Attributes:
        probe: the class whose ``values`` it returns.
    """

    probe: "type[Probe]"

    @property
    def name(self) -> str:
        return self.probe.name

    def __call__(self, samples: Sequence[Sample], /) -> list[Score]:
        """One value per sample. Held-out prompts have no noise."""
        return [self.probe.drawn(sample.completion.split(), sample.metadata, sample.noise) for sample in samples]

    def __repr__(self) -> str:
        return f"{self.probe.__name__}.default_reward"


class Probe(ABC):
    """Base of the probes: a :class:`textgym.Task` that isolates one difficulty, with known values of two policies.

    A completion is ``length`` words of ``vocabulary``, one token each: no other token is legal, and the end token
    isn't either. Train prompts are drawn at random. Held-out ones go through the kinds of prompt in turn, so that any
    number of them that ``kinds`` divides has the mean that ``random_reward`` and ``best_reward`` state. Their rewards
    are without noise.

    Attributes:
        name, max_prompt_tokens, max_new_tokens, truncation_side, stop, metrics: as in :class:`textgym.Task`.
        tags: what it isolates.
        scale: the argument that makes it harder.
        levels: values of it, from easy to hard.
        default_reward: scores completions.
        vocabulary: the legal words.
        length: of a completion, in words.
        kinds: how many prompts differ in their mean reward or best completion, each as frequent as another.
        stochastic: whether its rewards are random, see :class:`textgym.Task`.

    Args:
        split: "train", "validation" or "test".
        seed: of the prompts, and of which words are good.
        words: how many of ``WORDS`` are legal.
        length: of a completion, in words.

    Raises:
        ConfigError: no such split.
        SeedError: the seed is no integer, or is negative.
    """

    name: ClassVar[str]
    tags: ClassVar[tuple[str, ...]]
    scale: ClassVar[str]
    levels: ClassVar[tuple[Any, ...]]
    default_reward: ClassVar[ProbeReward]
    truncation_side: Literal["left", "right"] = "left"
    stop: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    max_prompt_tokens: int = 8
    kinds: int = 1
    stochastic: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.default_reward = ProbeReward(cls)

    def __init__(self, split: str, seed: int, words: int, length: int) -> None:
        if not isinstance(split, str) or split not in LENGTHS:
            raise ConfigError(f"split={split!r} is no split of a probe. {did_you_mean(str(split), LENGTHS)}")
        self.split, self.seed = split, check_seed(seed) or 0
        # Which words are good is drawn, whatever the model prefers: from a stream beside those of the splits.
        sequence = np.random.SeedSequence(self.seed, spawn_key=(len(SPLITS) + 1,))
        drawn = Draw(np.random.Generator(np.random.PCG64(sequence)))
        self.vocabulary = tuple(drawn.sample(WORDS, words))
        self.length = self.max_new_tokens = length

    @abstractmethod
    def prompt(self, kind: int, draw: Draw, train: bool) -> Prompt:
        """A prompt of a kind, with its best completion as its reference. In training its rewards may be others."""

    @staticmethod
    @abstractmethod
    def value(words: Sequence[str], facts: Mapping[str, Any]) -> float:
        """The mean reward of a completion, given its prompt's metadata."""

    @classmethod
    def drawn(cls, words: Sequence[str], facts: Mapping[str, Any], noise: float) -> Score:
        """The reward of one episode: the mean and Gaussian noise of the standard deviation ``facts["sigma"]``."""
        return Score(cls.value(words, facts) + facts.get("sigma", 0.0) * noise)

    def token_options(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """Arguments of the environment: the words' tokens, and lengths in them.

        Raises:
            TokenizerError: a word is not one token.
        """
        tokens = [tokenizer.encode(f" {word}", add_special_tokens=False) for word in self.vocabulary]
        for word, ids in zip(self.vocabulary, tokens, strict=True):
            if len(ids) != 1:
                raise TokenizerError(
                    f"The probe {self.name} needs each of its words as one token, and ' {word}' is {len(ids)} tokens "
                    f"of the tokenizer {getattr(tokenizer, 'name_or_path', type(tokenizer).__name__)!r}. Take another."
                )
        prompt = len(tokenizer.encode(self[0].text))  # all are equally long
        return {
            "allowed_tokens": [ids[0] for ids in tokens],
            "max_new_tokens": self.length,
            "max_prompt_tokens": prompt,
        }

    def random_reward(self) -> float:
        """The mean reward of the policy that takes each legal word with the same probability, on held-out prompts."""
        if len(self.vocabulary) ** self.length > MOST_COMPLETIONS:
            raise NotImplementedError(f"{self.name} has too many completions to enumerate: state its random_reward.")
        facts = [prompt.metadata for prompt in self.held_out()]
        completions = list(itertools.product(self.vocabulary, repeat=self.length))
        return (
            math.fsum(self.value(words, one) for words in completions for one in facts) / len(completions) / self.kinds
        )

    def best_reward(self) -> float:
        """The mean reward of the best policy, on held-out prompts."""
        return math.fsum(self.value(one.references[0].split(), one.metadata) for one in self.held_out()) / self.kinds

    def score(self, reward: float) -> float:
        """A mean reward on held-out prompts as a share of what there is to learn: 0 is random or less, 1 the best."""
        lowest, best = self.random_reward(), self.best_reward()
        return min(max((reward - lowest) / (best - lowest), 0.0), 1.0)

    def held_out(self) -> Iterator[Prompt]:
        """A held-out prompt of each kind."""
        for kind in range(self.kinds):
            yield self._prompt("test", kind)

    def _prompt(self, split: str, index: int) -> Prompt:
        draw = Draw.at(self.seed, split, index)
        train = split == "train"
        return self.prompt(draw.below(self.kinds) if train else index % self.kinds, draw, train)

    def __len__(self) -> int:
        return LENGTHS[self.split]

    def __getitem__(self, index: int, /) -> Prompt:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"prompt {index} of a split with {len(self)} prompts")
        return self._prompt(self.split, position % len(self))
