"""Steps of completions as a rollout stores them, and those that stay for the next one.

A step is a token of the policy's. What a partner writes in a conversation comes between two steps: it has no entry in
the arrays, and so no log-probability, value, reward or discount of its own.

| Symbol | Shape | Meaning |
|---|---|---|
| `context` | (columns,) | the tokens that were there when a piece began, the prompt first |
| `prompt` | (columns,) | what the encoder reads; None for decoder-only models |
| `steps` | (tokens,) each | of `STEP_ARRAYS`, one entry for each token of a piece |
| `inserted` | `Insertion`s | the partner's tokens, and how many steps of the piece come before them |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from textgym.errors import ConfigError
from textgym_agents.models.packing import Insertion, TokenSequence

TokenIds = NDArray[np.int32]
STEP_ARRAYS: Mapping[str, DTypeLike] = {
    "actions": np.int32,
    "rewards": np.float32,
    "values": np.float32,
    "log_probs": np.float32,
    "mask_numbers": np.int32,  # of the legal tokens, in the buffer's table of masks
}


def not_by_one_token(name: str, instead: str = "") -> ConfigError:
    """The error for an observation that isn't the one before it and one token more, or a partner's reply besides."""
    return ConfigError(
        f"An observation doesn't continue the one before it by one token. {name} can't be used with a wrapper that "
        f"changes observations within an episode{instead}."
    )


def nothing_to_learn(dropped: int, steps: int, longest: int | None) -> str:
    """The warning for a rollout of so many steps without a completion that ended and has a reward.

    ``dropped`` are those whose reward abstained, ``longest`` the tokens that a completion may have.
    """
    if dropped:
        return (
            f"In a rollout the reward abstained for all of the {dropped} completions that ended, so there was "
            "nothing to learn from. A reward that fails says why when it does so first; "
            "textgym_agents.callbacks.CircuitBreaker pauses training until it answers again."
        )
    return (
        f"In a rollout of {steps} steps no completion ended, so there was nothing to learn from. Raise "
        f"n_steps{'' if longest is None else f' to {longest} (max_new_tokens)'} or more."
    )


def written_since(
    before: tuple[NDArray[Any], NDArray[np.bool_]], now: tuple[NDArray[Any], NDArray[np.bool_]], action: int
) -> TokenIds | None:
    """What a row has behind the tokens before and the action's: a partner's. None: it doesn't continue them.

    Args:
        before, now: (columns,) token ids of a row of observations, and which of them are live.
        action: the token that was chosen between them.

    >>> ids, live = np.array([0, 5, 6, 0, 0, 0]), np.array([0, 1, 1, 0, 0, 0], bool)
    >>> more, longer = np.array([0, 5, 6, 7, 8, 9]), np.array([0, 1, 1, 1, 1, 1], bool)
    >>> written_since((ids, live), (more, longer), 7).tolist(), written_since((ids, live), (more, longer), 8)
    ([8, 9], None)
    """
    (old_ids, old), (ids, live) = before, now
    new = np.flatnonzero(live & ~old)
    kept = live[old].all() and np.array_equal(ids[old], old_ids[old])
    if not kept or not len(new) or old[new[0] :].any() or ids[new[0]] != action:
        return None
    return ids[new[1:]].astype(np.int32)


def insertions(replies: Mapping[tuple[int, int], TokenIds], row: int, start: int, stop: int) -> tuple[Insertion, ...]:
    """Of a row's steps from ``start`` to ``stop``, with what was written before each (step, row)."""
    written = [(step, replies.get((step, row))) for step in range(start + 1, stop)]
    return tuple(Insertion(step - start, reply) for step, reply in written if reply is not None)


def tokens_of_turn(first: int, count: int, inserted: Sequence[Insertion]) -> NDArray[np.int64]:
    """(count,) how many tokens of its turn come before each of several steps; -1 where that isn't known.

    ``first`` is that of the first one, -1 if it isn't known. A turn begins behind each insertion.

    >>> tokens_of_turn(2, 5, [Insertion(3, np.array([7, 8]))]).tolist()
    [2, 3, 4, 0, 1]
    """
    counts = np.arange(first, first + count) if first >= 0 else np.full(count, -1)
    for one in inserted:
        counts[one.after :] = np.arange(max(0, count - one.after))
    return counts


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive steps of one completion.

    Attributes:
        context: (columns,) the tokens before its first action.
        prompt: (columns,) what the encoder reads, or None.
        num_generated: how many tokens of its turn came before its first action, or -1 where not known; without a
            partner a completion is one turn.
        steps: (tokens,) arrays, by the names of ``STEP_ARRAYS``.
        carried: how many of the steps are of earlier rollouts.
        inserted: a partner's tokens between its actions.
    """

    context: TokenIds
    prompt: TokenIds | None
    num_generated: int
    steps: Mapping[str, NDArray[Any]]
    carried: int = 0
    inserted: tuple[Insertion, ...] = ()

    def __len__(self) -> int:
        return len(self.steps["actions"])

    @property
    def beginning(self) -> tuple[TokenIds, TokenIds | None, int]:
        """Context, prompt and ``num_generated``."""
        return self.context, self.prompt, self.num_generated

    @property
    def sequence(self) -> TokenSequence:
        """Its tokens."""
        return TokenSequence(self.context, self.steps["actions"], self.prompt, self.inserted)

    def _behind(self, more: "Piece") -> TokenIds | None:
        """What another piece's context has behind all tokens of this one. None: it doesn't begin with them."""
        if self.prompt is not None and more.prompt is not None and not np.array_equal(self.prompt, more.prompt):
            return None
        written = np.concatenate([self.context, self.sequence.after_context()[0], self.steps["actions"][-1:]])
        if not np.array_equal(written, more.context[: len(written)]):
            return None
        return more.context[len(written) :]

    def followed_by(self, more: "Piece") -> "Piece":
        """This piece, whose steps are of earlier rollouts, with those of another one and what a partner wrote between.

        The other one alone where it doesn't begin with what there is after this one.
        """
        between = self._behind(more)
        if between is None:
            return more
        steps = {name: np.concatenate([array, more.steps[name]]) for name, array in self.steps.items()}
        reply = (Insertion(len(self), between.copy()),) if len(between) else ()
        later = tuple(Insertion(len(self) + one.after, one.tokens) for one in more.inserted)
        return replace(self, steps=steps, carried=len(self), inserted=(*self.inserted, *reply, *later))

    def new_steps(self) -> "Piece":
        """The steps of the last rollout alone."""
        if not self.carried:
            return self
        tokens, before = self.sequence.after_context()
        context = np.concatenate([self.context, tokens[: before[self.carried]]])
        generated = int(tokens_of_turn(self.num_generated, len(self), self.inserted)[self.carried])
        steps = {name: array[self.carried :] for name, array in self.steps.items()}
        later = (Insertion(one.after - self.carried, one.tokens) for one in self.inserted if one.after > self.carried)
        return Piece(context, self.prompt, generated, steps, inserted=tuple(later))


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
        "inserted": [[[one.after, one.tokens.tolist()] for one in piece.inserted] for piece in all_pieces],
    }


def unpack_pieces(state: Mapping[str, Any]) -> dict[int, Piece]:
    """The pieces that :func:`pack_pieces` packed."""
    steps = {name: _split(array, state["lengths"]) for name, array in state["steps"].items()}
    prompts = _split(state["prompts"], state["prompt_lengths"])
    return {
        row: Piece(
            context,
            prompts[i] if prompts else None,
            generated,
            {name: cut[i] for name, cut in steps.items()},
            inserted=tuple(Insertion(after, np.array(tokens, dtype=np.int32)) for after, tokens in inserted),
        )
        for i, (row, context, generated, inserted) in enumerate(
            zip(
                state["rows"],
                _split(state["contexts"], state["context_lengths"]),
                state["num_generated"],
                state.get("inserted") or [()] * len(state["rows"]),
                strict=True,
            )
        )
    }


def _split(array: NDArray[Any], lengths: list[int]) -> list[NDArray[Any]]:
    return [part.copy() for part in np.split(array, np.cumsum(lengths)[:-1])] if lengths else []
