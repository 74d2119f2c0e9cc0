"""A whole-sequence PPO step as one writes it by hand in plain PyTorch: what an update has to keep up with.

It uses nothing of textgym's policies and buffers. The trunk reads whole episodes, padded on the right, so that causal
attention needs no mask; the head sees only the positions whose next token is a generated one.

| Symbol | Shape | Meaning |
|---|---|---|
| `input_ids` | (episodes, tokens) | prompt and completion; of an encoder the prompt alone |
| `predicts` | (episodes, tokens) | True where the hidden state predicts a generated token; n of them |
| `hidden` | (n, hidden size) | the hidden states there |
| `log_probs` | (n, vocabulary) | in float32 |
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from textgym_agents.policies.value_head import ValueHead
from textgym_agents.speed.models import Subject
from textgym_agents.speed.rollouts import OPTIMIZER, PPO_ARGUMENTS, Episode

CHUNK = 256  # tokens whose logits the lean form holds twice


class Padded(NamedTuple):
    """Episodes as tensors (episodes, tokens), padded on the right.

    ``input_ids`` are what the trunk reads, or the encoder; ``decoder_input_ids`` what the decoder reads, None without
    one. ``actions`` and what follows count where ``predicts`` is True, at positions of the trunk or the decoder.
    """

    input_ids: Tensor
    decoder_input_ids: Tensor | None
    predicts: Tensor
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    returns: Tensor

    def pick(self, some: Tensor) -> "Padded":
        """Some of the episodes, cut to the longest of them."""
        end = int((self.predicts[some].any(0).nonzero().max()) + 1)
        picked = [None if one is None else one[some, :end] for one in self]
        if self.decoder_input_ids is not None:
            picked[0] = self.input_ids[some]
        return Padded(*picked)  # type: ignore[arg-type]


def pad(episodes: Sequence[Episode], seq2seq: bool = False, device: Any = "cpu") -> Padded:
    """Episodes as tensors. The last token of a completion is not read: nothing follows it."""

    def stacked(rows: Iterable[Any]) -> Tensor:
        return pad_sequence([torch.as_tensor(row) for row in rows], batch_first=True).to(device)

    prompts, actions, *_ = columns = list(zip(*episodes, strict=True))
    begun = [np.zeros(1, dtype=np.int64)] * len(episodes) if seq2seq else prompts
    read = stacked(np.concatenate([first, rest[:-1]]) for first, rest in zip(begun, actions, strict=True))
    placed = []  # what belongs to a token of the completion, at the position that predicts it
    for column in ([np.ones(len(one), dtype=bool) for one in actions], *columns[1:]):
        shifted = zip(column, begun, strict=True)
        placed.append(stacked(np.pad(values, (len(first) - 1, 0)) for values, first in shifted))
    return Padded(*((stacked(prompts), read) if seq2seq else (read, None)), *placed)


class HandwrittenPPO:
    """A model, a value head, an optimizer, and PPO's step.

    Args:
        one: the model; it is copied.
        lean: hold the (n, vocabulary) matrix in float32 once and no more; slower, and what memory is measured against.
    """

    def __init__(self, one: Subject, lean: bool = False) -> None:
        self.model = one.copy()
        self.seq2seq, self.vocabulary, self.lean = one.seq2seq, one.vocabulary, lean
        hidden = self.model.get_output_embeddings().weight.shape[1]
        self.value_head = ValueHead(hidden).to(self.model.device)
        self.parameters = [*self.model.parameters(), *self.value_head.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=PPO_ARGUMENTS["learning_rate"], **OPTIMIZER)

    def epoch(self, episodes: Padded, per_minibatch: int, generator: torch.Generator | None = None) -> None:
        """One step for each ``per_minibatch`` episodes, in random order."""
        order = torch.randperm(len(episodes.input_ids), generator=generator).to(episodes.input_ids.device)
        for some in order.split(per_minibatch):
            self.step(episodes.pick(some))

    def step(self, batch: Padded) -> None:
        """PPO's clipped loss with value loss and entropy bonus (Schulman et al. 2017), and one gradient step."""
        log_probs, entropy, values = self.evaluate(batch)
        old, returns, advantages = (
            one[batch.predicts] for one in (batch.old_log_probs, batch.returns, batch.advantages)
        )
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio, clip = torch.exp(log_probs - old), PPO_ARGUMENTS["clip_range"]
        policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
        value_loss = nn.functional.mse_loss(returns, values)
        loss = policy_loss + PPO_ARGUMENTS["vf_coef"] * value_loss - PPO_ARGUMENTS["ent_coef"] * entropy.mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, PPO_ARGUMENTS["max_grad_norm"])
        self.optimizer.step()

    def evaluate(self, batch: Padded) -> tuple[Tensor, Tensor, Tensor]:
        """(n,) log-probabilities of the actions, entropies, values."""
        actions = batch.actions[batch.predicts]
        head = self.model.get_output_embeddings()
        if self.seq2seq:  # every position of the decoder predicts: the model's own logits waste nothing
            read: Any = {"input_ids": batch.input_ids, "decoder_input_ids": batch.decoder_input_ids}
            out = self.model(**read, output_hidden_states=True, use_cache=False)
            hidden, logits = out.decoder_hidden_states[-1][batch.predicts], out.logits[batch.predicts]
        else:
            trunk = getattr(self.model, self.model.base_model_prefix)
            hidden = trunk(input_ids=batch.input_ids, use_cache=False).last_hidden_state[batch.predicts]
            logits = None if self.lean else head(hidden)
        if logits is None:
            chosen, entropy = OneMatrix.apply(hidden, head.weight, actions)  # type: ignore[no-untyped-call]
        else:
            log_probs = logits[:, : self.vocabulary].float().log_softmax(-1)
            chosen = log_probs.gather(1, actions[:, None]).squeeze(1)
            entropy = -(log_probs.exp() * log_probs).sum(-1)
        return chosen, entropy, self.value_head(hidden).flatten()


class OneMatrix(torch.autograd.Function):
    """Log-probabilities of the actions and entropies from hidden states and the weight of a head without bias.

    There is one (n, vocabulary) matrix in float32: logits, then log-probabilities, then the gradient of the logits.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, actions: Tensor) -> Any:
        matrix = (hidden @ weight.T).float()
        entropy = matrix.new_empty(len(matrix))
        for part, out in zip(matrix.split(CHUNK), entropy.split(CHUNK), strict=True):
            part.copy_(part.log_softmax(-1))
            out.copy_(-(part.exp() * part).sum(-1))
        ctx.matrix = matrix
        ctx.save_for_backward(hidden, weight, actions, entropy)
        return matrix.gather(1, actions[:, None]).squeeze(1), entropy

    @staticmethod
    def backward(ctx: Any, of_chosen: Tensor, of_entropy: Tensor) -> Any:
        hidden, weight, actions, entropy = ctx.saved_tensors
        matrix, ctx.matrix = ctx.matrix, None
        for start in range(0, len(matrix), CHUNK):
            rows = slice(start, start + CHUNK)
            part = matrix[rows]
            p = part.exp()
            # d chosen / d logits = onehot - p;  d entropy / d logits = -p (log p + entropy)
            part.add_(entropy[rows, None]).mul_(-of_entropy[rows, None]).sub_(of_chosen[rows, None]).mul_(p)
            part.scatter_add_(1, actions[rows, None], of_chosen[rows, None])
        matrix = matrix.to(hidden.dtype)
        return matrix @ weight, matrix.T @ hidden, None
