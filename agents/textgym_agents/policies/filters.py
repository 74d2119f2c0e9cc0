"""Top-k and top-p in training: an update chooses among the tokens that the rollout left, not among those of now.

An update moves the weights, and with them the edge of the top-p set. A token of the rollout that is outside then would
have the log-probability minus infinity.
"""

from typing import Any

import torch
from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.models.sampling import Sampling


def check_filters(policy: type[Any], top_k: int = 0, top_p: float = 1.0, buffer: type[Any] | None = None) -> None:
    """Raise ConfigError for top-k and top-p of a policy whose updates they would make wrong.

    Args:
        policy: its class.
        top_k, top_p: as given; 0 and 1 leave no token out.
        buffer: a class of rollout buffers that doesn't store which tokens they left.
    """
    given = " and ".join([f"top_k={top_k}"] * (top_k > 0) + [f"top_p={top_p}"] * (top_p < 1))
    if given and not policy.takes_filters:
        raise ConfigError(
            f"{policy.__name__} learns about tokens that {given} can leave out, whose log-probability would be minus "
            "infinity. Train without, and set it in the policy that generates."
        )
    if given and buffer is not None:
        raise ConfigError(
            f"rollout_buffer_class is {buffer.__name__}, which doesn't store which tokens {given} left in the rollout. "
            "Leave it out, or pass a subclass of EpisodeRolloutBuffer."
        )


def takes_filters_now(sampling: Sampling, obs: Any) -> bool:
    """Whether top-k and top-p are taken from the weights of now, for want of the sets that a rollout stored.

    Raises:
        ConfigError: a buffer should have stored them, and hasn't.
    """
    if not sampling.filters:
        return False
    stored = obs.stored if isinstance(obs, EpisodeBatch) else None
    if stored is False:
        raise ConfigError(
            f"top_k={sampling.top_k} and top_p={sampling.top_p} need a buffer that stores which tokens they left in "
            "the rollout. Build the algorithm with textgym_agents.make, or call "
            "algorithm.rollout_buffer.bind(algorithm.policy) before learn()."
        )
    return not stored


def check_left(sampling: Sampling, log_probs: Tensor) -> None:
    """Raise ConfigError if an update, with top-k and top-p of the weights of now, leaves out a token of its batch."""
    if log_probs.requires_grad and bool(torch.isneginf(log_probs.detach()).any()):
        raise ConfigError(
            f"top_k={sampling.top_k} and top_p={sampling.top_p} leave out a token that is to be learned from: since "
            "it was sampled, the weights have changed. Use EpisodeRolloutBuffer, which stores which tokens they left, "
            "or train without them."
        )
