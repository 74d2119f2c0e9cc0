"""A whole-sequence PPO step as one writes it by hand in plain PyTorch: what an update has to keep up with.

It knows nothing of textgym's policies and buffers. The trunk reads whole texts, padded on the right, so that causal
attention needs no mask; the head sees only the positions whose next token is a generated one.

| Symbol | Shape | Meaning |
|---|---|---|
| `input_ids` | (texts, tokens) | prompt and completion; of an encoder the prompt alone |
| `predicts` | (texts, tokens) | True where the hidden state predicts a generated token; n of them |
| `hidden` | (n, hidden size) | the hidden states there |
| `log_probs` | (n, vocabulary) | in float32 |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from textgym_agents.speed.models import Subject
from textgym_agents.speed.texts import OPTIMIZER, PPO_ARGUMENTS, Text

CHUNK = 256  # tokens whose logits the lean form holds twice


@dataclass(frozen=True)
class Padded:
    """Texts as tensors, padded on the right.

    Attributes:
        input_ids: (texts, tokens) what the trunk reads, or the encoder.
        decoder_input_ids: (texts, tokens) what the decoder reads; None without one.
        predicts: (texts, tokens) of the trunk or the decoder.
        actions, old_log_probs, advantages, returns: (texts, tokens), there where ``predicts`` is True.
    """

    input_ids: Tensor
    decoder_input_ids: Tensor | None
    predicts: Tensor
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    returns: Tensor

    def pick(self, texts: Tensor) -> "Padded":
        """Some of the texts, cut to the longest of them."""
        end = int((self.predicts[texts].any(0).nonzero().max()) + 1)
        decoder = self.decoder_input_ids
        inputs = self.input_ids[texts] if decoder is not None else self.input_ids[texts, :end]
        rest = (self.predicts, self.actions, self.old_log_probs, self.advantages, self.returns)
        return Padded(inputs, None if decoder is None else decoder[texts, :end], *(one[texts, :end] for one in rest))


def pad(texts: Sequence[Text], seq2seq: bool = False, device: Any = "cpu") -> Padded:
    """Texts as tensors. The last token of a completion is not read: nothing follows it.

    The prompts of an encoder must be equally long.
    """
    offsets = [0 if seq2seq else len(text.prompt) - 1 for text in texts]
    columns = max(first + len(text.actions) for first, text in zip(offsets, texts, strict=True))
    width = columns if not seq2seq else len(texts[0].prompt)
    input_ids = torch.zeros(len(texts), width, dtype=torch.long)
    decoder = torch.zeros(len(texts), columns, dtype=torch.long) if seq2seq else None
    predicts = torch.zeros(len(texts), columns, dtype=torch.bool)
    actions = torch.zeros(len(texts), columns, dtype=torch.long)
    flat = {name: torch.zeros(len(texts), columns) for name in ("old_log_probs", "advantages", "returns")}
    for i, (text, offset) in enumerate(zip(texts, offsets, strict=True)):
        stop = offset + len(text.actions)
        given = torch.as_tensor(text.actions)
        input_ids[i, : len(text.prompt)] = torch.as_tensor(text.prompt)
        (input_ids if decoder is None else decoder)[i, offset + 1 : stop] = given[:-1]
        predicts[i, offset:stop] = True
        actions[i, offset:stop] = given
        for name, values in flat.items():
            values[i, offset:stop] = torch.as_tensor(getattr(text, name))
    found = (input_ids, decoder, predicts, actions, *flat.values())
    return Padded(*(one if one is None else one.to(device) for one in found))  # type: ignore[arg-type]


class HandwrittenPPO:
    """A model, a value head, an optimiser, and PPO's step.

    Args:
        subject: the model; it is copied.
        lean: hold the (n, vocabulary) matrix in float32 once and no more; slower, and what memory is measured against.
    """

    def __init__(self, subject: Subject, lean: bool = False) -> None:
        self.model = subject.copy()
        self.seq2seq, self.vocabulary, self.lean = subject.seq2seq, subject.vocabulary, lean
        hidden = self.model.get_output_embeddings().weight.shape[1]
        self.value_head = nn.Linear(hidden, 1).to(self.model.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.parameters = [*self.model.parameters(), *self.value_head.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=PPO_ARGUMENTS["learning_rate"], **OPTIMIZER)

    def epoch(self, texts: Padded, per_minibatch: int, generator: torch.Generator | None = None) -> None:
        """One step for each ``per_minibatch`` texts, in random order."""
        order = torch.randperm(len(texts.input_ids), generator=generator).to(texts.input_ids.device)
        for some in order.split(per_minibatch):
            self.step(texts.pick(some))

    def step(self, batch: Padded) -> None:
        """Loss, gradient, clipping, optimiser."""
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, PPO_ARGUMENTS["max_grad_norm"])
        self.optimizer.step()

    def loss(self, batch: Padded) -> Tensor:
        """PPO's clipped loss with value loss and entropy bonus (Schulman et al. 2017)."""
        log_probs, entropy, values = self.evaluate(batch)
        old, returns, advantages = (
            one[batch.predicts] for one in (batch.old_log_probs, batch.returns, batch.advantages)
        )
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio = torch.exp(log_probs - old)
        clip = PPO_ARGUMENTS["clip_range"]
        policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
        value_loss = nn.functional.mse_loss(returns, values)
        loss: Tensor = policy_loss + PPO_ARGUMENTS["vf_coef"] * value_loss - PPO_ARGUMENTS["ent_coef"] * entropy.mean()
        return loss

    def evaluate(self, batch: Padded) -> tuple[Tensor, Tensor, Tensor]:
        """(n,) log-probabilities of the actions, entropies, values."""
        actions = batch.actions[batch.predicts]
        if self.seq2seq:  # every position of the decoder predicts: the model's own logits waste nothing
            out = self.model(
                input_ids=batch.input_ids,
                decoder_input_ids=batch.decoder_input_ids,
                output_hidden_states=True,
                use_cache=False,
            )
            hidden = out.decoder_hidden_states[-1][batch.predicts]
            chosen, entropy = choose(out.logits[batch.predicts][:, : self.vocabulary], actions)
            return chosen, entropy, self.value_head(hidden.float()).flatten()
        trunk = getattr(self.model, self.model.base_model_prefix)
        hidden = trunk(input_ids=batch.input_ids, use_cache=False).last_hidden_state[batch.predicts]
        head = self.model.get_output_embeddings()
        if self.lean:
            chosen, entropy = OneMatrix.apply(hidden, head.weight, actions)  # type: ignore[no-untyped-call]
        else:
            chosen, entropy = choose(head(hidden)[:, : self.vocabulary], actions)
        return chosen, entropy, self.value_head(hidden.float()).flatten()


def choose(logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) log-probabilities of the actions and (n,) entropies, from logits (n, vocabulary)."""
    log_probs = logits.float().log_softmax(-1)
    chosen = log_probs.gather(1, actions[:, None]).squeeze(1)
    return chosen, -(log_probs.exp() * log_probs).sum(-1)


class OneMatrix(torch.autograd.Function):
    """The same from hidden states (n, hidden size) and the head's weight, with one (n, vocabulary) matrix in float32.

    The matrix holds logits, then log-probabilities, then the gradient of the logits. The head has no bias.
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
