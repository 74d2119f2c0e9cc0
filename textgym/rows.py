"""What the rows of a vector environment are given: by ``reset`` options and generators, by ``step`` a token each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding

from textgym.arguments import check_seed
from textgym.errors import ConfigError, InvalidActionError
from textgym.rules import Bools, Ints

Generators = list[np.random.Generator | None]


def reset_mask(mask: object, num_envs: int) -> Bools:
    """``options["reset_mask"]``, (num_envs,) bool: all rows if it is None.

    Raises:
        ConfigError: it is no such array, or selects no row.

    >>> reset_mask(None, 2).tolist()
    [True, True]
    """
    if mask is None:
        return np.ones(num_envs, dtype=np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (num_envs,):
        raise ConfigError(f"reset_mask={mask!r} is wrong, expected a numpy array of {num_envs} booleans.")
    if not mask.any():
        raise ConfigError("reset_mask selects no row. Select one, or don't call reset.")
    return mask


def per_row(name: str, value: object, num_envs: int) -> list[Any]:
    """An option's value for each row: one for all, or one (or None) each.

    Raises:
        ConfigError: a sequence of another length.

    >>> per_row("prompt_id", 7, 2), per_row("prompt_id", [7, None], 2)
    ([7, 7], [7, None])
    """
    if value is None or isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        return [value] * num_envs
    if len(value) != num_envs:
        raise ConfigError(f"{name} has {len(value)} entries, expected one for each of {num_envs} rows.")
    return list(value)


def seeds_of_rows(seed: object, num_envs: int) -> list[int | None] | None:
    """The seed of each row where ``seed`` is a sequence of them; None where it is one for all.

    Raises:
        SeedError, ConfigError: one of them is no seed, or there are too few or too many.

    >>> seeds_of_rows([3, None], 2), seeds_of_rows(3, 2)
    ([3, None], None)
    """
    if not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str | bytes):
        return None
    if np.ndim(np.asarray(seed, dtype=object)) == 0:
        return None
    return [check_seed(one) for one in per_row("seed", seed, num_envs)]


def seed_generators(generators: Generators, seeds: Sequence[int | None], rows: Sequence[int]) -> None:
    """Give these rows new generators of their own seeds; a row whose seed is None keeps its generator."""
    for row in rows:
        if seeds[row] is not None:
            generators[row] = seeding.np_random(seeds[row])[0]


def spawn_generators(generators: Generators, seed: int | None, rows: Sequence[int]) -> None:
    """Give these rows new generators of one seed; with None, those of them that have none yet."""
    new = [row for row in rows if seed is not None or generators[row] is None]
    # Children of a SeedSequence are independent streams; seed + index would repeat other seeds' streams.
    children = np.random.SeedSequence(seed).spawn(len(generators)) if new else []
    for row in new:
        generators[row] = np.random.Generator(np.random.PCG64(children[row]))


def token_ids(actions: npt.ArrayLike, num_envs: int) -> Ints:
    """The actions of a step, (num_envs,) int64.

    Raises:
        InvalidActionError: they are no integers, or too few or too many.

    >>> token_ids([5, 6], 2).tolist()
    [5, 6]
    """
    try:
        tokens = np.asarray(actions)
    except ValueError:
        raise InvalidActionError(f"Actions are ragged, expected {num_envs} integer token ids.") from None
    if tokens.shape != (num_envs,) or tokens.dtype.kind not in "iu":
        raise InvalidActionError(
            f"Actions are {tokens.dtype} of shape {tokens.shape}, expected {num_envs} integer token ids."
        )
    return tokens.astype(np.int64, copy=False)
