"""Log-probability and entropy of chosen tokens from logits, without a second (tokens, vocabulary) matrix.

Automatic differentiation would keep the logits, their log-softmax and its exponential, and make as many again on the
way back. Here one matrix serves for everything: it arrives as logits, becomes log-probabilities, and turns into the
gradient of the logits. The vocabulary is gone through in blocks of rows small enough for a processor's cache.

| Symbol | Meaning |
|---|---|
| z, p | a row's logits, and their softmax |
| log p(a) | log-probability of the chosen token: d/dz = [z is a] - p |
| H | entropy, -sum p log p: d/dz = -p (log p + H) |
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from textgym.errors import ModelError

Prepare = Callable[[Tensor, slice], None]  # puts the masks into a block of logits, in place
CACHED_FLOATS = 2**17  # of a block: half a megabyte stays in a core's own cache
GPU_FLOATS = 2**25
BLOCK_LOGITS = 2**24  # floats of logits at a time where none are kept for a backward pass


def _blocks(matrix: Tensor) -> Iterator[slice]:
    floats = CACHED_FLOATS if matrix.device.type == "cpu" else GPU_FLOATS
    rows = max(1, floats // matrix.shape[1])
    for start in range(0, len(matrix), rows):
        yield slice(start, start + rows)


def _normalize(block: Tensor) -> Tensor:
    """Logits to log-probabilities, in place. Returns the probabilities."""
    block -= block.amax(-1, keepdim=True)
    probability = block.exp()
    total = probability.sum(-1, keepdim=True)
    block -= total.log()
    return probability.div_(total)


class TokenStatistics(torch.autograd.Function):
    """``(logits, actions, temperature, prepare) -> (log_probs, entropies)``; it uses up the logits.

    The logits must come from an operation that doesn't need its own result on the way back, as a linear layer doesn't.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, actions: Tensor, temperature: float, prepare: Prepare | None
    ) -> tuple[Tensor, Tensor]:
        entropies = torch.empty(len(logits), dtype=logits.dtype, device=logits.device)
        for rows in _blocks(logits):
            block = logits[rows]
            if temperature != 1:
                block /= temperature
            if prepare is not None:
                prepare(block, rows)
            probability = _normalize(block)
            logs = block if prepare is None else block.clamp(min=-1e4)  # 0 times minus infinity is no number
            entropies[rows] = -torch.linalg.vecdot(probability, logs)
        log_probs = logits.gather(1, actions[:, None]).squeeze(1)
        ctx.save_for_backward(logits, actions, entropies)
        ctx.temperature, ctx.masked = temperature, prepare is not None
        return log_probs, entropies

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_log_probs, to_entropies = (g / ctx.temperature for g in gradients)
        matrix, actions, entropies = ctx.saved_tensors
        offset = -to_log_probs - to_entropies * entropies
        for rows in _blocks(matrix):
            block = matrix[rows]  # log p, to become p (offset - g_H log p)
            logs = block.clamp(min=-1e4) if ctx.masked else block
            factor = torch.addcmul(offset[rows, None], logs, to_entropies[rows, None], value=-1)
            block.exp_().mul_(factor)
        matrix.scatter_add_(1, actions[:, None], to_log_probs[:, None])
        return matrix, None, None, None


def token_statistics(
    logits: Tensor, actions: Tensor, temperature: float = 1.0, prepare: Prepare | None = None
) -> tuple[Tensor, Tensor]:
    """Log-probabilities (n,) of actions (n,) and entropies (n,) in nats, from logits (n, vocabulary), used up.

    Args:
        logits: float32, straight from a linear layer. Their memory is overwritten, on the way back once more, so a
            second backward pass through them is an error.
        actions: token ids.
        temperature: divides the logits.
        prepare: called with a block of rows of the logits and which rows they are; sets masked ones to minus infinity.

    Raises:
        ModelError: the logits hold NaN or infinity.

    >>> log_probs, entropies = token_statistics(torch.zeros(1, 4), torch.tensor([2]))
    >>> round(log_probs.exp().item(), 6), round(entropies.exp().item(), 6)
    (0.25, 4.0)
    """
    log_probs, entropies = TokenStatistics.apply(logits, actions, temperature, prepare)  # type: ignore[no-untyped-call]
    if not bool(torch.isfinite(entropies.detach()).all()):
        raise ModelError(
            "The model's logits hold NaN or infinity: training has diverged, or the weights are broken. Go back to "
            "the last checkpoint and lower the learning rate."
        )
    return log_probs, entropies


def in_blocks(
    function: Callable[..., tuple[Tensor, Tensor]], parts: Sequence[Tensor], num_tokens: int, max_logits: int
) -> tuple[Tensor, Tensor]:
    """``function(*parts)``, which makes ``num_tokens`` logits for each of n rows, with less memory where it is needed.

    Args:
        function: from parts (rows, ...) to two tensors (rows,).
        parts: tensors (n, ...).
        num_tokens: size of the vocabulary.
        max_logits: floats of logits that may be kept for the backward pass. If there are more, they are computed block
            by block, and again on the way back.
    """
    if torch.is_grad_enabled() and len(parts[0]) * num_tokens <= max_logits:
        return function(*parts)
    rows = max(1, min(max_logits, BLOCK_LOGITS) // num_tokens)
    blocks = zip(*(part.split(rows) for part in parts), strict=True)
    if torch.is_grad_enabled():
        results = [checkpoint(function, *block, use_reentrant=False, preserve_rng_state=False) for block in blocks]
    else:
        results = [function(*block) for block in blocks]
    one, other = (torch.cat(tensors) for tensors in zip(*results, strict=True))
    return one, other
