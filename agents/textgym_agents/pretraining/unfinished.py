"""What a pretraining that was ended early goes on from: a file in the model's folder, gone once the model is there."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from textgym.border import reading
from textgym.errors import ConfigError
from textgym_agents.storage.files import replacing

NAME = "unfinished.pt"


class Unfinished:
    """The newest weights, optimizers and losses of a pretraining, in ``unfinished.pt``.

    Args:
        folder: of the model.
        recipe: the names and values of all that decides the result.
        every: how many steps lie between two times that the file is written.

    Attributes:
        losses: of the steps so far, a list for each phase of the recipe.

    Raises:
        ConfigError: the file there can't be read, or belongs to another recipe.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any], every: int = 200) -> None:
        self.path, self.every = folder / NAME, every
        self.recipe = json.loads(json.dumps(recipe))
        self._state: dict[str, Any] = {"losses": [[]]}
        if self.path.is_file():
            with reading("what a pretraining goes on from in", self.path, ConfigError, "Delete it to begin anew."):
                self._state = torch.load(self.path, weights_only=True)
            there = self._state["recipe"]
            if other := [name for name, value in self.recipe.items() if value != there.get(name)]:
                raise ConfigError(
                    f"{str(self.path)!r} was left by a pretraining that was ended early, of other {', '.join(other)}. "
                    "Go on with the recipe that it has, name a new folder, or delete the file."
                )
        self.losses: list[list[float]] = self._state["losses"]

    def restore(self, model: PreTrainedModel, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Give the model and its optimizers what they had when the file was written. Without a file they stay."""
        if "model" not in self._state:
            return
        model.load_state_dict(self._state.pop("model"))
        for optimizer, state in zip(optimizers, self._state.pop("optimizers"), strict=True):
            optimizer.load_state_dict(state)

    def save(self, model: PreTrainedModel, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Write the file.

        Raises:
            StorageError: the disk is full. The file stays as it was.
        """
        state = {"recipe": self.recipe, "losses": self.losses, "model": model.state_dict()}
        with replacing(self.path, "what a pretraining goes on from") as new:
            torch.save({**state, "optimizers": [optimizer.state_dict() for optimizer in optimizers]}, new)

    def remove(self) -> None:
        """Take the file away: the model is finished."""
        self.path.unlink(missing_ok=True)
