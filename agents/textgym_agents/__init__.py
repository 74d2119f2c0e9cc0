"""Language models behind the Stable-Baselines3 agent interface, for textgym's environments."""

from textgym_agents.algorithms import ALGORITHMS, load, make
from textgym_agents.buffers import EpisodeRolloutBuffer
from textgym_agents.kl import AdaptiveKL, FixedKL
from textgym_agents.policies.causal import CausalLMPolicy
from textgym_agents.vec_env import TextVecEnv, make_vec_env

__all__ = [
    "ALGORITHMS",
    "AdaptiveKL",
    "CausalLMPolicy",
    "EpisodeRolloutBuffer",
    "FixedKL",
    "TextVecEnv",
    "load",
    "make",
    "make_vec_env",
]
