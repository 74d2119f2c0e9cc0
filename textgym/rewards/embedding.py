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
from textgym.metrics.embedding import SentenceEncoder
from textgym.rewards.base import BatchReward, check_batch


class EmbeddingSimilarity(SentenceEncoder, BatchReward):
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
    shown = ("model",)

    def __init__(self, model: Any, *, tokenizer: Any = None, device: str = "cpu", batch_size: int = 32) -> None:
        super().__init__(model, tokenizer, device=device, batch_size=batch_size)

    def __call__(self, samples: Sequence[Sample], /) -> list[float]:  # type: ignore[override]
        check_batch(self, samples)
        references = [references_of(sample, f"Reward {self.name!r}", RewardError) for sample in samples]
        return self.similarities([sample.completion for sample in samples], references)

    def score(self, sample: Sample, /) -> float:
        return self([sample])[0]
