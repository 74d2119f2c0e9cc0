"""How fluent each completion is: the log-probability of its least probable tokens under a frozen language model.

prompt      "Review: We ate at The Red Fox on Friday. The street was loud. The soup"
completion  " was fresh and delicious, and we will come back soon."
reward      1.0, and 0.0 for " good good good good"
"""

import math
from collections.abc import Sequence
from typing import Any

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.rewards.base import check_batch
from textgym.rewards.model_reward import ModelReward
from textgym.tokenizer import BUILTIN_MODEL


class Fluency(ModelReward):
    """How probable a frozen model finds the least probable tokens, in [0, 1].

    With l the mean log-probability of a quarter of the completion's tokens, the least probable ones, given the prompt:
    (l - low) / (high - low), at least 0 and at most 1. One word that doesn't fit its sentence or its prompt counts,
    where the mean over all tokens would hide it. Above ``high`` there is nothing to gain, so a policy isn't drawn to
    the model's most probable text. The end token is one of the tokens if the completion has one, so a text that breaks
    off isn't fluent, and an empty one is its end token alone.

    The bounds suit ``"textgym/small"`` and SentimentContinuation, whose references score 0.98 on average, and texts
    in the small world's English: this model finds any other text improbable. For another model set ``high`` a little
    below the l of most of your references, and ``low`` where texts stop being acceptable: ``log_likelihoods`` gives l.

    A completion without a token to count abstains: an empty one without an end token. Texts longer than the model's
    context are read in windows that overlap by half. The first token of all is not counted for a model without a token
    that begins texts.

    Args:
        model: a decoder-only model: a folder, a hub name, a built-in name, or a loaded model. Names are loaded at
            the first call, from safetensors only, and run no code of the repository. A loaded model keeps its device.
        tokenizer: a name or a loaded tokenizer. None: the one that belongs to the model.
        low: the mean log-probability per token that scores 0, in nats.
        high: the one that scores 1.
        worst: the share of tokens that count, above 0 and at most 1; at least one token counts. 1: the mean over all.
        prompt: whether the prompt comes before the completion. Without, the completion is read by itself. A text comes
            in the place of every prompt.
        device: where a model given by name goes.
        batch_size: texts per forward pass.

    Raises:
        ConfigError: ``low`` is not below ``high``, or ``worst`` or the batch size make no sense.
        ModelError, TokenizerError: (at the first call) one of them can't be loaded.

    >>> prompt = "Words: lamp river old\\nCopy:"
    >>> [round(value, 2) for value in Fluency()([Sample(prompt, " lamp river old"), Sample(prompt, " lamp lamp lamp")])]
    [1.0, 0.0]
    """

    name = "fluency"
    auto_class = "AutoModelForCausalLM"

    def __init__(
        self,
        model: Any = BUILTIN_MODEL,
        tokenizer: Any = None,
        *,
        low: float = -3.5,
        high: float = -2.2,
        worst: float = 0.25,
        prompt: bool | str = True,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        super().__init__(model, tokenizer, device=device, batch_size=batch_size)
        if not low < high:
            raise ConfigError(f"low={low!r}, high={high!r}: expected a low bound below the high one.")
        if not 0 < worst <= 1:
            raise ConfigError(f"worst={worst!r}, expected a share of the tokens, above 0 and at most 1.")
        self.low, self.high, self.worst, self.prompt = low, high, worst, prompt

    def __call__(self, samples: Sequence[Sample], /) -> list[float | None]:  # type: ignore[override]
        check_batch(self, samples)
        span = self.high - self.low
        means = self.log_likelihoods(samples)
        return [None if mean is None else min(max((mean - self.low) / span, 0.0), 1.0) for mean in means]

    def score(self, sample: Sample, /) -> float | None:
        return self([sample])[0]

    def log_likelihoods(self, samples: Sequence[Sample]) -> list[float | None]:
        """The mean log-probability of each completion's least probable tokens, in nats; None where no token counts."""
        found = [sorted(tokens) for tokens in self.token_log_probs(samples)]
        counted = [tokens[: max(1, math.ceil(len(tokens) * self.worst))] for tokens in found]
        return [sum(tokens) / len(tokens) if tokens else None for tokens in counted]

    def token_log_probs(self, samples: Sequence[Sample]) -> list[list[float]]:
        """The log-probability of each of the completions' tokens, in nats, in order."""
        rows, starts, owners = [], [], []
        width = self.max_tokens(default=2048)
        for owner, sample in enumerate(samples):
            for window, first in windows(*self._encode(sample), width):
                rows.append(window)
                starts.append(first)
                owners.append(owner)
        found: list[list[float]] = [[] for _ in samples]
        parts = self.in_batches(rows, lambda output, mask, indices: _log_probs(output.logits, rows, starts, indices))
        for owner, part in zip(owners, parts, strict=True):
            found[owner] += part
        return found

    def _encode(self, sample: Sample) -> tuple[list[int], int]:
        """The token ids of prompt and completion, and the place of the first that counts."""
        tokenizer = self.load_tokenizer()
        begin = getattr(tokenizer, "bos_token_id", None)
        given = self.prompt if isinstance(self.prompt, str) else sample.prompt * bool(self.prompt)
        before = list(tokenizer.encode(given)) if given else []
        if begin is not None and before[:1] != [begin]:
            before = [begin, *before]
        ids = list(tokenizer.encode(sample.completion, add_special_tokens=False))
        if sample.finish_reason == "eos" and tokenizer.eos_token_id is not None:
            ids.append(tokenizer.eos_token_id)
        return before + ids, max(len(before), 1)


def windows(ids: Sequence[int], start: int, width: int) -> list[tuple[list[int], int]]:
    """The ids from ``start`` on in windows of at most ``width`` ids, each with the place of its first new one.

    Together the windows have each id once after that place. Half of a window repeats what came before.

    >>> windows([0, 1, 2, 3, 4, 5, 6], 2, 4)
    [([0, 1, 2, 3], 2), ([2, 3, 4, 5], 2), ([4, 5, 6], 2)]
    """
    parts = []
    while start < len(ids):
        begin = max(0, start - width // 2) if len(ids) > width else 0
        end = min(len(ids), begin + width)
        parts.append((list(ids[begin:end]), start - begin))
        start = end
    return parts


def _log_probs(
    logits: Any, rows: Sequence[Sequence[int]], starts: Sequence[int], indices: Sequence[int]
) -> list[list[float]]:
    """The log-probabilities of each row's ids from its start on. Logits: (batch, tokens, vocabulary)."""
    import torch

    found = []
    for place, i in enumerate(indices):
        first, last = starts[i], len(rows[i])
        log_probs = logits[place, first - 1 : last - 1].double().log_softmax(-1)  # (counted tokens, vocabulary)
        wanted = torch.tensor(rows[i][first:], device=log_probs.device)
        found.append([float(value) for value in log_probs.gather(-1, wanted[:, None])[:, 0]])
    return found
