"""How far each token of a completion has one like it in a reference, and the other way round, by an encoder.

completion  "The sum was paid."
reference   "The money has been handed over."
reward      the harmonic mean of how near each token of one comes to any of the other, by the cosine of their states
"""

from collections.abc import Sequence
from typing import Any

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.base import references_of
from textgym.metrics.embedding import TokenEncoder, check_bertscore_settings
from textgym.rewards.base import BatchReward, check_batch


class BERTScore(TokenEncoder, BatchReward):
    """BERTScore against the best reference by an encoder, in [0, 1] (Zhang et al., 2020; without idf).

    Tokens are matched by the cosine of their states in a layer, as the bert-score package does. Unrelated texts have
    high scores with most models: subtract a ``baseline``, which also makes differences larger. The states of references
    are kept. An empty completion scores 0; a text longer than the encoder reads is read in windows.

    Args:
        model: an encoder: a folder, a hub name, or a loaded model. Names are loaded at the first call, from safetensors
            only, and run no code of the repository. A loaded model keeps its device.
        measure: "f1", "precision" or "recall", of the reference that gives the highest F1.
        layer: whose states are compared: 1 is the first, 0 the embeddings. None: the last, as the model returns it.
        baseline: the score of unrelated texts, which is mapped to 0, as 1 is to 1.
        tokenizer: a name or a loaded tokenizer. None: the one that belongs to the model.
        device: where a model given by name goes.
        batch_size: texts per forward pass.

    Raises:
        ConfigError: a setting that makes no sense; (at the first call) the model has no such layer.
        ModelError, TokenizerError: (at the first call) one of them can't be loaded.
        RewardError: when called with a sample without references.

    >>> texts = (" The Red Fox is a cheap pub.", " Ann lost her key in the park.", "")
    >>> samples = [Sample("", text, (" The Red Fox is a pub that is cheap.",)) for text in texts]
    >>> [round(value, 2) for value in BERTScore("textgym/small")(samples)]
    [0.91, 0.75, 0.0]
    """

    name = "bertscore"
    compares_with = "references"
    shown = ("model",)

    def __init__(
        self,
        model: Any,
        measure: str = "f1",
        *,
        layer: int | None = None,
        baseline: float = 0.0,
        tokenizer: Any = None,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        check_bertscore_settings(measure, layer, baseline)
        super().__init__(model, tokenizer, layer=layer, baseline=baseline, device=device, batch_size=batch_size)
        self.measure = measure

    def __call__(self, samples: Sequence[Sample], /) -> list[float]:  # type: ignore[override]
        check_batch(self, samples)
        references = [references_of(sample, f"Reward {self.name!r}", RewardError) for sample in samples]
        scores = self.scores([sample.completion for sample in samples], references)
        return [float(getattr(score, self.measure)) for score in scores]

    def score(self, sample: Sample, /) -> float:
        return self([sample])[0]
