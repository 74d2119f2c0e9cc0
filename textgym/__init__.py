"""Gymnasium environments for text generation: one step writes one token, a reward scores the completion.

>>> import gymnasium, textgym
>>> env = gymnasium.make("textgym/Copy-v1")
>>> observation, info = env.reset(seed=0)
"""

from importlib import metadata

from textgym import checker, errors, metrics, partners, plugins, rewards, tasks, world, wrappers
from textgym.core import Prompt, Reward, Sample, Score, Task, Turn
from textgym.dataset_task import DatasetTask, from_dataset
from textgym.dialogue import Dialogue, Partner, Reply, partner
from textgym.env import TextGenerationEnv
from textgym.errors import TextGymError
from textgym.mdp import TextEnv, TextMDP, text_env
from textgym.registration import register, register_all
from textgym.rewards import register_reward, reward
from textgym.scoring import score_samples
from textgym.spaces import TextSpace
from textgym.tokenizer import load_tokenizer
from textgym.vector import TextGenerationVectorEnv

try:
    __version__ = metadata.version("textgym")
except metadata.PackageNotFoundError:  # run from a checkout that isn't installed
    __version__ = "0+unknown"

__all__ = [
    "DatasetTask",
    "Dialogue",
    "Partner",
    "Prompt",
    "Reply",
    "Reward",
    "Sample",
    "Score",
    "Task",
    "TextEnv",
    "TextGenerationEnv",
    "TextGenerationVectorEnv",
    "TextGymError",
    "TextMDP",
    "TextSpace",
    "Turn",
    "checker",
    "errors",
    "from_dataset",
    "load_tokenizer",
    "metrics",
    "partner",
    "partners",
    "plugins",
    "register",
    "register_all",
    "register_reward",
    "reward",
    "rewards",
    "score_samples",
    "tasks",
    "text_env",
    "world",
    "wrappers",
]

register_all()
