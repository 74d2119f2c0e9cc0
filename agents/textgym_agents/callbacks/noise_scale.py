"""How many completions a gradient needs until its signal is as large as its noise."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer


class NoiseScale(BaseCallback):
    """Log the gradient noise scale, in completions: a gradient of so many has as much signal as noise.

    McCandlish et al., "An Empirical Model of Large-Batch Training" (2018), https://arxiv.org/abs/1812.06162: with G the
    expected gradient and Sigma the covariance of a single completion's, the simple noise scale is tr(Sigma) / |G|^2.
    Batches far below it spend their steps on noise; batches far above it spend tokens on a signal that was clear.

    A rollout's gradient g is the mean over the minibatches of its first epoch, as ``backward`` leaves them, before they
    are clipped, of the language model's trainable weights (not of the value head). Both sides of

        E[g . m] = |G|^2      E[|g|^2] = |G|^2 + tr(Sigma) / completions

    are averaged over ``window`` rollouts, m being the running mean of earlier rollouts' gradients, whose noise is
    independent of that in g.

    Differences from the paper:

    1. The two batch sizes are one rollout and several, since completions of a prompt in one rollout depend on each
       other through their baseline.
    2. Weights move between rollouts, and a little within one. Where G turns fast, its length is underestimated.
    3. A signal that is below its own standard error is taken to be that large; the noise scale is then a lower bound.

    Scalars: ``train/noise_scale`` (completions), ``train/signal_share`` (of the squared norm of a rollout's gradient;
    near 0 or below, a rollout is noise), ``train/rollout_completions`` and ``train/minibatch_completions`` (means, to
    compare with). They come from the second rollout on, for every algorithm that takes minibatches from an
    ``EpisodeRolloutBuffer`` and calls ``backward`` and its policy's optimizer. TRPO and ARS do neither, and DQN's are
    replayed: nothing is logged.

    It holds two copies of the trainable weights' gradients. A checkpoint stores one.

    Args:
        window: rollouts that the two means are taken over.
        decay: of the running mean m, for each rollout.

    Attributes:
        noise_scale: the last one, in completions; None: not known yet.
        signal_share: the last one.
        rollout_completions: mean number in a rollout.

    Raises:
        ConfigError: ``window`` is below 2, or ``decay`` isn't from 0 to less than 1.

    >>> import textgym_agents
    >>> rloo = textgym_agents.make("rloo", "textgym/Copy-v1", n_envs=4, prompts_per_rollout=2, seed=0)
    >>> scale = NoiseScale()
    >>> _ = rloo.learn(300, callback=scale)
    >>> scale.rollout_completions, scale.noise_scale > 0
    (8.0, True)
    """

    def __init__(self, window: int = 20, decay: float = 0.9, verbose: int = 0) -> None:
        super().__init__(verbose)
        if window < 2 or not 0 <= decay < 1:
            raise ConfigError(f"window is {window} and decay is {decay}, expected at least 2 and 0 to less than 1.")
        self.decay = decay
        self.noise_scale: float | None = None
        self.signal_share: float | None = None
        self._rollouts: deque[tuple[float, float, int, int]] = deque(maxlen=window)  # see _end_rollout
        self._mean: list[Tensor] = []  # m, each rollout's weight being as below
        self._weight = 0.0  # of all rollouts in it: below 1 in the beginning
        self._sum: list[Tensor] = []  # over the minibatches of this rollout, of gradients times completions
        self._completions = self._minibatches = 0
        self._handles: list[Any] = []

    @property
    def rollout_completions(self) -> float | None:
        """Mean number of completions in a rollout."""
        return float(np.mean([one[2] for one in self._rollouts])) if self._rollouts else None

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores. It is saved between rollouts, after this callback has been called."""
        return {
            "rollouts": list(self._rollouts),
            "mean": [tensor.clone() for tensor in self._mean],
            "weight": self._weight,
            "noise_scale": self.noise_scale,
            "signal_share": self.signal_share,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self._rollouts.clear()
        self._rollouts.extend(tuple(one) for one in state["rollouts"])
        self._mean, self._weight = list(state["mean"]), state["weight"]
        self.noise_scale, self.signal_share = state["noise_scale"], state["signal_share"]

    # ------------------------------------------------------------------ what SB3 calls

    def _on_training_start(self) -> None:
        self._remove_hooks()
        policy: Any = self.model.policy
        model = getattr(policy, "lm", None)
        buffer = getattr(self.model, "rollout_buffer", None)
        if model is None or not isinstance(buffer, EpisodeRolloutBuffer):
            return
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        if not self._weights:
            return
        # Clipping scales all gradients alike, so that one weight's norm before and after it tells the factor.
        self._witness = self._weights[-1]
        self._handles = [
            self._witness.register_post_accumulate_grad_hook(self._after_backward),
            policy.optimizer.register_step_pre_hook(self._before_step),
        ]
        self._unclipped: Tensor | None = None

    def _on_rollout_start(self) -> None:
        self._end_rollout()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._end_rollout()
        self._remove_hooks()

    def _remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    # ------------------------------------------------------------------ gradients

    def _after_backward(self, weight: Tensor) -> None:
        assert weight.grad is not None
        self._unclipped = weight.grad.norm()

    @torch.no_grad()
    def _before_step(self, *_: Any) -> None:
        buffer: Any = self.model.rollout_buffer  # type: ignore[attr-defined]
        if buffer.epochs != 1 or self._unclipped is None:
            return
        clipped = float(self._witness.grad.norm()) if self._witness.grad is not None else 0.0
        if clipped > 0:
            self._add(float(self._unclipped) / clipped, buffer.minibatch_episodes)
        self._unclipped = None

    def _add(self, scale: float, completions: int) -> None:
        if not self._sum:
            self._sum = [torch.zeros_like(weight, dtype=torch.float32) for weight in self._weights]
        for total, weight in zip(self._sum, self._weights, strict=True):
            if weight.grad is not None:
                total.add_(weight.grad, alpha=scale * completions)
        self._completions += completions
        self._minibatches += 1

    @torch.no_grad()
    def _end_rollout(self) -> None:
        """Take the gradient of the rollout before, if there was one."""
        if not self._completions:
            return
        gradient = self._sum
        for total in gradient:
            total.div_(self._completions)
        square = _dot(gradient, gradient)
        if np.isfinite(square):
            if self._mean:
                signal = _dot(gradient, self._mean) / self._weight
                self._rollouts.append((signal, square, self._completions, self._minibatches))
                self._record()
            else:
                self._mean = [torch.zeros_like(total) for total in gradient]
            for mean, total in zip(self._mean, gradient, strict=True):
                mean.lerp_(total, 1 - self.decay)
            self._weight = self.decay * self._weight + 1 - self.decay
        for total in gradient:
            total.zero_()
        self._completions = self._minibatches = 0

    def _record(self) -> None:
        signals, squares, completions, minibatches = np.array(self._rollouts).T
        signal, square = float(signals.mean()), float(squares.mean())
        error = float(signals.std(ddof=1)) / len(signals) ** 0.5 if len(signals) > 1 else abs(signal)
        noise = float(((squares - signals) * completions).mean())
        self.signal_share = signal / square if square else 0.0
        self.logger.record("train/signal_share", self.signal_share)
        self.logger.record("train/rollout_completions", float(completions.mean()))
        self.logger.record("train/minibatch_completions", float((completions / minibatches).mean()))
        if noise > 0 and max(signal, error) > 0:
            self.noise_scale = noise / max(signal, error)
            self.logger.record("train/noise_scale", self.noise_scale)


def _dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    return float(torch.stack([torch.dot(a.flatten(), b.flatten()) for a, b in zip(one, other, strict=True)]).sum())
