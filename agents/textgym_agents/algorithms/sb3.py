"""Stable-Baselines3's own PPO, A2C and DQN, unmodified, with defaults that suit text."""

from collections.abc import Mapping
from typing import Any

from stable_baselines3 import A2C, DQN, PPO

from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.envs.candidates import candidates
from textgym_agents.policies.dqn import DQNPolicy

# A rollout is as long as the longest completion, so that most of what is learned from is the newest policy's.
# gamma is 1 because a completion is scored once, at its end: a shorter one should not get a larger return for being
# short. gae_lambda is 1 because a new value head estimates nothing yet. Models larger than the built-in ones want a
# smaller learning rate.
PPO_DEFAULTS: Mapping[str, Any] = {
    "n_steps": None,
    "batch_size": 1024,
    "n_epochs": 2,
    "learning_rate": 1e-4,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "vf_coef": 0.5,
    "max_grad_norm": 1.0,
}
# Exploration samples from the model itself, so no step is uniform and learning starts with the first episodes.
DQN_DEFAULTS: Mapping[str, Any] = {
    "buffer_size": 50_000,
    "learning_starts": 0,
    "batch_size": 256,
    "train_freq": 8,
    "gradient_steps": 2,
    "learning_rate": 1e-4,
    "gamma": 1.0,
    "target_update_interval": 256,
    "exploration_initial_eps": 0.0,
    "exploration_final_eps": 0.0,
    "max_grad_norm": 1.0,
    "replay_buffer_kwargs": {"targets": "watkins"},
}
DQN_SMALL: Mapping[str, Any] = {
    "learning_starts": 8,
    "train_freq": 2,
    "gradient_steps": 2,
    "batch_size": 8,
    "buffer_size": 60,
    "num_candidates": 3,
}

PPO_ROW = Algorithm(
    PPO,
    "Schulman et al., Proximal Policy Optimization Algorithms, 2017, https://arxiv.org/abs/1707.06347",
    PPO_DEFAULTS,
    kl_coef=0.01,
    small={"n_steps": 5, "batch_size": 8, "n_epochs": 2},
    tests=("algorithms/test_learning.py", "buffers/test_rollout.py"),
    learning=Learning(24_000, 0.05, (0.098, 0.090, 0.078)),
    search={**search.PPO, "clip_range": search.Choice((0.1, 0.2, 0.3))},
    origins=origins.ROLLOUTS,
)
A2C_ROW = Algorithm(
    A2C,
    "Mnih et al., Asynchronous Methods for Deep Reinforcement Learning, 2016, https://arxiv.org/abs/1602.01783",
    {
        "n_steps": None,
        "learning_rate": 1e-4,
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "vf_coef": 0.5,
        "max_grad_norm": 1.0,
        "use_rms_prop": False,
        "normalize_advantage": True,
    },
    kl_coef=0.01,
    small={"n_steps": 5},
    tests=("algorithms/test_learning.py", "buffers/test_rollout.py"),
    learning=Learning(24_000, 0.04, (0.082, 0.071, 0.084)),
    search=search.ROLLOUTS,
    origins={**origins.ROLLOUTS, "use_rms_prop": origins.CHOSEN, "normalize_advantage": origins.CHOSEN},
)
DQN_ROW = Algorithm(
    DQN,
    "Mnih et al., Human-level Control through Deep Reinforcement Learning, 2015, https://doi.org/10.1038/nature14236",
    DQN_DEFAULTS,
    family="value based",
    kl_coef=None,
    policy=DQNPolicy,
    buffer=EpisodeReplayBuffer,
    wrap=candidates,
    wrap_defaults={"num_candidates": 8},
    small=DQN_SMALL,
    tests=("algorithms/test_dqn.py",),
    learning=Learning(24_000, 0.02, (0.047, 0.044, 0.068)),
    search=search.REPLAY,
    origins=origins.REPLAY,
)
