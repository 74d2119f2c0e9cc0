"""Language models behind the Stable-Baselines3 agent interface, for textgym's environments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgym_agents.algorithms import ALGORITHMS, load, make
    from textgym_agents.buffers import EpisodeRolloutBuffer
    from textgym_agents.kl import AdaptiveKL, FixedKL
    from textgym_agents.policies.causal import CausalLMPolicy
    from textgym_agents.vec_env import TextVecEnv, make_vec_env

# Imported on first use: torch, transformers and Stable-Baselines3 take seconds, and `textgym --help` needs none.
_MODULES = {
    "ALGORITHMS": "algorithms",
    "AdaptiveKL": "kl",
    "CausalLMPolicy": "policies.causal",
    "EpisodeRolloutBuffer": "buffers",
    "FixedKL": "kl",
    "TextVecEnv": "vec_env",
    "load": "algorithms",
    "make": "algorithms",
    "make_vec_env": "vec_env",
}

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


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
