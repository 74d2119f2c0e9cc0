"""Language models behind the Stable-Baselines3 agent interface, for textgym's environments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgym_agents.algorithms import ALGORITHMS as ALGORITHMS
    from textgym_agents.algorithms import Algorithm as Algorithm
    from textgym_agents.algorithms import load as load
    from textgym_agents.algorithms import make as make
    from textgym_agents.algorithms import register_algorithm as register_algorithm
    from textgym_agents.algorithms.ars import ARS as ARS
    from textgym_agents.algorithms.bc import BC as BC
    from textgym_agents.algorithms.bc import warm_start as warm_start
    from textgym_agents.algorithms.grpo import GRPO as GRPO
    from textgym_agents.algorithms.ilql import ILQL as ILQL
    from textgym_agents.algorithms.nlpo import NLPO as NLPO
    from textgym_agents.algorithms.no_training import Baseline as Baseline
    from textgym_agents.algorithms.no_training import BestOfN as BestOfN
    from textgym_agents.algorithms.no_training import ZeroShot as ZeroShot
    from textgym_agents.algorithms.q_learning import QLearning as QLearning
    from textgym_agents.algorithms.reinforce import REINFORCE as REINFORCE
    from textgym_agents.algorithms.rloo import RLOO as RLOO
    from textgym_agents.algorithms.sarsa import SARSA as SARSA
    from textgym_agents.algorithms.scst import SCST as SCST
    from textgym_agents.algorithms.vineppo import VinePPO as VinePPO
    from textgym_agents.buffers.masked_rollout import MaskedEpisodeRolloutBuffer as MaskedEpisodeRolloutBuffer
    from textgym_agents.buffers.replay import EpisodeReplayBuffer as EpisodeReplayBuffer
    from textgym_agents.buffers.rollout import EpisodeRolloutBuffer as EpisodeRolloutBuffer
    from textgym_agents.callbacks import CircuitBreaker as CircuitBreaker
    from textgym_agents.callbacks import EvaluateCallback as EvaluateCallback
    from textgym_agents.callbacks import HealthCheck as HealthCheck
    from textgym_agents.callbacks import NoiseScale as NoiseScale
    from textgym_agents.callbacks import Schedules as Schedules
    from textgym_agents.callbacks import TextLogger as TextLogger
    from textgym_agents.callbacks import WeightAveraging as WeightAveraging
    from textgym_agents.checkpoint import CheckpointCallback as CheckpointCallback
    from textgym_agents.checkpoint import load_checkpoint as load_checkpoint
    from textgym_agents.checkpoint import save_checkpoint as save_checkpoint
    from textgym_agents.envs.vec_env import TextVecEnv as TextVecEnv
    from textgym_agents.envs.vec_env import make_vec_env as make_vec_env
    from textgym_agents.evaluation import Evaluation as Evaluation
    from textgym_agents.evaluation import evaluate as evaluate
    from textgym_agents.objectives.kl import AdaptiveKL as AdaptiveKL
    from textgym_agents.objectives.kl import FixedKL as FixedKL
    from textgym_agents.objectives.kl import ScheduledKL as ScheduledKL
    from textgym_agents.policies.base import LanguageModelPolicy as LanguageModelPolicy

# Imported on first use: torch, transformers and Stable-Baselines3 take seconds, and `textgym --help` needs none.
_MODULES = {
    "AdaptiveKL": "objectives.kl",
    "Algorithm": "algorithms",
    "ALGORITHMS": "algorithms",
    "ARS": "algorithms.ars",
    "Baseline": "algorithms.no_training",
    "BC": "algorithms.bc",
    "BestOfN": "algorithms.no_training",
    "CheckpointCallback": "checkpoint",
    "CircuitBreaker": "callbacks",
    "EpisodeReplayBuffer": "buffers.replay",
    "EpisodeRolloutBuffer": "buffers.rollout",
    "evaluate": "evaluation",
    "EvaluateCallback": "callbacks",
    "Evaluation": "evaluation",
    "FixedKL": "objectives.kl",
    "GRPO": "algorithms.grpo",
    "HealthCheck": "callbacks",
    "ILQL": "algorithms.ilql",
    "LanguageModelPolicy": "policies.base",
    "load": "algorithms",
    "load_checkpoint": "checkpoint",
    "make": "algorithms",
    "make_vec_env": "envs.vec_env",
    "MaskedEpisodeRolloutBuffer": "buffers.masked_rollout",
    "NLPO": "algorithms.nlpo",
    "NoiseScale": "callbacks",
    "QLearning": "algorithms.q_learning",
    "REINFORCE": "algorithms.reinforce",
    "register_algorithm": "algorithms",
    "RLOO": "algorithms.rloo",
    "SARSA": "algorithms.sarsa",
    "save_checkpoint": "checkpoint",
    "ScheduledKL": "objectives.kl",
    "Schedules": "callbacks",
    "SCST": "algorithms.scst",
    "TextLogger": "callbacks",
    "TextVecEnv": "envs.vec_env",
    "VinePPO": "algorithms.vineppo",
    "warm_start": "algorithms.bc",
    "WeightAveraging": "callbacks",
    "ZeroShot": "algorithms.no_training",
}

__all__ = sorted(_MODULES)  # a test holds the imports above to these names


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
