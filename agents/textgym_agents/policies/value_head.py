"""The value head: a linear layer on scaled hidden states, in units of the returns."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

LEAST_STD = 1e-3  # of returns, below which they are taken as all the same


class ValueHead(nn.Linear):
    """Values of states from a language model's hidden states.

    With h the hidden state, scaled to a root mean square of 1, and d its size::

        V(s) = mean + std * (gain * w . h / sqrt(d) + b)

    ``mean`` and ``std`` are those of the returns of past rollouts, see :meth:`follow`; w and b begin at 0. So the head
    begins as the best constant. A step of Adam, which moves each weight by about the learning rate, moves V by at most
    about ``learning_rate * gain * sqrt(d)`` standard deviations, whatever the model's hidden states and the rewards are
    like. SB3 gives all of an optimizer's groups one learning rate, so that ``gain`` is what sets the head's speed
    beside the policy's. Normalized targets follow van Hasselt et al., Learning values across many orders of magnitude,
    2016 (https://arxiv.org/abs/1602.07714), but here a shift of the mean shifts V at once.

    Args:
        hidden_size: d.
        decay: weight of the past in the running mean and variance, for each rollout.
        gain: of the features. Where it times the learning rate is 0.01 or 0.03, the head explained more than a constant
            from its first step on, and most of what a linear head can after 200, on rollouts of the built-in model for
            Summarization and DataToText.

    >>> head = ValueHead(4)
    >>> head.follow(np.array([0.0, 1.0]), values=np.zeros(2)).tolist()
    [0.5, 0.5]
    >>> head(torch.ones(2, 4)).flatten().tolist()
    [0.5, 0.5]
    """

    mean: Tensor
    std: Tensor
    rollouts: Tensor

    def __init__(self, hidden_size: int, decay: float = 0.9, gain: float = 100.0) -> None:
        super().__init__(hidden_size, 1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        self.decay, self.gain = decay, gain
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.register_buffer("rollouts", torch.zeros((), dtype=torch.int64))

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, 1) values of (n, hidden size) hidden states, in float32."""
        return self.mean + self.std * super().forward(self.features(hidden))

    def features(self, hidden: Tensor) -> Tensor:
        """(n, hidden size) what the linear layer gets."""
        return functional.rms_norm(hidden.float(), hidden.shape[-1:]) * (self.gain / math.sqrt(self.in_features))

    @property
    def begun(self) -> bool:
        """Whether it has seen returns."""
        return bool(self.rollouts > 0)

    @torch.no_grad()
    def follow(self, returns: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        """Move ``mean`` and ``std`` towards those of a rollout's returns; the first rollout sets them.

        Args:
            returns: (n,) of the rollout's steps.
            values: an array of what the head gave before.

        Returns:
            What it would give now in place of ``values``, an array of the same shape.
        """
        if not returns.size or not np.isfinite(returns).all():
            return values
        mean, std = self.mean.item(), self.std.item()
        keep = self.decay if self.begun else 0.0
        self.mean.fill_(keep * mean + (1 - keep) * float(returns.mean()))
        variance = keep * std**2 + (1 - keep) * float(returns.var())
        self.std.fill_(max(math.sqrt(variance), LEAST_STD))
        self.rollouts += 1
        moved: NDArray[Any] = self.mean.item() + (values - mean) * (self.std.item() / std)
        return moved.astype(values.dtype)
