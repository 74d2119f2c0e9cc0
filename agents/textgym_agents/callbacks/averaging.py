"""An average of the policy's weights over training, to evaluate and to keep."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from textgym.errors import ConfigError


class WeightAveraging(BaseCallback):
    """Keep an exponential moving average of the trained weights, value head included, with one step for each update.

    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992),
    https://doi.org/10.1137/0330046, in the exponential form that is common for language models. The weights that train
    are not touched: noise that steps leave in them cancels in the average, which may stay nearer to the reference model
    at the same reward.

    The average is the plain mean of the weights after each update until there have been 1 / (1 - decay) of them, so
    that it doesn't hang on the initial weights, and an exponential one from there on. An update is what follows a
    rollout, whatever number of gradient steps it takes.

    It comes before callbacks that evaluate or save, and holds one more copy of the trained weights in float32, as does
    a checkpoint.

    Args:
        decay: the part of the average that an update leaves, from 0 (the weights as they are) to less than 1.

    Attributes:
        updates: that the average has seen.

    Raises:
        ConfigError: ``decay`` isn't from 0 to less than 1.

    >>> import textgym_agents
    >>> rloo = textgym_agents.make("rloo", "textgym/Copy-v1", n_envs=4, prompts_per_rollout=2, seed=0)
    >>> averaging = WeightAveraging(0.9)
    >>> _ = rloo.learn(300, callback=averaging)
    >>> now = rloo.policy.lm.get_output_embeddings().weight.detach().clone()
    >>> with averaging.applied():
    ...     bool((rloo.policy.lm.get_output_embeddings().weight == now).all())
    False
    >>> bool((rloo.policy.lm.get_output_embeddings().weight == now).all())
    True
    """

    def __init__(self, decay: float = 0.99, verbose: int = 0) -> None:
        super().__init__(verbose)
        if not 0 <= decay < 1:
            raise ConfigError(f"decay is {decay}, expected at least 0 and less than 1.")
        self.decay = decay
        self.updates = 0
        self._average: list[Tensor] = []
        self._updates_next = False  # a rollout has ended, and its update is coming

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores. It is saved between rollouts, after this callback has been called."""
        return {"average": [tensor.clone() for tensor in self._average], "updates": self.updates}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self._average, self.updates = list(state["average"]), int(state["updates"])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block, the policy has the averaged weights, if there has been an update. Don't train there."""
        kept = [weight.detach().clone() for weight in self._weights()] if self._average else []
        self._assign(self._average)
        try:
            yield
        finally:
            self._assign(kept)

    def _on_training_start(self) -> None:
        self._updates_next = False

    def _on_rollout_start(self) -> None:
        self._update()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._updates_next = True

    def _on_training_end(self) -> None:
        self._update()

    def _weights(self) -> list[Tensor]:
        optimizer: Any = self.model.policy.optimizer
        return [weight for group in optimizer.param_groups for weight in group["params"]]

    @torch.no_grad()
    def _update(self) -> None:
        if not self._updates_next:
            return
        self._updates_next = False
        self.updates += 1
        weights = self._weights()
        if self.updates == 1:
            self._average = [weight.detach().float().clone() for weight in weights]
        for average, weight in zip(self._average, weights, strict=True):
            average.lerp_(weight.float(), max(1 / self.updates, 1 - self.decay))

    @torch.no_grad()
    def _assign(self, values: list[Tensor]) -> None:
        if values:
            for weight, value in zip(self._weights(), values, strict=True):
                weight.copy_(value)
