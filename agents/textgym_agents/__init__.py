"""Language models behind the Stable-Baselines3 agent interface, for textgym's environments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgym_agents.algorithms import ALGORITHMS, load, make
    from textgym_agents.algorithms.behaviour_cloning import BehaviourCloning, warm_start
    from textgym_agents.algorithms.grpo import GRPO
    from textgym_agents.algorithms.ilql import ILQL
    from textgym_agents.algorithms.nlpo import NLPO
    from textgym_agents.algorithms.q_learning import QLearning
    from textgym_agents.algorithms.reinforce import REINFORCE
    from textgym_agents.algorithms.rloo import RLOO
    from textgym_agents.algorithms.sarsa import SARSA
    from textgym_agents.algorithms.scst import SCST
    from textgym_agents.buffers import EpisodeRolloutBuffer
    from textgym_agents.checkpoint import load_checkpoint, save_checkpoint
    from textgym_agents.kl import AdaptiveKL, FixedKL
    from textgym_agents.policies.causal import CausalLMPolicy
    from textgym_agents.policies.seq2seq import Seq2SeqLMPolicy
    from textgym_agents.vec_env import TextVecEnv, make_vec_env

# Imported on first use: torch, transformers and Stable-Baselines3 take seconds, and `textgym --help` needs none.
_MODULES = {
    "ALGORITHMS": "algorithms",
    "AdaptiveKL": "kl",
    "BehaviourCloning": "algorithms.behaviour_cloning",
    "CausalLMPolicy": "policies.causal",
    "EpisodeRolloutBuffer": "buffers",
    "FixedKL": "kl",
    "GRPO": "algorithms.grpo",
    "ILQL": "algorithms.ilql",
    "NLPO": "algorithms.nlpo",
    "QLearning": "algorithms.q_learning",
    "REINFORCE": "algorithms.reinforce",
    "RLOO": "algorithms.rloo",
    "SARSA": "algorithms.sarsa",
    "SCST": "algorithms.scst",
    "Seq2SeqLMPolicy": "policies.seq2seq",
    "TextVecEnv": "vec_env",
    "load": "algorithms",
    "load_checkpoint": "checkpoint",
    "make": "algorithms",
    "make_vec_env": "vec_env",
    "save_checkpoint": "checkpoint",
    "warm_start": "algorithms.behaviour_cloning",
}

__all__ = [
    "ALGORITHMS",
    "GRPO",
    "ILQL",
    "NLPO",
    "REINFORCE",
    "RLOO",
    "SARSA",
    "SCST",
    "AdaptiveKL",
    "BehaviourCloning",
    "CausalLMPolicy",
    "EpisodeRolloutBuffer",
    "FixedKL",
    "QLearning",
    "Seq2SeqLMPolicy",
    "TextVecEnv",
    "load",
    "load_checkpoint",
    "make",
    "make_vec_env",
    "save_checkpoint",
    "warm_start",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
