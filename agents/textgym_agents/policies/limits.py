"""What arguments of algorithms and policies may be: one table, which ``make`` and our own classes check.

Stable-Baselines3 takes any number, and some make a run wrong without a word: a negative norm reverses the gradient.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textgym.errors import ConfigError

Rule = Callable[[Any], str | None]  # None, or what is expected instead
LARGEST = 1e30  # what 32-bit floats hold, squared no more
MOST_TOKENS = 2**63 - 1  # what loggers count to
LARGEST_SEED = 2**32 - 1  # of numpy's global generator, which SB3 seeds


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    infinite: bool = False,
    or_none: bool = False,
) -> Rule:
    """A finite number from ``low`` (or ``above`` it) to ``high``.

    >>> number(0, 1)(2.0), number(0)(0.5)
    ('a number from 0 to 1', None)
    """
    words = "a number" if low == -math.inf else f"a number {'above' if above else 'from'} {low:g}"
    words += f" to {high:g}" if high < math.inf and not above else f", at most {high:g}" if high < math.inf else ""
    if low > -math.inf and not above and high == math.inf:
        words += " up"
    words += ", or None" if or_none else ""

    def rule(value: Any) -> str | None:
        if value is None:
            return None if or_none else words
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
            return words
        fine = not math.isnan(value) and (infinite or math.isfinite(value)) and low <= value <= high
        return None if fine and not (above and value == low) else words

    return rule


def integer(low: int, high: int | None = None, *, or_none: bool = False) -> Rule:
    """An integer from ``low`` to ``high``.

    >>> integer(1)(3.5), integer(0, 9)(9)
    ('an integer of at least 1', None)
    """
    words = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    words += ", or None" if or_none else ""

    def rule(value: Any) -> str | None:
        if value is None:
            return None if or_none else words
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
            return words
        return None if low <= value and (high is None or value <= high) else words

    return rule


def schedule(rule: Rule) -> Rule:
    """A number, or a function of the training's remaining progress."""

    def either(value: Any) -> str | None:
        expected = None if callable(value) else rule(value)
        return None if expected is None else f"{expected}, or a schedule"

    return either


def flag(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, bool | np.bool_) else "True or False"


def instance(words: str, *types: type) -> Rule:
    """An object of one of these types."""
    return lambda value: None if isinstance(value, types) else words


def subclass(words: str, parent: type) -> Rule:
    """A class derived from ``parent``, or None."""
    return lambda value: None if value is None or (isinstance(value, type) and issubclass(value, parent)) else words


def _kl_coef(value: Any) -> str | None:
    if hasattr(value, "coef") and callable(getattr(value, "update", None)):  # a KLController
        return None
    expected = number(0, or_none=True)(value)
    return None if expected is None else f"{expected}, or a KL controller"


def _lora(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return None
    expected = integer(1, or_none=True)(value)
    return None if expected is None else "a rank of at least 1, or a dict of arguments of peft.LoraConfig, or None"


def _train_freq(value: Any) -> str | None:
    if isinstance(value, tuple) and len(value) == 2 and value[1] in ("step", "episode"):
        value = value[0]
    expected = integer(1)(value)
    return None if expected is None else f"{expected}, or a pair such as (4, 'step')"


def _total_timesteps(value: Any) -> str | None:
    whole = isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer())
    fine = whole and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return None if fine else f"a whole number from 0 to {MOST_TOKENS}"


def _device(value: Any) -> str | None:
    if value == "auto":
        return None
    try:
        kind = torch.device(value).type
    except (RuntimeError, TypeError, ValueError):
        return "a device such as 'cpu', 'cuda:0' or 'auto'"
    if kind == "cuda" and not torch.cuda.is_available():
        return "a device that is there: torch finds no CUDA device"
    if kind == "mps" and not torch.backends.mps.is_available():
        return "a device that is there: torch finds no MPS device"
    return None


_LOG = instance("a folder, or None", str, Path, type(None))
_DICT = instance("a dict, or None", dict, Mapping, type(None))
_SHARE, _WEIGHT = number(0, 1), number(0)

LIMITS: Mapping[str, Rule] = {
    # of make, and of every algorithm of Stable-Baselines3
    "n_envs": integer(1),
    "seed": integer(0, LARGEST_SEED, or_none=True),
    "kl_coef": _kl_coef,
    "lora": _lora,
    "learning_rate": schedule(number(0, LARGEST)),
    "device": _device,
    "verbose": integer(0),
    "stats_window_size": integer(1),
    "tensorboard_log": _LOG,
    "env_kwargs": _DICT,
    "policy_kwargs": _DICT,
    "rollout_buffer_kwargs": _DICT,
    "replay_buffer_kwargs": _DICT,
    "rollout_buffer_class": subclass("a class of rollout buffers, or None", object),
    "replay_buffer_class": subclass("a class of replay buffers, or None", object),
    # rollouts and updates
    "n_steps": integer(1, or_none=True),
    "batch_size": integer(1, or_none=True),
    "n_epochs": integer(1),
    "gamma": _SHARE,
    "gae_lambda": _SHARE,
    "clip_range": schedule(number(0, LARGEST, above=True)),
    "clip_range_vf": schedule(number(0, LARGEST, above=True, or_none=True)),
    "normalize_advantage": flag,
    "ent_coef": number(),
    "vf_coef": _WEIGHT,
    "max_grad_norm": number(0, above=True, infinite=True),
    "target_kl": number(0, above=True, or_none=True),
    "use_rms_prop": flag,
    "use_sde": lambda value: None if value is False else "False, since tokens are discrete",
    "total_timesteps": _total_timesteps,
    # TRPO
    "cg_max_steps": integer(1),
    "cg_damping": _WEIGHT,
    "n_critic_updates": integer(1),
    "line_search_max_iter": integer(1),
    "line_search_shrinking_factor": _SHARE,
    # DQN and QR-DQN
    "buffer_size": integer(1),
    "learning_starts": integer(0),
    "train_freq": _train_freq,
    "gradient_steps": integer(-1),
    "target_update_interval": integer(1),
    "exploration_fraction": _SHARE,
    "exploration_initial_eps": _SHARE,
    "exploration_final_eps": _SHARE,
    "num_candidates": integer(2),
    "value_gain": number(0, above=True),
    "value_gradient": _SHARE,
    "threshold": _SHARE,
    # whole episodes
    "prompts_per_rollout": integer(1),
    "references_per_rollout": integer(1),
    "group_size": integer(1),
    "skip_without_signal": flag,
    "same_partner": flag,
    "branches": integer(1),
    "stride": integer(1),
    "beta": _WEIGHT,
    "td_lambda": _SHARE,
    "tau": _SHARE,
    "cql_coef": _WEIGHT,
    "target_update": _SHARE,
    "skill": number(0, 1, or_none=True),
    # NLPO, ARS, best of n
    "mask_top_p": number(0, 1, above=True),
    "refresh_every": integer(1),
    "n_delta": integer(1),
    "n_top": integer(1, or_none=True),
    "n_eval_episodes": integer(1),
    "delta_std": schedule(number(0, above=True)),
    "n": integer(1),
    # policies
    "temperature": number(0, above=True),
    "top_k": integer(0),
    "top_p": number(0, 1, above=True),
    "use_cache": flag,
    "share_prompts": flag,
    "gradient_checkpointing": flag,
    "max_logits": integer(1),
    "critic_warmup": integer(0),
    "temperature_lr": number(0),
    "max_cache_bytes": integer(0),
    "reference": flag,
    "optimizer_class": subclass("a class of torch.optim.Optimizer", torch.optim.Optimizer),
    "optimizer_kwargs": _DICT,
}


def check_values(values: Mapping[str, Any]) -> None:
    """Raise ConfigError for an argument, by name, with a value that the table excludes. Others are left to their class.

    >>> check_values({"gamma": 2})
    Traceback (most recent call last):
    textgym.errors.ConfigError: gamma is 2, expected a number from 0 to 1.
    """
    for name, value in values.items():
        expected = LIMITS[name](value) if name in LIMITS else None
        if expected is not None:
            raise ConfigError(f"{name} is {value!r}, expected {expected}.")
