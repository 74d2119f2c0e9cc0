"""The probabilities of a causal language model's next token after each of several texts, exact under padding."""

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Rows = Sequence[Sequence[int]]
_TURN = threading.Lock()  # threads that share a model would switch each other's dropout


def next_token_probabilities(model: Any, groups: Sequence[Rows], pad: int) -> "Tensor":
    """(groups, k, V) float64. Dropout is off, and what the rows of a group have in common is computed once.

    Args:
        model: a causal language model of transformers, or one with adapters.
        groups: k rows of token ids each, which begin alike.
        pad: any token id; it is masked out.
    """
    import torch

    k = len(groups[0])
    with _TURN, torch.inference_mode(), _without_dropout(model):
        logits = _shared(model, groups, pad) if k > 1 else None
        if logits is None:
            logits = _forward(model, [row for group in groups for row in group], pad).logits[:, -1]
    return logits.double().softmax(-1).reshape(len(groups), k, -1)


def _shared(model: Any, groups: Sequence[Rows], pad: int) -> "Tensor | None":
    """(rows, V) logits, by way of the keys and values of each group's common beginning; None: the model keeps none."""
    import torch

    known = _known(model)
    argument = "cache" if "cache" in known else "past_key_values"  # its name before transformers 5.24
    if not {argument, "position_ids"} <= known.keys():
        return None
    heads = [common_tokens(group) for group in groups]
    if not all(heads):
        return None
    first = _forward(model, [group[0][:head] for group, head in zip(groups, heads, strict=True)], pad, use_cache=True)
    cache, k = first[argument], len(groups[0])
    if not hasattr(cache, "batch_repeat_interleave"):
        return None
    cache.batch_repeat_interleave(k)
    tails = [row[head:] for group, head in zip(groups, heads, strict=True) for row in group]
    width, longest = max(map(len, tails)), max(heads)
    input_ids = torch.tensor([[*tail, *[pad] * (width - len(tail))] for tail in tails])  # (rows, tokens)
    ahead = torch.tensor([[0] * (longest - head) + [1] * head for head in heads for _ in range(k)])
    here = torch.tensor([[1] * len(tail) + [0] * (width - len(tail)) for tail in tails])
    mask = torch.cat([ahead, here], 1)
    inputs = {
        "input_ids": input_ids,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1)[:, longest:],
    }
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    logits = model(**inputs, **{argument: cache}, use_cache=True).logits  # (rows, tokens, V)
    at = torch.tensor([len(tail) - 1 for tail in tails], device=logits.device)
    ends: Tensor = logits[torch.arange(len(tails), device=logits.device), at]
    return ends


def _forward(model: Any, rows: Rows, pad: int, use_cache: bool = False) -> Any:
    """One pass over rows that are padded on the left; the logits of the last place suffice."""
    import torch

    known, width = _known(model), max(map(len, rows))
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    inputs = {
        "input_ids": torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows]),  # (rows, tokens)
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
    }
    inputs = {name: value.to(model.device) for name, value in inputs.items() if name in known}
    extra = {name: value for name, value in (("use_cache", use_cache), ("logits_to_keep", 1)) if name in known}
    return model(**inputs, **extra)


def common_tokens(rows: Rows) -> int:
    """How many first tokens the rows have in common; each keeps one of its own.

    >>> common_tokens([[5, 6, 7, 8], [5, 6, 9]]), common_tokens([[5], [5]])
    (2, 0)
    """
    shortest = min(map(len, rows)) - 1
    return next((i for i in range(shortest) if len({row[i] for row in rows}) > 1), shortest)


def _known(model: Any) -> dict[str, inspect.Parameter]:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # an adapter hides the names
    return dict(inspect.signature(inner.forward).parameters)


@contextmanager
def _without_dropout(model: Any) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
