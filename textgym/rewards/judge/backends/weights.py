"""Which weights a model has: a hash that is the same in every process, and a cheap sign that they have changed."""

import hashlib
from typing import Any


def weights_hash(model: Any) -> str:
    """A hash of all weights, by exact sums of their bits, which no order of summation changes."""
    import torch

    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        bits = weight.detach().contiguous()
        integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(bits.element_size())
        total = bits.view(integers).sum(dtype=torch.int64) if integers else bits.sum()
        digest.update(f"{name} {tuple(weight.shape)} {total.item()}\n".encode())
    return digest.hexdigest()


def weights_mark(model: Any) -> tuple[int, ...]:
    """Numbers that change with the weights of this model in this process, much cheaper than their hash.

    They are the counters that torch raises with each change in place, where the weights lie, and an element of each,
    since what goes through ``.data`` isn't counted.
    """
    import torch

    weights = [weight.detach() for weight in model.state_dict().values()]
    counters = [0 if weight.is_inference() else weight._version for weight in weights]
    firsts = torch.stack([weight.reshape(-1)[0].double().cpu() for weight in weights if weight.numel()])
    return (sum(counters), *(weight.data_ptr() for weight in weights), *firsts.view(torch.int64).tolist())
