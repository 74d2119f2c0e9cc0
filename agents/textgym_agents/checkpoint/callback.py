"""Checkpoints during training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from textgym.errors import ConfigError
from textgym_agents.checkpoint.files import save_checkpoint
from textgym_agents.checkpoint.parts import arguments_of


class CheckpointCallback(BaseCallback):
    """Save a checkpoint at the start, every so many tokens between two rollouts, and at the end.

    It comes before all other callbacks, so that it saves before an evaluation that is due at the same time, and a
    resumed run evaluates again. Since there is one of 0 tokens, wherever there are rollouts there is a checkpoint.
    Training that another callback ends in the middle of a rollout leaves the last checkpoint as it is.

    Args:
        folder: of the checkpoint.
        every: tokens; the first rollout that ends at or after each multiple is followed by a checkpoint.
        callbacks: others, by name, whose state goes along: by ``get_state()``, or their plain attributes.
        more: further plain values to keep.
        resumed: what :func:`load_checkpoint` returned, for a resumed run.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int,
        callbacks: Mapping[str, BaseCallback] | None = None,
        *,
        more: Mapping[str, Any] | None = None,
        resumed: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if every < 1:
            raise ConfigError(f"every is {every}, expected at least 1 token between two checkpoints.")
        self.folder, self.every, self.callbacks = Path(folder), every, dict(callbacks or {})
        self.more, self.resumed = dict(more or {}), resumed
        self._whole = True  # False in the middle of a rollout

    def _on_training_start(self) -> None:
        self._made_with = arguments_of(self.model)  # before callbacks change settings
        now = self.model.num_timesteps
        self._last, self._next = (-1, now) if self.resumed is None else (now, self._after(now))
        # The scalars of an update are logged with the rollout after it.
        for name, value in (self.resumed or {}).get("logged", {}).items():
            self.logger.record(name, value)

    def _after(self, timesteps: int) -> int:
        return (timesteps // self.every + 1) * self.every

    def _on_rollout_start(self) -> None:
        self._whole = True
        if self.model.num_timesteps >= self._next:
            self.save()
        self._whole = False

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._whole = True

    def _on_training_end(self) -> None:
        if self._whole:
            self.save_if_new()

    def save_if_new(self) -> None:
        """Save one now, unless the last one is of these tokens. Only between an update and the next rollout."""
        if self.model.num_timesteps > self._last:
            self.save()

    def save(self) -> None:
        """Save one now. Only between an update and the next rollout."""
        self._next = self._after(self.model.num_timesteps)
        self._last = self.model.num_timesteps
        more = {**self.more, "logged": dict(self.logger.name_to_value)}
        save_checkpoint(self.model, self.folder, callbacks=self.callbacks, more=more, arguments=self._made_with)
