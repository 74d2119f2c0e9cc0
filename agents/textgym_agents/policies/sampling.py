"""From a model's logits to the log-probabilities of the distribution that is sampled from."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from textgym.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sampling:
    """How logits become a distribution.

    Attributes:
        temperature: divides the logits, above 0.
        top_k: only the k likeliest tokens, 0 for all.
        top_p: only the likeliest tokens that together hold this much probability
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

    def filter(self, logits: Tensor) -> Tensor:
        """Set the logits outside top-k and top-p to minus infinity. (tokens, vocabulary) in and out."""
        if 0 < self.top_k < logits.shape[-1]:
            smallest = logits.topk(self.top_k, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < smallest, -torch.inf)
        if self.top_p < 1:
            ordered, order = logits.sort(dim=-1, descending=True)
            probability = ordered.softmax(-1)
            # A token stays while the probability before it is below top_p: the first always does.
            drop = probability.cumsum(-1) - probability >= self.top_p
            logits = logits.masked_fill(drop.scatter(-1, order, drop), -torch.inf)
        return logits


class TokenMask:
    """The environment's action mask, computed from the observation alone.

    Args:
        num_tokens: size of the vocabulary.
        eos_token_ids: tokens that end a text.
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

    def apply(self, logits: Tensor, num_generated: Tensor) -> Tensor:
        """Minus infinity for masked tokens. ``logits`` (n, vocabulary), ``num_generated`` (n,)."""
        if self.forbidden is not None:
            logits = logits.masked_fill(self.forbidden.to(logits.device), -torch.inf)
        if self.min_new_tokens:
            early = num_generated < self.min_new_tokens
            if bool(early.any()):
                logits = logits.clone()
                rows = early.nonzero().squeeze(1)
                logits[rows[:, None], self.eos.to(logits.device)] = -torch.inf
        return logits


def entropy(log_probs: Tensor) -> Tensor:
    """Entropy in nats of each row of (n, vocabulary) log-probabilities, masked tokens included.

    >>> entropy(torch.log(torch.tensor([[0.5, 0.5, 0.0]]))).item()
    0.6931471824645996
    """
    return -(log_probs.exp() * log_probs.clamp(min=torch.finfo(log_probs.dtype).min)).sum(-1)
