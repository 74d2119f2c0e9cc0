"""Policies for sb3-contrib's TRPO, which needs second derivatives of the KL between whole distributions.

Left to automatic differentiation, TRPO goes through a graph of its own for each of a model's weight matrices, fifty for
a small one, in each step of its conjugate gradient, and keeps a dozen matrices of the size (tokens, vocabulary). Here
it gets the weights as one vector, and distributions with derivatives in closed form:

- log p(a): its gradient is taken a few sequences at a time, and nothing is kept in between.
- KL(new, old), where both are the same: 0, and so is its gradient. Its second derivative is the Fisher matrix F, and
  F v = J' (p * J v), with J the derivative of the log-probabilities.

| Symbol | Shape | Meaning |
|---|---|---|
| `flat`, `vector` | (weights,) | the trainable weights, and a direction among them |
| `log_probs` | (n, vocabulary) | of all tokens at n actions |
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.distributions import Distribution as SB3Distribution
from torch import Tensor, nn
from torch.autograd import Function
from torch.distributions import Distribution, register_kl
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from textgym.errors import ConfigError
from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.policies.base import LanguageModelPolicy

# Below every token that is ever sampled, above what float32 turns into a probability of 0, where the KL is
# infinite and, for a masked token, no number.
LEAST_LOG_PROB = -80.0
CHUNK_TOKENS = 256  # whose activations are held at a time: as many as in a minibatch of PPO


class FlatWeights(nn.Parameter):
    """Parameters as one vector. Assigning its ``data``, as TRPO's line search does, writes them too.

    >>> matrix = nn.Parameter(torch.zeros(2, 2))
    >>> FlatWeights.of([matrix]).data = torch.ones(4)
    >>> matrix.sum().item()
    4.0
    """

    members: list[nn.Parameter]

    @classmethod
    def of(cls, members: Sequence[nn.Parameter]) -> "FlatWeights":
        """A vector with the values of ``members``, in their order."""
        flat = cls(torch.cat([member.detach().reshape(-1) for member in members]))
        flat.members = list(members)
        return flat

    def cut(self, vector: Tensor) -> list[Tensor]:
        """A vector of this one's length, cut into the members' shapes."""
        parts = torch.split(vector, [member.numel() for member in self.members])
        return [part.view(member.shape) for part, member in zip(parts, self.members, strict=True)]

    @property
    def data(self) -> Tensor:
        return super().data

    @data.setter
    def data(self, value: Tensor) -> None:
        torch.Tensor.data.__set__(self, value)  # type: ignore[attr-defined]
        with torch.no_grad():
            for member, piece in zip(self.members, self.cut(value), strict=True):
                member.copy_(piece)  # in place, so that the slot cache notices


class Derivatives:
    """Of the log-probabilities of a batch by the weights that a policy has now."""

    def __init__(self, policy: "TRPOPolicy", batch: EpisodeBatch) -> None:
        self.policy = policy
        self.chunks = list(_chunks(batch))
        self.curved = self.chunks[: math.ceil(policy.fisher_share * len(self.chunks))]
        trainable = [(name, p) for name, p in policy.lm.named_parameters() if p.requires_grad]
        self.names = [f"module.{name}" for name, _ in trainable]
        self.flat = FlatWeights.of([p for _, p in trainable])

    def gradient(self, actions: Tensor, weights: Tensor) -> Tensor:
        """(weights,) gradient of the sum of the actions' (n,) log-probabilities, each with its weight (n,)."""
        total = torch.zeros_like(self.flat)
        for rows, chunk in self.chunks:
            leaf = self.flat.detach().requires_grad_()
            with torch.enable_grad():
                chosen = self._log_probs(leaf, chunk).gather(1, actions[rows, None]).squeeze(1)
            total += torch.autograd.grad(chosen, leaf, weights[rows])[0]
        return total

    def fisher_product(self, vector: Tensor, weights: Tensor) -> Tensor:
        """(weights,) F v, with a weight (n,) for each action, estimated from ``fisher_share`` of the sequences."""
        total = torch.zeros_like(self.flat)
        for rows, chunk in self.curved:
            leaf = self.flat.detach().requires_grad_()
            with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
                log_probs = self._log_probs(leaf, chunk)
                # J' u is linear in u, so J v is the derivative of v . J' u by u. Tangents would do it in one pass,
                # but disagree with gradients about embeddings that are not trained (padding).
                u = torch.zeros_like(log_probs, requires_grad=True)
                (pulled,) = torch.autograd.grad(log_probs, leaf, u, create_graph=True)
            (moved,) = torch.autograd.grad(pulled, u, vector, retain_graph=True)
            total += torch.autograd.grad(log_probs, leaf, log_probs.detach().exp() * moved * weights[rows, None])[0]
        return total * (len(weights) / sum(len(chunk.num_generated) for _, chunk in self.curved))

    def _log_probs(self, flat: Tensor, chunk: EpisodeBatch) -> Tensor:
        weights = dict(zip(self.names, self.flat.cut(flat), strict=True))
        call = _Within(self.policy.lm)
        log_probs: Tensor = functional_call(call, weights, (lambda: self.policy.all_log_probs(chunk),))
        return log_probs


class TokenDistributions(Distribution):
    """Categorical distributions over tokens, (n, vocabulary) ``log_probs``, and how to take their derivatives."""

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, log_probs: Tensor, derivatives: Derivatives | None = None) -> None:
        self.log_probs, self.derivatives = log_probs, derivatives
        super().__init__(log_probs.shape[:1], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """(n,) log-probabilities of tokens (n,)."""
        chosen = self.log_probs.gather(1, value[:, None]).squeeze(1)
        if self.derivatives is None:
            return chosen
        log_prob: Tensor = _Chosen.apply(self.derivatives.flat, self.derivatives, value, chosen)  # type: ignore[no-untyped-call]
        return log_prob


@register_kl(TokenDistributions, TokenDistributions)  # type: ignore[untyped-decorator]
def _kl(new: TokenDistributions, old: TokenDistributions) -> Tensor:
    """(n,) KL(new, old) in nats."""
    blocks = zip(new.log_probs.split(CHUNK_TOKENS), old.log_probs.split(CHUNK_TOKENS), strict=True)
    divergence = torch.cat([torch.linalg.vecdot(ours.exp(), ours - theirs) for ours, theirs in blocks])
    if new.derivatives is None:
        return divergence
    if float(divergence.max()) > 1e-4:
        raise ConfigError("The KL has derivatives only where it is 0, between a policy and itself, as in TRPO.")
    kl: Tensor = _Divergence.apply(new.derivatives.flat, new.derivatives, divergence)  # type: ignore[no-untyped-call]
    return kl


class _Chosen(Function):
    """log p(a) of chosen tokens, as a function of the weights."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, derivatives: Derivatives, actions: Tensor, chosen: Tensor) -> Tensor:
        ctx.derivatives, ctx.actions = derivatives, actions
        return chosen.clone()

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.derivatives.gradient(ctx.actions, weights[0]), None, None, None


class _Divergence(Function):
    """The KL of a policy to itself, as a function of the first's weights: 0, with a gradient of 0."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, derivatives: Derivatives, divergence: Tensor) -> Tensor:
        ctx.derivatives = derivatives
        return divergence.clone()

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor | None, ...]:
        gradient: Tensor = _ZeroGradient.apply(ctx.derivatives.flat, ctx.derivatives, weights[0])  # type: ignore[no-untyped-call]
        return gradient, None, None


class _ZeroGradient(Function):
    """That gradient, as a function of the weights. Its derivative is the Fisher matrix."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, derivatives: Derivatives, weights: Tensor) -> Tensor:
        ctx.derivatives, ctx.weights = derivatives, weights
        return torch.zeros_like(flat)

    @staticmethod
    def backward(ctx: Any, *vector: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.derivatives.fisher_product(vector[0], ctx.weights), None, None


class _Within(nn.Module):
    """Calls a function while ``functional_call`` has put other weights into a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[[], Tensor]) -> Tensor:
        return function()


def _chunks(batch: EpisodeBatch) -> Iterator[tuple[slice, EpisodeBatch]]:
    """Parts of a batch with about ``CHUNK_TOKENS`` tokens to compute, and which of the batch's actions they hold."""
    start = stop = begin = 0  # tokens of the sequences; the first sequence of the part
    for number, sequence in enumerate(batch.sequences, start=1):
        stop += len(sequence.actions)
        if stop - start < CHUNK_TOKENS and number < len(batch.sequences):
            continue
        rows = slice(-(-start // batch.every), -(-stop // batch.every))
        if rows.start < rows.stop:
            yield (
                rows,
                replace(
                    batch,
                    sequences=batch.sequences[begin:number],
                    num_generated=batch.num_generated[rows],
                    masks=None if batch.masks is None else batch.masks[rows],
                    first=-start % batch.every,
                ),
            )
        start, begin = stop, number


class TRPOPolicy(LanguageModelPolicy):
    """What TRPO needs, on top of a language-model policy. Use it with ``EpisodeRolloutBuffer``.

    The value head learns from fixed features: TRPO's critic may not move weights that it shares with the actor, and
    would compute their gradients only to drop them.

    Args:
        fisher_share: of a minibatch's sequences, from which the Fisher matrix is estimated; the buffer gives them in
            random order. The gradient and the line search use all (Schulman et al. 2015,
            https://arxiv.org/abs/1502.05477, C.1).
        kwargs: those of ``LanguageModelPolicy``.

    Raises:
        ConfigError: ``fisher_share`` is not above 0 and at most 1.
    """

    takes_critics = False

    def __init__(self, *args: Any, fisher_share: float = 0.25, **kwargs: Any) -> None:
        self._flat: list[FlatWeights] = []  # in a list: it is no parameter of its own to store or to move
        if not 0 < fisher_share <= 1:
            raise ConfigError(f"fisher_share is {fisher_share}, expected above 0 and at most 1 (all sequences).")
        super().__init__(*args, **kwargs)
        self.fisher_share = fisher_share

    def get_distribution(self, obs: Any) -> SB3Distribution:
        """The distribution over tokens. Of an ``EpisodeBatch``, with the derivatives that TRPO asks for."""
        if not isinstance(obs, EpisodeBatch):
            return super().get_distribution(obs)
        distribution = CategoricalDistribution(self.num_actions)
        derivatives = Derivatives(self, obs) if torch.is_grad_enabled() else None
        with torch.no_grad():
            log_probs = torch.cat([self.all_log_probs(chunk) for _, chunk in _chunks(obs)])
        distribution.distribution = TokenDistributions(log_probs, derivatives)  # type: ignore[assignment]
        if derivatives is not None:
            self._flat = [derivatives.flat]
        return distribution

    def all_log_probs(self, batch: EpisodeBatch) -> Tensor:
        """(n, vocabulary) log-probabilities of all tokens."""
        return self._sampled_logits(self._hidden(batch), batch).log_softmax(-1).clamp(min=LEAST_LOG_PROB)

    def predict_values(self, obs: Any) -> Tensor:
        """(n, 1) values, with gradients for the value head alone."""
        self._flat.clear()  # the actor's update is over
        with torch.no_grad():
            hidden = self._hidden(obs).float()
        values: Tensor = self.value_net(hidden)
        return values.detach().requires_grad_() if isinstance(obs, EpisodeBatch) and obs.idle else values

    def set_training_mode(self, mode: bool) -> None:
        self._flat.clear()
        super().set_training_mode(mode)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Within an update of the actor, the flat vector in place of the model's trainable weights."""
        if not self._flat:
            yield from super().named_parameters(prefix, recurse, remove_duplicate)
        else:
            yield f"{prefix}weights", self._flat[0]
            yield from self.value_net.named_parameters(f"{prefix}value_net", recurse, remove_duplicate)
