"""What a model's files held, against what its configuration asks for: weights that lack, are left over or don't fit."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from textgym.errors import ModelError


def check_weights(model: nn.Module, name: object = "the model given", found: Mapping[str, Any] | None = None) -> None:
    """Raise ModelError for weights that were not in the files (they would be random), don't fit, or aren't finite.

    Weights that are left over are warned of where they are a part beside the model, such as the head of a classifier.
    They are refused within a layer, or where they are more than the model's own: then the configuration is another
    model's, and what the files hold would be computed wrongly.

    Args:
        model: with its weights.
        name: for the message.
        found: what ``from_pretrained(..., output_loading_info=True)`` says.
    """
    found = found or {}
    shapes = sorted(found.get("mismatched_keys") or ())
    if shapes:
        key, there, expected = shapes[0]
        raise _odd(name, f"has {key!r} in the shape {tuple(there)}, its configuration says {tuple(expected)}")
    missing = sorted(map(str, found.get("missing_keys") or ()))
    if missing:
        raise _odd(name, f"lacks weights: {_listed(missing)}")
    more = sorted(map(str, found.get("unexpected_keys") or ()))
    stacks = tuple(f"{path}." for path, module in model.named_modules() if path and isinstance(module, nn.ModuleList))
    if any(key.startswith(stacks) for key in more) or len(more) > len(model.state_dict()):
        raise _odd(name, f"has weights that its kind of model doesn't: {_listed(more)}")
    if more:
        warnings.warn(f"The model {str(name)!r} has weights that are not used: {_listed(more)}.", stacklevel=2)
    for key, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise ModelError(f"The model {str(name)!r} has weights that are NaN or infinite, the first in {key!r}.")


def _odd(name: object, what: str) -> ModelError:
    return ModelError(f"The model {str(name)!r} {what}. Its files and its config.json don't belong together.")


def _listed(keys: Iterable[str]) -> str:
    first, rest = [*keys][:3], len([*keys]) - 3
    return f"{', '.join(first)}{f' and {rest} more' if rest > 0 else ''}"
