"""What a text earns from each of its tokens on, partly as it was earned and partly as it was expected: lambda-returns.

| Symbol | Shape | Meaning |
|---|---|---|
| `rewards` | (tokens,) | of the tokens of several texts, one text after another |
| `values` | (tokens,) | what was expected at each token, before it was chosen |
| `lengths` | (texts,) | how many tokens each text has |
"""

import numpy as np
from numpy.typing import NDArray

from textgym.errors import ConfigError

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]


def lambda_returns(
    rewards: Floats, values: Floats, lengths: Ints, td_lambda: float = 1.0, on_policy: Bools | None = None
) -> Floats:
    """(tokens,) undiscounted lambda-returns,  ``G_t = r_t + (1 - lambda) v_{t+1} + lambda G_{t+1}``.

    After a text's last token nothing is left to earn, so its return is its reward. With lambda 0 each return is the
    reward and the next value, with 1 it is what the text really earned.

    Sutton & Barto, "Reinforcement Learning: An Introduction" (2018), chapter 12. With ``on_policy``, which says where
    the chosen token is the one that the values suppose, it is that of Watkins's Q(lambda): where the next token isn't,
    what was earned after it tells nothing, and ``G_t = r_t + v_{t+1}`` (section 12.10).

    Args:
        rewards: (tokens,).
        values: (tokens,); max_a Q(s, a) for Q-learning, Q(s, a) of the chosen token for SARSA.
        lengths: (texts,).
        td_lambda: from 0 to 1.
        on_policy: (tokens,); None: all are.

    Raises:
        ConfigError: ``td_lambda`` outside 0 to 1, or arrays that don't fit each other.

    >>> rewards, values, lengths = np.array([0.0, 0.0, 1.0]), np.array([0.3, 0.5, 0.7]), np.array([3])
    >>> lambda_returns(rewards, values, lengths, 0.5).tolist()
    [0.675, 0.85, 1.0]
    >>> lambda_returns(rewards, values, lengths, 0.5, np.array([True, False, True])).tolist()
    [0.5, 0.85, 1.0]
    """
    check_lambda(td_lambda)
    shapes = {rewards.shape, values.shape, (int(lengths.sum()),)} | (
        {on_policy.shape} if on_policy is not None else set()
    )
    if len(shapes) > 1:
        raise ConfigError(f"Rewards, values and texts don't fit each other: their shapes are {sorted(shapes)}.")
    table, inside = _table(np.stack([rewards, values]), lengths)  # (2, texts, most tokens)
    follow = np.ones_like(inside) if on_policy is None else _table(on_policy[None], lengths)[0][0] > 0
    found = np.zeros_like(table[0])
    last = np.arange(inside.shape[1]) == lengths[:, None] - 1
    after: Floats = np.zeros(len(lengths))  # G_{t+1}
    for t in reversed(range(inside.shape[1])):
        if t + 1 < inside.shape[1]:
            weight = td_lambda * follow[:, t + 1]
            after = (1 - weight) * table[1, :, t + 1] + weight * after
        after = table[0, :, t] + np.where(last[:, t], 0.0, after)
        found[:, t] = after
    returns: Floats = found[inside]
    return returns


def check_lambda(td_lambda: float) -> None:
    """Raise ConfigError unless it is from 0 to 1."""
    if not 0 <= td_lambda <= 1:
        raise ConfigError(f"td_lambda is {td_lambda}, expected 0 (one step) to 1 (what the whole text earned).")


def _table(flat: NDArray[np.generic], lengths: Ints) -> tuple[Floats, Bools]:
    """Flat (k, tokens) as (k, texts, most tokens) with zeros behind each text, and where its tokens are."""
    inside: Bools = np.arange(int(lengths.max())) < lengths[:, None]
    table = np.zeros((len(flat), *inside.shape))
    table[:, inside] = flat
    return table, inside
