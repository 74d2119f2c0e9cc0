"""Steps of completions as a rollout stores them, and those that stay for the next one.

| Symbol | Shape | Meaning |
|---|---|---|
| `context` | (columns,) | the tokens that were there when a piece began, the prompt first |
| `prompt` | (columns,) | what the encoder reads; None for decoder-only models |
| `steps` | (tokens,) each | of `STEP_ARRAYS`, one entry for each token of a piece |
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from textgym.errors import ConfigError

TokenIds = NDArray[np.int32]
STEP_ARRAYS: Mapping[str, DTypeLike] = {
    "actions": np.int32,
    "rewards": np.float32,
    "values": np.float32,
    "log_probs": np.float32,
    "mask_numbers": np.int32,  # of the legal tokens, in the buffer's table of masks
}


def not_by_one_token(name: str, instead: str = "") -> ConfigError:
    """The error for an environment of several turns: an observation must be the one before it and one token more."""
    return ConfigError(
        f"An observation doesn't continue the one before it by one token. {name} can't be used with a wrapper that "
        f"changes observations within an episode{instead}."
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive steps of one completion.

    Attributes:
        context: (columns,) the tokens before its first action.
        prompt: (columns,) what the encoder reads, or None.
        num_generated: how many tokens of the completion came before its first action, or -1 where not known.
        steps: (tokens,) arrays, by the names of ``STEP_ARRAYS``.
        carried: how many of the steps are of earlier rollouts.
    """

    context: TokenIds
    prompt: TokenIds | None
    num_generated: int
    steps: Mapping[str, NDArray[Any]]
    carried: int = 0

    def __len__(self) -> int:
        return len(self.steps["actions"])

    def continued_by(self, more: "Piece") -> bool:
        """Whether another piece begins with what there is after this one."""
        if not np.array_equal(np.concatenate([self.context, self.steps["actions"]]), more.context):
            return False
        return self.prompt is None or more.prompt is None or np.array_equal(self.prompt, more.prompt)

    def with_next(self, more: "Piece") -> "Piece":
        """This piece, whose steps are of earlier rollouts, and those of the one that continues it."""
        steps = {name: np.concatenate([array, more.steps[name]]) for name, array in self.steps.items()}
        return replace(self, steps=steps, carried=len(self))

    def new_steps(self) -> "Piece":
        """The steps of the last rollout alone."""
        if not self.carried:
            return self
        context = np.concatenate([self.context, self.steps["actions"][: self.carried]])
        generated = self.num_generated + self.carried if self.num_generated >= 0 else -1
        steps = {name: array[self.carried :] for name, array in self.steps.items()}
        return Piece(context, self.prompt, generated, steps)


def pack_pieces(pieces: Mapping[int, Piece], **instead: list[NDArray[Any]]) -> dict[str, Any]:
    """Pieces by their rows as a few arrays, for a checkpoint; with other arrays of steps where some are given."""
    all_pieces = list(pieces.values())
    columns = {name: [piece.steps[name] for piece in all_pieces] for name in STEP_ARRAYS} | instead
    nothing = np.zeros(0, dtype=np.int32)
    prompts = [piece.prompt for piece in all_pieces if piece.prompt is not None]
    return {
        "rows": list(pieces),
        "num_generated": [piece.num_generated for piece in all_pieces],
        "lengths": [len(piece) for piece in all_pieces],
        "steps": {name: np.concatenate([np.zeros(0, dtype), *columns[name]]) for name, dtype in STEP_ARRAYS.items()},
        "context_lengths": [len(piece.context) for piece in all_pieces],
        "contexts": np.concatenate([nothing, *(piece.context for piece in all_pieces)]),
        "prompt_lengths": [len(prompt) for prompt in prompts],
        "prompts": np.concatenate([nothing, *prompts]),
    }


def unpack_pieces(state: Mapping[str, Any]) -> dict[int, Piece]:
    """The pieces that :func:`pack_pieces` packed."""
    steps = {name: _split(array, state["lengths"]) for name, array in state["steps"].items()}
    prompts = _split(state["prompts"], state["prompt_lengths"])
    return {
        row: Piece(context, prompts[i] if prompts else None, generated, {name: cut[i] for name, cut in steps.items()})
        for i, (row, context, generated) in enumerate(
            zip(
                state["rows"],
                _split(state["contexts"], state["context_lengths"]),
                state["num_generated"],
                strict=True,
            )
        )
    }


def _split(array: NDArray[Any], lengths: list[int]) -> list[NDArray[Any]]:
    return [part.copy() for part in np.split(array, np.cumsum(lengths)[:-1])] if lengths else []
