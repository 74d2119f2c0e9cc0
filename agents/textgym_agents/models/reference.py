"""The reference model of a KL penalty: the weights before training."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel


class Reference:
    """The initial weights: the base model with its adapters off, or a frozen copy.

    The copy is no submodule of the policy: it is neither trained nor stored in checkpoints, since loading the policy
    loads the initial model again.
    """

    def __init__(self, lm: PreTrainedModel, peft_model: Any | None) -> None:
        self.peft_model = peft_model
        self.copy = None if peft_model is not None else copy.deepcopy(lm).requires_grad_(False).eval()

    @contextmanager
    def weights(self, lm: PreTrainedModel) -> Iterator[PreTrainedModel]:
        """Within the block, the yielded model computes with the initial weights."""
        if self.copy is not None:
            yield self.copy
        else:
            assert self.peft_model is not None
            with self.peft_model.disable_adapter():
                yield lm

    def apply(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Follow the policy to another device."""
        if self.copy is not None:
            self.copy._apply(fn)
