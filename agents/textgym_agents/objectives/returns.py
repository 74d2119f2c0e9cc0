"""Returns of the tokens of whole episodes: to go, of n steps, and lambda-returns. Pure functions.

| Symbol | Shape | Meaning |
|---|---|---|
| `rewards` | (tokens,) | of the tokens of several episodes, one after another |
| `values` | (tokens,) | expected return at each token, before it was chosen |
| `lengths` | (episodes,) | tokens of each episode |
"""

import numpy as np
from numpy.typing import NDArray

from textgym.errors import ConfigError
from textgym_agents.objectives.arrays import Bools, Floats, Ints


def returns_to_go(rewards: Floats, lengths: Ints) -> Floats:
    """(tokens,) the sum of an episode's rewards from each token on, undiscounted.

    >>> returns_to_go(np.array([0.0, 0.5, 1.0, 2.0, -1.0]), np.array([3, 2])).tolist()
    [1.5, 1.5, 1.0, 1.0, -1.0]
    """
    parts = np.split(rewards, np.cumsum(lengths)[:-1])
    returns: Floats = np.concatenate([part[::-1].cumsum()[::-1] for part in parts])
    return returns


def n_step_returns(rewards: Floats, n_steps: int | Ints, gamma: float = 1.0) -> NDArray[np.float64]:
    """(tokens,) discounted sums of the next ``n_steps`` rewards of one episode, fewer towards its end.

    ``n_steps`` can be (tokens,), another number for each.

    >>> n_step_returns(np.array([0.0, 1.0, 0.0, 2.0]), 2, 0.5).tolist()
    [0.5, 1.0, 1.0, 2.0]
    >>> n_step_returns(np.array([0.0, 1.0, 0.0, 2.0]), np.array([1, 3, 2, 1]), 0.5).tolist()
    [0.0, 1.5, 1.0, 2.0]
    """
    returns = np.zeros(len(rewards))
    longest = int(np.max(n_steps, initial=0))
    for ahead in range(min(longest, len(rewards))):
        counted = np.broadcast_to(n_steps, len(rewards))[: len(rewards) - ahead] > ahead
        returns[: len(rewards) - ahead] += gamma**ahead * rewards[ahead:] * counted
    return returns


def lambda_returns(
    rewards: Floats, values: Floats, lengths: Ints, td_lambda: float = 1.0, on_policy: Bools | None = None
) -> Floats:
    """(tokens,) undiscounted lambda-returns,  ``G_t = r_t + (1 - lambda) v_{t+1} + lambda G_{t+1}``.

    An episode's last return is its last reward. With lambda 0 each return is the reward and the next value, with 1 it
    is the Monte-Carlo return.

    Sutton & Barto, "Reinforcement Learning: An Introduction" (2018), chapter 12. With ``on_policy``, True where the
    chosen token is one that the policy of the values would choose, it is that of Watkins's Q(lambda): where the next
    token isn't, the return is cut, ``G_t = r_t + v_{t+1}`` (section 12.10).

    Args:
        rewards: (tokens,).
        values: (tokens,); max_a Q(s, a) for Q-learning, Q(s, a) of the chosen token for SARSA.
        lengths: (episodes,).
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
        raise ConfigError(f"Rewards, values and lengths don't fit each other: their shapes are {sorted(shapes)}.")
    table, inside = _table(np.stack([rewards, values]), lengths)  # (2, episodes, most tokens)
    follow = np.ones_like(inside) if on_policy is None else _table(on_policy[None], lengths)[0][0] > 0
    filled = np.zeros_like(table[0])
    last = np.arange(inside.shape[1]) == lengths[:, None] - 1
    after: Floats = np.zeros(len(lengths))  # G_{t+1}
    for t in reversed(range(inside.shape[1])):
        if t + 1 < inside.shape[1]:
            weight = td_lambda * follow[:, t + 1]
            after = (1 - weight) * table[1, :, t + 1] + weight * after
        after = table[0, :, t] + np.where(last[:, t], 0.0, after)
        filled[:, t] = after
    returns: Floats = filled[inside]
    return returns


def generalized_advantages(
    rewards: Floats, values: Floats, lengths: Ints, gamma: float, gae_lambda: float
) -> NDArray[np.float64]:
    """(tokens,) advantages,  ``A_t = r_t + gamma v_{t+1} - v_t + gamma lambda A_{t+1}``.

    What comes after an episode's last token counts as 0.
    Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation" (2016),
    https://arxiv.org/abs/1506.02438. With gamma and lambda 1 it is the return from a token on minus its value.

    >>> rewards, values, lengths = np.array([0.0, 1.0, 2.0]), np.array([0.5, 0.25, 1.0]), np.array([2, 1])
    >>> generalized_advantages(rewards, values, lengths, 1.0, 1.0).tolist()
    [0.5, 0.75, 1.0]
    >>> generalized_advantages(rewards, values, lengths, 1.0, 0.0).tolist()
    [-0.25, 0.75, 1.0]
    """
    table, inside = _table(np.stack([rewards, values]), lengths)  # (2, episodes, most tokens)
    advantages = np.zeros((len(lengths), inside.shape[1] + 1))  # behind an episode, rewards and values are 0
    for t in reversed(range(inside.shape[1])):
        after = table[1, :, t + 1] if t + 1 < inside.shape[1] else 0.0
        advantages[:, t] = table[0, :, t] + gamma * after - table[1, :, t] + gamma * gae_lambda * advantages[:, t + 1]
    return advantages[:, :-1][inside]


def check_lambda(td_lambda: float) -> None:
    """Raise ConfigError unless it is from 0 to 1."""
    if not 0 <= td_lambda <= 1:
        raise ConfigError(f"td_lambda is {td_lambda}, expected 0 (one step) to 1 (Monte Carlo).")


def _table(flat: NDArray[np.generic], lengths: Ints) -> tuple[Floats, Bools]:
    """Flat (k, tokens) as (k, episodes, most tokens) with zeros behind each episode, and where its tokens are."""
    inside: Bools = np.arange(int(lengths.max())) < lengths[:, None]
    table = np.zeros((len(flat), *inside.shape))
    table[:, inside] = flat
    return table, inside
