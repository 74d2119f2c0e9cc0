"""How far the log-probabilities of an update are from those of the rollout, before any gradient step."""

from typing import Any

import numpy as np
import torch

from textgym_agents.buffers.rollout import EpisodeRolloutBuffer


def ratio_error(policy: Any, buffer: Any) -> float:
    """Mean distance, in nats, of log-probabilities as an update computes them from those that were stored."""
    was_training = policy.training
    policy.set_training_mode(True)  # as it will be in the update: dropout shows only so
    try:
        if isinstance(buffer, EpisodeRolloutBuffer):
            # Only those of the last rollout: an earlier policy took the first steps of a completion that was cut.
            observations, actions, stored, new = buffer.peek()
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                computed = policy.evaluate_actions(observations, actions)[1]
            computed, stored = computed[new], stored[new]
        else:
            observations, actions, stored = _some_steps(buffer)
            # With gradients, since without them a policy of ours would put these rows into its cache.
            with torch.enable_grad(), torch.random.fork_rng(devices=[]):
                computed = policy.evaluate_actions(observations, actions)[1].detach()
    finally:
        policy.set_training_mode(was_training)
    return float((computed - stored).abs().mean())


def _some_steps(buffer: Any, count: int = 16) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Observations, actions and log-probabilities of a few steps of one of SB3's own buffers, spread over all."""
    steps = np.linspace(0, buffer.buffer_size - 1, min(count, buffer.buffer_size)).astype(int)
    rows = np.arange(len(steps)) % buffer.n_envs

    def taken(array: Any) -> torch.Tensor:
        some: torch.Tensor = buffer.to_torch(array[steps, rows])
        return some

    stored = buffer.observations
    seen = {name: taken(array) for name, array in stored.items()} if isinstance(stored, dict) else taken(stored)
    return seen, taken(buffer.actions).long().flatten(), taken(buffer.log_probs).flatten()
