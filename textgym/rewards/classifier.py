"""What a classifier or a reward model says of each text.

prompt      "The soup was"
completion  " warm and wonderful."
reward      the probability of the label "POSITIVE", or the one number of a reward model
"""

from collections.abc import Sequence
from typing import Any

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.metrics.sentiment import check_sentiment_settings, scored_text
from textgym.rewards.base import check_batch
from textgym.rewards.model_reward import ModelReward


class ClassifierReward(ModelReward):
    """A label's probability by a sequence classifier, in [0, 1], or a reward model's number.

    A model with several labels gives the probability of ``label``: a softmax over the labels, or a sigmoid where the
    model's ``problem_type`` is "multi_label_classification". A model with one label is a reward model, whose number is
    the reward as it is: any finite number, so compare and scale it before adding it to others.

    A text longer than the model reads is read in windows that overlap by half; the value is the mean of theirs.

    Args:
        model: a folder, a hub name, or a loaded model. Names are loaded at the first call, from safetensors only, and
            run no code of the repository. A loaded model keeps its device.
        label: the name or the index of the label. None: only for a model with one label.
        tokenizer: a name or a loaded tokenizer. None: the one that belongs to the model.
        text: "completion" gives the model the generated text alone, "full" the prompt and what follows it.
        device: where a model given by name goes.
        batch_size: texts per forward pass.

    Raises:
        ConfigError: ``text`` or ``batch_size`` make no sense; (at the first call) the model has no such label.
        ModelError, TokenizerError: (at the first call) one of them can't be loaded, or the model has no trained head.
    """

    name = "classifier"
    auto_class = "AutoModelForSequenceClassification"
    needs_all_weights = True
    shown = ("model", "label")

    def __init__(
        self,
        model: Any,
        label: str | int | None = None,
        *,
        tokenizer: Any = None,
        text: str = "completion",
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        super().__init__(model, tokenizer, device=device, batch_size=batch_size)
        check_sentiment_settings(text)
        self.label, self.text = label, text

    def __call__(self, samples: Sequence[Sample], /) -> list[float]:  # type: ignore[override]
        check_batch(self, samples)
        column = self.column()
        rows, owners = self.encoded([scored_text(sample, self.text) for sample in samples])
        values = self.in_batches(rows, lambda output, mask, indices: self._values(output.logits, column))
        return [sum(parts) / len(parts) for parts in grouped(values, owners, len(samples))]

    def score(self, sample: Sample, /) -> float:
        return self([sample])[0]

    def column(self) -> int:
        """The index of the label among those of the model.

        Raises:
            ConfigError: there is no such label, or several and none was named.
        """
        config = self.load_model().config
        names = [str(config.id2label.get(i, i)) for i in range(config.num_labels)]
        if self.label is None and len(names) == 1:
            return 0
        if isinstance(self.label, int) and not isinstance(self.label, bool) and 0 <= self.label < len(names):
            return self.label
        matches = [i for i, known in enumerate(names) if known.lower() == str(self.label).lower()]
        if len(matches) != 1:
            raise ConfigError(f"{self!r}: label={self.label!r} names none of the model's labels: {', '.join(names)}.")
        return matches[0]

    def _values(self, logits: Any, column: int) -> list[float]:
        logits = logits.double()  # (batch, labels)
        if logits.shape[1] > 1:
            several = self.load_model().config.problem_type == "multi_label_classification"
            logits = logits.sigmoid() if several else logits.softmax(-1)
        return [float(value) for value in logits[:, column]]


def grouped(values: Sequence[Any], owners: Sequence[int], count: int) -> list[list[Any]]:
    """The values of each owner, in order.

    >>> grouped("abc", [0, 1, 1], 2)
    [['a'], ['b', 'c']]
    """
    groups: list[list[Any]] = [[] for _ in range(count)]
    for value, owner in zip(values, owners, strict=True):
        groups[owner].append(value)
    return groups
