"""Advantages from returns, and the weights that reduce the losses of tokens to one number. Pure functions.

| Symbol | Shape | Meaning |
|---|---|---|
| `returns` | (groups, k) | of k completions of each prompt |
| `scored` | (groups, k) | which of them have a return: False where the reward abstained, whose number means nothing |
| `lengths` | (episodes,) | tokens of each episode |
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.objectives.arrays import Bools, Floats, Ints

LossReduction = Literal["episode", "token", "constant", "sum"]
LOSS_REDUCTIONS = ("episode", "token", "constant", "sum")
SAME = 1e-8  # rewards that differ by less are equal


def mean_of_others(returns: Floats, scored: Bools | None = None) -> Floats:
    """(groups, k) the mean return of the other scored completions of each one's group; 0 where there are none.

    Raises:
        ConfigError: fewer than two completions in a group, or a return that is not a finite number.

    >>> mean_of_others(np.array([[1.0, 0.0, 0.5]])).tolist()
    [[0.25, 0.75, 0.5]]
    >>> mean_of_others(np.array([[1.0, 0.0, 0.5]]), np.array([[True, False, True]])).tolist()
    [[0.5, 0.75, 1.0]]
    """
    returns = _groups(returns)
    there = np.ones(returns.shape) if scored is None else scored.astype(np.float64)
    total, count = (returns * there).sum(1, keepdims=True), there.sum(1, keepdims=True)
    others: Floats = (total - returns * there) / np.maximum(count - there, 1)
    return others


def comparable(scored: Bools) -> Bools:
    """(groups, k) which completions have a return, and another one of their group to compare it with.

    >>> comparable(np.array([[True, True, False], [True, False, False]])).tolist()
    [[True, True, False], [False, False, False]]
    """
    several: Bools = scored & (scored.sum(1, keepdims=True) > 1)
    return several


def leave_one_out(returns: Floats, scored: Bools | None = None) -> Floats:
    """(groups, k) each return minus the mean of the others of its group. Unbiased: no return is in its own baseline.

    0 for a completion without a return, or without another one in its group.

    Kool et al., "Buy 4 REINFORCE Samples, Get a Baseline for Free!" (2019), https://openreview.net/forum?id=r1lgTGL5DE.

    Raises:
        ConfigError: fewer than two completions in a group, or a return that is not a finite number.

    >>> leave_one_out(np.array([[1.0, 0.0, 0.5]])).tolist()
    [[0.75, -0.75, 0.0]]
    >>> leave_one_out(np.array([[1.0, 0.0, 0.5]]), np.array([[True, False, True]])).tolist()
    [[0.5, 0.0, -0.5]]
    """
    advantages = _groups(returns) - mean_of_others(returns, scored)
    return advantages if scored is None else np.where(comparable(scored), advantages, 0.0)


def without_past_rewards(advantages: Floats, rewards: Floats, lengths: Ints, scale: Floats | float = 1.0) -> Floats:
    """(tokens,) of each token, its completion's advantage without the rewards that came before the token.

    Where an advantage is a whole return minus a baseline, that is the return from the token on minus the same baseline.
    The baseline is of whole returns at every token: means over the completions that reached a turn with the same number
    would be biased, since the policy decides where it stops.

    Args:
        advantages: (groups, k), of whole completions.
        rewards: (tokens,) of all completions, one after another.
        lengths: (completions,) tokens of each.
        scale: what the advantages were divided by, a number or (groups, k); infinite where they are 0 by decree.

    >>> without_past_rewards(np.array([[0.5, -0.5]]), np.array([0.0, 1.0, 0.5, 0.25, 0.25]), np.array([3, 2])).tolist()
    [0.5, 0.5, -0.5, -0.5, -0.75]
    """
    parts = np.split(rewards.astype(np.float64), np.cumsum(lengths)[:-1])
    past = np.concatenate([part.cumsum() - part for part in parts])
    divisor = np.broadcast_to(scale, advantages.shape).reshape(-1).repeat(lengths)
    tokens: Floats = advantages.reshape(-1).repeat(lengths) - past / divisor
    return tokens


def segment_starts(lengths: Ints, stride: int) -> list[Ints]:
    """For each episode the tokens at which its segments of ``stride`` tokens begin; the last one may be shorter.

    >>> [starts.tolist() for starts in segment_starts(np.array([5, 2]), 2)]
    [[0, 2, 4], [0]]
    """
    return [np.arange(0, length, stride) for length in lengths]


def segment_advantages(rewards: Floats, lengths: Ints, values: Floats, stride: int) -> Floats:
    """(tokens,) of all tokens of a segment: its rewards, plus the value of the state after it, minus that before it.

    Args:
        rewards: (tokens,) of several episodes, one after another.
        lengths: (episodes,) tokens of each.
        values: (segments,) of the states at which segments begin, see :func:`segment_starts`. That after the last one
            of an episode is 0.
        stride: tokens of a segment.

    >>> segment_advantages(np.array([0.0, 0, 0, 1, 0.5]), np.array([4, 1]), np.array([0.3, 0.6, 0.2]), 2).tolist()
    [0.3, 0.3, 0.4, 0.4, 0.3]
    """
    starts = segment_starts(lengths, stride)
    offsets = np.cumsum(lengths) - lengths
    received = np.add.reduceat(
        rewards, np.concatenate([one + offset for one, offset in zip(starts, offsets, strict=True)])
    )
    last = np.concatenate([one == one[-1] for one in starts])
    after = np.where(last, 0.0, np.append(values[1:], 0.0))
    sizes = np.concatenate([np.diff(one, append=length) for one, length in zip(starts, lengths, strict=True)])
    advantages: Floats = np.repeat(received + after - values, sizes)
    return advantages


def group_normalized(
    returns: Floats, scored: Bools | None = None, *, normalize_std: bool = True, eps: float = 1e-4
) -> Floats:
    """Each return minus the mean of its group, divided by the group's standard deviation plus ``eps``, (groups, k).

    Shao et al., "DeepSeekMath" (2024), section 4.1.2, https://arxiv.org/abs/2402.03300. The deviation is that of a
    sample, with k - 1 in its denominator, as common implementations have it; the paper doesn't say.

    Args:
        returns: (groups, k).
        scored: (groups, k) which of them count; the others' advantage is 0. None: all.
        normalize_std: False leaves the division out, as Liu et al., "Understanding R1-Zero-Like Training" (2025) do:
            it gives prompts that are nearly solved or nearly hopeless the same weight as the others.
        eps: what keeps a group of nearly equal returns from becoming large.

    Raises:
        ConfigError: fewer than two completions in a group, or a return that is not a finite number.

    >>> group_normalized(np.array([[1.0, 0.0, 0.5]]), eps=0).tolist()
    [[1.0, -1.0, 0.0]]
    >>> group_normalized(np.array([[1.0, 0.0, 0.5]]), normalize_std=False).tolist()
    [[0.5, -0.5, 0.0]]
    >>> scored = np.array([[True, True, False]])
    >>> group_normalized(np.array([[1.0, 0.0, 0.5]]), scored, normalize_std=False).tolist()
    [[0.5, -0.5, 0.0]]
    """
    returns = _groups(returns)
    if scored is not None and not scored.all():
        advantages = np.zeros_like(returns)
        for group, there in enumerate(comparable(scored)):
            if there.any():
                rest = returns[group : group + 1, there]
                advantages[group, there] = group_normalized(rest, normalize_std=normalize_std, eps=eps)[0]
        return advantages
    centered: Floats = returns - returns.mean(1, keepdims=True)
    if not normalize_std:
        return centered
    deviation: Floats = returns.std(1, ddof=1, keepdims=True)
    # All equal: their differences are rounding, which must not be divided by a deviation that is rounding too.
    return np.where(without_signal(returns)[:, None], 0.0, centered / np.maximum(deviation + eps, SAME))


def group_scale(returns: Floats, scored: Bools | None = None, eps: float = 1e-4) -> Floats:
    """(groups, k) what :func:`group_normalized` divides by; infinity where its advantage is 0 whatever the return.

    >>> group_scale(np.array([[1.0, 0.0, 0.5], [1.0, 1.0, 1.0]]), eps=0).tolist()
    [[0.5, 0.5, 0.5], [inf, inf, inf]]
    """
    scored = np.ones(returns.shape, dtype=np.bool_) if scored is None else comparable(scored)
    scale = np.full(returns.shape, np.inf)
    for group, there in enumerate(scored):
        if there.any() and not without_signal(returns[group : group + 1, there])[0]:
            scale[group, there] = max(returns[group, there].std(ddof=1) + eps, SAME)
    return scale


def without_signal(returns: Floats, scored: Bools | None = None) -> NDArray[np.bool_]:
    """(groups,) whether all returns of a group are equal, so that nothing in it is better than the rest.

    >>> without_signal(np.array([[1.0, 1.0], [1.0, 0.0]])).tolist()
    [True, False]
    >>> without_signal(np.array([[1.0, 0.0]]), np.array([[True, False]])).tolist()
    [True]
    """
    if scored is None:
        scored = np.ones(returns.shape, dtype=np.bool_)
    highest = np.where(scored, returns, -np.inf).max(1)
    equal: NDArray[np.bool_] = highest - np.where(scored, returns, np.inf).min(1) < SAME
    return equal


def whiten(values: Floats, eps: float = 1e-8) -> Floats:
    """Shift and scale to mean 0 and standard deviation 1, all together. Equal values become zeros.

    Raises:
        ConfigError: fewer than two values, or one that is not a finite number: leaving it out would hide it.

    >>> whiten(np.array([1.0, 3.0])).round(4).tolist()
    [-1.0, 1.0]
    """
    if values.size < 2:
        raise ConfigError(f"{values.size} value can't be whitened. Make rollouts of at least two tokens.")
    _check_finite(values)
    deviation = float(values.std())
    centered: Floats = values - values.mean()
    return centered * 0 if deviation < SAME else centered / (deviation + eps)


def token_weights(lengths: Ints, loss_reduction: LossReduction, budget: int = 1) -> Floats:
    """(tokens,) the weight of each token's loss in a minibatch's, which is the sum of both multiplied.

    Args:
        lengths: (episodes,) tokens of each.
        loss_reduction: "episode": mean over the tokens of an episode, then over episodes (GRPO; a token of a long
            completion counts less). "token": mean over all tokens (DAPO). "constant": sum over the tokens of an
            episode, divided by ``budget``, mean over episodes (Dr. GRPO). "sum": the same undivided, which is the
            gradient of the expected return (REINFORCE).
        budget: most tokens that an episode can have, for "constant".

    Raises:
        ConfigError: an unknown reduction.

    >>> token_weights(np.array([1, 3]), "episode").round(3).tolist()
    [0.5, 0.167, 0.167, 0.167]
    >>> token_weights(np.array([1, 3]), "token").tolist()
    [0.25, 0.25, 0.25, 0.25]
    >>> token_weights(np.array([1, 3]), "constant", 10).tolist()
    [0.05, 0.05, 0.05, 0.05]
    >>> token_weights(np.array([1, 3]), "sum").tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    episodes, tokens = len(lengths), int(lengths.sum())
    if loss_reduction == "episode":
        return np.repeat(1 / (episodes * lengths), lengths)
    if loss_reduction not in LOSS_REDUCTIONS:
        raise ConfigError(f"loss_reduction is {loss_reduction!r}. {did_you_mean(str(loss_reduction), LOSS_REDUCTIONS)}")
    shares = {"token": 1 / tokens, "constant": 1 / (episodes * budget), "sum": 1 / episodes}
    return np.full(tokens, shares[loss_reduction])


def _groups(returns: Floats) -> Floats:
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise ConfigError(
            f"Returns of shape {returns.shape} are no groups of at least two completions, (groups, k). Set group_size "
            "to 2 or more."
        )
    _check_finite(returns)
    return returns.astype(np.float64)


def _check_finite(values: Floats) -> None:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ConfigError(f"Value {wrong[0]} of {values.size} is {values.flat[wrong[0]]}, expected a finite number.")
