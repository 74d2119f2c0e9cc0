"""What sets the forms of language models apart: how one reads an environment's observations."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from gymnasium import spaces
from torch import Tensor
from transformers import PreTrainedModel

from textgym_agents.models.kv_cache import SlotCache
from textgym_agents.models.packing import Block, TokenSequence

Observations = Mapping[str, Tensor]


class Form(ABC):
    """A form of language model, and the observations of an environment made for it.

    It has sizes and no weights: the model is an argument, since a policy may compute with several of one form (its own,
    the reference model, a target network).

    Args:
        space: of the observations.
        num_actions: tokens of the environment's vocabulary.

    Attributes:
        name: the environment's ``form=``.
        context_decides: whether equal contexts have equal hidden states; not so where an encoder reads a prompt too.
        width: most tokens that the decoder reads, the prompt included where there is no encoder.

    Raises:
        ConfigError: the observations are not those of an environment of this form.
    """

    name: ClassVar[str]
    context_decides: ClassVar[bool]
    width: int

    @abstractmethod
    def __init__(self, space: spaces.Dict, num_actions: int) -> None: ...

    @abstractmethod
    def check_model(self, lm: PreTrainedModel) -> None:
        """Raise ModelError unless the model is of this form and large enough."""

    @abstractmethod
    def env_kwargs(self, lm: PreTrainedModel) -> dict[str, Any]:
        """Arguments of an environment for this model."""

    @abstractmethod
    def num_generated(self, obs: Observations) -> Tensor:
        """(rows,) how many tokens of the completion there are."""

    @abstractmethod
    def sequences(self, obs: Observations) -> list[TokenSequence]:
        """Each row of the observations as a sequence with one action (any), to compute it without a cache."""

    @abstractmethod
    def new_cache(self, lm: PreTrainedModel, rows: int, max_bytes: int) -> SlotCache:
        """Empty slots."""

    @abstractmethod
    def cached_hidden(self, lm: PreTrainedModel, cache: Any, obs: Observations) -> Tensor:
        """(rows, hidden size) at the last token of each row, with a cache that :meth:`new_cache` made."""

    @abstractmethod
    def block_hidden(self, lm: PreTrainedModel, block: Block) -> Tensor:
        """(rows, tokens, hidden size) of teacher-forced tokens."""

    @abstractmethod
    def probe_observations(self) -> list[dict[str, Tensor]]:
        """Two rows that go on, wait and start anew, on which the cache is tried."""
