"""Language models behind the Stable-Baselines3 agent interface, for textgym's environments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgym_agents.algorithms import ALGORITHMS, load, make
    from textgym_agents.algorithms.grpo import GRPO
    from textgym_agents.algorithms.nlpo import NLPO
    from textgym_agents.algorithms.reinforce import REINFORCE
    from textgym_agents.algorithms.rloo import RLOO
    from textgym_agents.algorithms.scst import SCST
    from textgym_agents.buffers import EpisodeRolloutBuffer
    from textgym_agents.kl import AdaptiveKL, FixedKL
    from textgym_agents.policies.causal import CausalLMPolicy
    from textgym_agents.policies.seq2seq import Seq2SeqLMPolicy
    from textgym_agents.vec_env import TextVecEnv, make_vec_env

# Imported on first use: torch, transformers and Stable-Baselines3 take seconds, and `textgym --help` needs none.
_MODULES = {
    "ALGORITHMS": "algorithms",
    "AdaptiveKL": "kl",
    "CausalLMPolicy": "policies.causal",
    "EpisodeRolloutBuffer": "buffers",
    "FixedKL": "kl",
    "GRPO": "algorithms.grpo",
    "NLPO": "algorithms.nlpo",
    "REINFORCE": "algorithms.reinforce",
    "RLOO": "algorithms.rloo",
    "SCST": "algorithms.scst",
    "Seq2SeqLMPolicy": "policies.seq2seq",
    "TextVecEnv": "vec_env",
    "load": "algorithms",
    "make": "algorithms",
    "make_vec_env": "vec_env",
}

__all__ = [
    "ALGORITHMS",
    "GRPO",
    "NLPO",
    "REINFORCE",
    "RLOO",
    "SCST",
    "AdaptiveKL",
    "CausalLMPolicy",
    "EpisodeRolloutBuffer",
    "FixedKL",
    "Seq2SeqLMPolicy",
    "TextVecEnv",
    "load",
    "make",
    "make_vec_env",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
