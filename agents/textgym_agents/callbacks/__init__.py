"""Callbacks for SB3's ``learn``: logging, evaluation, warnings, schedules, progress."""

from textgym_agents.callbacks.averaging import WeightAveraging
from textgym_agents.callbacks.circuit_breaker import CircuitBreaker
from textgym_agents.callbacks.evaluation import EvaluateCallback
from textgym_agents.callbacks.health import HealthCheck
from textgym_agents.callbacks.noise_scale import NoiseScale
from textgym_agents.callbacks.schedules import Schedules
from textgym_agents.callbacks.text_logger import TextLogger

__all__ = [
    "CircuitBreaker",
    "EvaluateCallback",
    "HealthCheck",
    "NoiseScale",
    "Schedules",
    "TextLogger",
    "WeightAveraging",
]
