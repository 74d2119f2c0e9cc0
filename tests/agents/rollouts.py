"""Where the tokens that a rollout buffer hands out were in the rollouts."""

import numpy as np


def places(buffer, before=0):
    """(steps, rows) of the tokens that are learned from, in their order. ``before``: the steps of earlier rollouts."""
    steps, rows, row, step = [], [], 0, before
    for segment in buffer.segments():
        while step + new_open_steps(buffer, row) == before + buffer.buffer_size:
            row, step = row + 1, before
        first = step - segment.carried
        steps += range(first, first + len(segment))
        rows += [row] * len(segment)
        step = first + len(segment)
    return np.array(steps), np.array(rows)


def new_open_steps(buffer, row):
    """How many of a row's steps in the last rollout are of a completion that hasn't ended."""
    piece = buffer._open.get(row)
    return 0 if piece is None else len(piece) - piece.carried
