"""From a model's logits to the distribution that is sampled from, and to a sample.

Everything here works in place on a block of logits (tokens, vocabulary) that its caller owns.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textgym.errors import ConfigError, ModelError

NUCLEUS = 256  # tokens looked at first for top-p; sorting the whole vocabulary costs as much as a small model


@dataclass(frozen=True, slots=True)
class Sampling:
    """How logits become a distribution.

    Attributes:
        temperature: divides the logits, above 0.
        top_k: only the k most probable tokens (and those that tie with the last of them), 0 for all.
        top_p: only the most probable tokens that together hold this much probability, and those that tie with the last
            (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751), 1 for all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ConfigError(f"temperature is {self.temperature}, expected above 0 (predict with deterministic=True).")
        if self.top_k < 0:
            raise ConfigError(f"top_k is {self.top_k}, expected 0 (all tokens) or more.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}, expected above 0 and at most 1 (all tokens).")

    @property
    def filters(self) -> bool:
        """Whether some tokens may lose all their probability."""
        return self.top_k > 0 or self.top_p < 1

    def filter_(self, logits: Tensor) -> Tensor:
        """Set the logits outside top-k and top-p to minus infinity, in place. (tokens, vocabulary) in and out."""
        if 0 < self.top_k < logits.shape[-1]:
            smallest = logits.topk(self.top_k, dim=-1).values[..., -1:]
            logits.masked_fill_(logits < smallest, -torch.inf)
        if self.top_p < 1:
            logits.masked_fill_(logits < self._nucleus(logits), -torch.inf)
        return logits

    def _nucleus(self, logits: Tensor) -> Tensor:
        """(tokens, 1) the smallest logit that belongs to the most probable tokens with ``top_p`` of the probability."""
        total = logits.logsumexp(-1, keepdim=True)
        count = min(NUCLEUS, logits.shape[-1])
        while True:
            ordered = logits.topk(count, dim=-1).values
            probability = (ordered - total).exp()
            # A token stays while the probability before it is below top_p: the first always does.
            before = probability.cumsum(-1) - probability
            keep = before < self.top_p
            if count == logits.shape[-1] or not bool(keep[..., -1].any()):
                return ordered.gather(-1, keep.sum(-1, keepdim=True) - 1)
            count = logits.shape[-1]


class TokenMask:
    """The environment's action mask, computed from the observation alone.

    Args:
        num_tokens: size of the vocabulary.
        eos_token_ids: tokens that end an episode.
        min_new_tokens: none of them before so many tokens were generated.
        banned_tokens: never.
        allowed_tokens: only these; None for all.
    """

    def __init__(
        self,
        num_tokens: int,
        eos_token_ids: Iterable[int] = (),
        min_new_tokens: int = 0,
        banned_tokens: Iterable[int] = (),
        allowed_tokens: Iterable[int] | None = None,
    ) -> None:
        self.min_new_tokens = min_new_tokens
        self.eos = torch.tensor(sorted(eos_token_ids), dtype=torch.long)
        forbidden = torch.zeros(num_tokens, dtype=torch.bool)
        if allowed_tokens is not None:
            forbidden[:] = True
            forbidden[list(allowed_tokens)] = False
        forbidden[list(banned_tokens)] = True
        self.forbidden = forbidden if bool(forbidden.any()) else None

    @classmethod
    def of(cls, space: Any, num_tokens: int) -> "TokenMask":
        """The mask of an observation space; a plain one, without a ``TextSpace``'s attributes, masks nothing."""
        return cls(
            num_tokens,
            getattr(space, "eos_token_ids", ()),
            getattr(space, "min_new_tokens", 0),
            getattr(space, "banned_tokens", ()),
            getattr(space, "allowed_tokens", None),
        )

    @property
    def masks(self) -> bool:
        """Whether some token is ever masked."""
        return self.forbidden is not None or self.min_new_tokens > 0

    def apply_(self, logits: Tensor, num_generated: Tensor) -> Tensor:
        """Minus infinity for masked tokens, in place. ``logits`` (n, vocabulary), ``num_generated`` (n,)."""
        if self.forbidden is not None:
            self.forbidden = self.forbidden.to(logits.device)
            logits.masked_fill_(self.forbidden, -torch.inf)
        if self.min_new_tokens:
            self.eos = self.eos.to(logits.device)
            ends = logits[:, self.eos]  # (n, end tokens)
            logits[:, self.eos] = ends.masked_fill_((num_generated < self.min_new_tokens)[:, None], -torch.inf)
        return logits


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Sample one token from each row of (rows, vocabulary) probabilities, by inverting the distribution function.

    One uniform number a row. ``torch.multinomial`` draws one for every token of the vocabulary, which costs a fifth of
    a small model's step.

    Raises:
        ModelError: a row isn't a distribution, because a logit was NaN or infinite.

    >>> draw(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), torch.Generator().manual_seed(0)).tolist()
    [1, 2]
    """
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)  # float32 would lose the rare tokens of large ones
    total = cumulative[:, -1:].clone()
    if not bool(torch.isfinite(total).all()):
        raise ModelError(
            "The model's logits hold NaN or infinity: training has diverged, or the weights are broken. Go back to "
            "the last checkpoint and lower the learning rate."
        )
    uniform = torch.rand(total.shape, generator=generator, device=total.device, dtype=torch.float64)
    # The first token whose sum exceeds the number has a probability above 0; the factor keeps the number below the sum.
    return torch.searchsorted(cumulative, uniform * (total * (1 - 1e-12)), right=True).squeeze(1)
