"""Which shortcuts a model can take is tried out, when its policy is made, and not looked up in a list of models.

What a shortcut gives follows from the code and its settings, not from the weights. So an architecture of transformers'
own that passed isn't tried again in the same process, which would take half the time that a small policy is made in.
"""

import warnings
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from textgym.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from textgym_agents.policies.base import LanguageModelPolicy

_PASSED: set[tuple[str, Hashable]] = set()  # shortcuts, and the architectures that gave the right results with them


def detect(policy: "LanguageModelPolicy") -> None:
    """Switch a policy's cache and its sharing of prompts off where its model's results would differ."""
    window, code = _window(policy.lm.config.get_text_config()), _architecture(policy)
    if window is not None and window < policy.form.width:
        policy.share_prompts = False
        problem = f"sees {window} tokens back, sequences have up to {policy.form.width}"
    else:
        tried = not policy.use_cache or ("cache", code) in _PASSED
        problem = "" if tried else _cache_problem(policy)
    if policy.use_cache and problem:
        warnings.warn(
            f"No key-value cache: {type(policy.lm).__name__} {problem}. It takes full attention, positions and a "
            "mask from outside. Results are right, but every token costs a pass over its whole prefix. Models such "
            "as GPT-2, Llama, Qwen, GPT-NeoX, T5 and BART can use the cache.",
            stacklevel=2,
        )
        policy.use_cache = False
    if policy.share_prompts:
        passed = ("share", code) in _PASSED
        policy.share_prompts = policy.form.context_decides and (passed or _can_share(policy))
    if code is not None:
        _PASSED.update(
            (shortcut, code)
            for shortcut, works in (("cache", policy.use_cache), ("share", policy.share_prompts))
            if works
        )


def _architecture(policy: "LanguageModelPolicy") -> Hashable | None:
    """All that decides on a shortcut's results but the weights; None with code that isn't transformers' or peft's."""
    modules = [*policy.lm.modules()]
    for module in modules:
        own = "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks
        if own or type(module).__module__.partition(".")[0] not in ("transformers", "torch", "peft"):
            return None
    config, weights = policy.lm.config, [(p.dtype, p.device) for p in policy.lm.parameters()]
    attention = getattr(config, "_attn_implementation", None)
    code = tuple((type(module), type(module).forward) for module in modules)
    form = policy.form
    sizes = (form.width, getattr(form, "prompt_width", 0), policy.num_actions, policy.max_cache_bytes)
    return (code, repr(config), attention, tuple(weights), type(form), sizes)


@torch.no_grad()
def _cache_problem(policy: "LanguageModelPolicy") -> str:
    """What is wrong with the cache for this model; empty if nothing is."""
    try:
        wrong = any(
            _differ(policy._cached_hidden(obs), policy._packed_hidden(policy.lm, policy.form.sequences(obs)))
            for obs in policy.form.probe_observations()
        )
    except (ModelError, ConfigError):
        raise
    except Exception as error:  # whatever a foreign model's code does with an unusual cache
        return f"can't use it ({type(error).__name__}: {str(error)[:200]})"
    return "gives other results with it" if wrong else ""


@torch.no_grad()
def _can_share(policy: "LanguageModelPolicy") -> bool:
    """Whether sequences that share a row of tokens come out as they do alone."""
    one = policy.form.sequences(policy.form.probe_observations()[0])[0]
    sequences = [one._replace(actions=actions) for actions in (one.context[[0, 0, 0]], one.context[[-1, 0, -1]])]
    hidden = []
    for share in (True, False):
        policy.share_prompts = share
        try:
            hidden.append(policy._packed_hidden(policy.lm, sequences))
        except Exception:  # a model that takes no 4-D mask or no positions
            return False
    return not _differ(*hidden)


def _window(config: Any) -> int | None:
    """How many tokens back a model's attention reaches, None for all."""
    kinds = {*(getattr(config, "layer_types", None) or ())}
    sliding = getattr(config, "sliding_window", None) if not kinds or "sliding_attention" in kinds else None
    chunked = getattr(config, "attention_chunk_size", None) if "chunked_attention" in kinds else None
    return min((n for n in (sliding, chunked) if n), default=None)


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether hidden states differ by more than rounding. Broken weights (NaN) are reported where they are used."""
    tolerance = 1e-2 if one.dtype == torch.float32 else 6e-2
    return bool((one - other).float().norm() > tolerance * other.float().norm())


def any_tokens(num_tokens: int, width: int) -> Tensor:
    """(2, width) token ids, the first few left out: one of them is often for padding."""
    first = min(3, num_tokens - 1)
    return (first + torch.arange(width * 2) * 7 % (min(num_tokens, 50) - first)).reshape(2, width)
