"""How near a completion is to its references in the space of an encoder.

completion  "The sum was paid."
reference   "The money has been handed over."
reward      the cosine of the angle between their embeddings, which says more than their common words do
"""

from collections.abc import Sequence
from typing import Any

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.rewards.base import check_batch
from textgym.rewards.classifier import grouped
from textgym.rewards.model_reward import ModelReward

REMEMBERED = 8192  # embeddings of references


class EmbeddingSimilarity(ModelReward):
    """The cosine with the nearest reference by an encoder, in [0, 1].

    It is that of the mean hidden states, which is what the sentence encoders of the sentence-transformers package
    compute (Reimers and Gurevych, 2019). A negative cosine scores 0. Texts longer than the encoder reads are read in
    windows that overlap by half, and the mean is over all of them. The embeddings of references are kept.

    Args:
        model: an encoder: a folder, a hub name, or a loaded model. Names are loaded at the first call, from safetensors
            only, and run no code of the repository. A loaded model keeps its device.
        tokenizer: a name or a loaded tokenizer. None: the one that belongs to the model.
        device: where a model given by name goes.
        batch_size: texts per forward pass.

    Raises:
        ConfigError: the batch size is no integer from 1 up.
        ModelError, TokenizerError: (at the first call) one of them can't be loaded.
        RewardError: when called with a sample without references.
    """

    name = "embedding"
    compares_with = "references"
    auto_class = "AutoModel"
    shown = ("model",)

    def __init__(self, model: Any, *, tokenizer: Any = None, device: str = "cpu", batch_size: int = 32) -> None:
        super().__init__(model, tokenizer, device=device, batch_size=batch_size)
        self._known: dict[str, Any] = {}

    def __call__(self, samples: Sequence[Sample], /) -> list[float]:  # type: ignore[override]
        check_batch(self, samples)
        references = [references_of(sample, f"Reward {self.name!r}", RewardError) for sample in samples]
        self._remember({text: None for texts in references for text in texts})
        completions = self.embeddings([sample.completion.strip() for sample in samples])
        return [
            max(0.0, min(1.0, max(float(own @ self._known[text]) for text in texts)))
            for own, texts in zip(completions, references, strict=True)
        ]

    def score(self, sample: Sample, /) -> float:
        return self([sample])[0]

    def embeddings(self, texts: Sequence[str]) -> list[Any]:
        """One vector of length 1 for each text, (hidden,), as float64; zeros for a text without a token."""
        rows, owners = self.encoded(texts)
        sums = self.in_batches(rows, lambda output, mask, indices: _sums(output.last_hidden_state, mask))
        return [_unit(sum(parts)) for parts in grouped(sums, owners, len(texts))]

    def _remember(self, texts: dict[str, None]) -> None:
        new = [text for text in texts if text not in self._known]
        if len(self._known) + len(new) > REMEMBERED:
            self._known, new = {}, list(texts)
        self._known.update(zip(new, self.embeddings([text.strip() for text in new]), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_known": {}}


def _sums(states: Any, mask: Any) -> list[Any]:
    """The sums of the hidden states at the tokens. States: (batch, tokens, hidden); mask: (batch, tokens)."""
    return list((states.double() * mask[:, :, None]).sum(1).cpu())


def _unit(vector: Any) -> Any:
    length = float(vector.norm())
    return vector / length if length else vector
