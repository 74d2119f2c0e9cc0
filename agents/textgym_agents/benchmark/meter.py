"""What a training costs, and evaluations at a few points of it, whose cost isn't counted."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor, nn

FORWARD_AND_BACKWARD = 3  # in forward passes of the same tokens


class Meter(BaseCallback):
    """Count what goes through models while an algorithm learns, and the seconds.

    It counts at the embeddings of the policy's models and of its reference model. So prompts are counted, and padding,
    as they are computed; what a cache keeps is not computed again and not counted.

    Attributes:
        forward_tokens: tokens that went through a model; one that is learned from counts three times, for its forward
            and its backward pass.
        seconds: of learning.
    """

    def __init__(self) -> None:
        super().__init__()
        self.forward_tokens = 0
        self.seconds = 0.0
        self._since: float | None = None
        self._handles: list[Any] = []

    def _on_training_start(self) -> None:
        policy: Any = self.model.policy
        reference = getattr(getattr(policy, "reference", None), "copy", None)
        found = {
            lm.get_input_embeddings()
            for part in (policy, reference)
            for lm in (part.modules() if part is not None else ())
            if hasattr(lm, "get_input_embeddings")
        }
        self._handles = [one.register_forward_hook(self._count) for one in found if isinstance(one, nn.Module)]
        self._since = time.perf_counter()

    def _count(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if self._since is not None:
            self.forward_tokens += inputs[0].numel() * (FORWARD_AND_BACKWARD if torch.is_grad_enabled() else 1)

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._stop()
        for handle in self._handles:
            handle.remove()

    def _stop(self) -> None:
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block nothing is counted."""
        counting = self._since is not None
        self._stop()
        try:
            yield
        finally:
            self._since = time.perf_counter() if counting else None


class Front(BaseCallback):
    """Call a function at some points of a training, evenly spread over its tokens, the last at its end.

    Args:
        points: how many.
        timesteps: tokens of the training.
        evaluate: gets the algorithm and returns a row.
        meter: paused meanwhile.

    Attributes:
        rows: what the function returned, with ``timesteps``.
    """

    def __init__(self, points: int, timesteps: int, evaluate: Callable[[Any], dict[str, Any]], meter: Meter) -> None:
        super().__init__()
        self.marks = [timesteps * (i + 1) / points for i in range(points)]
        self.evaluate, self.meter = evaluate, meter
        self.rows: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # Between rollouts, when the cache slots of the training rows are no longer needed.
        if self.marks and self.marks[0] <= self.model.num_timesteps < self.marks[-1]:
            self._evaluate()

    def _on_training_end(self) -> None:
        if self.marks and self.model.num_timesteps:
            self._evaluate()

    def _evaluate(self) -> None:
        self.marks = [mark for mark in self.marks if mark > self.model.num_timesteps]
        with self.meter.paused():
            self.rows.append({"timesteps": self.model.num_timesteps, **self.evaluate(self.model)})


def reset_peak_memory() -> None:
    """Forget the peak of this process until now, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float | None:
    """Most memory that this process has had since the last reset, in MiB; None on Windows."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10, 1)  # bytes, else KiB
