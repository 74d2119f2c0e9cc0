"""Likeness of texts by a language model: the cosine of their embeddings, and BERTScore, which matches their tokens."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from textgym.errors import ConfigError, MetricError, did_you_mean
from textgym.metrics.base import MeanMetric, MetricSample, references_of
from textgym.text_model import TextModel
from textgym.tokenizer import BUILTIN_MODEL

REMEMBERED = 8192  # embeddings of references
REMEMBERED_TOKENS = 50_000  # of references, whose states are kept for BERTScore
AT_ONCE = 2**22  # cosines of pairs of tokens that are held at a time
MEASURES = ("f1", "precision", "recall")


class Encoder(TextModel):
    """A model whose hidden states stand for texts and tokens. The arguments are those of ``TextModel``.

    An encoder-decoder model is read by its encoder alone; a decoder-only one sees what came before a token.
    """

    auto_class = "AutoModel"

    def load_model(self) -> Any:
        model = super().load_model()
        return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_known": {}}


class SentenceEncoder(Encoder):
    """Embeddings of texts: the mean hidden states at their tokens. Those of references are kept.

    Texts longer than the encoder reads are read in windows that overlap by half; the mean is over all of them.
    """

    def __init__(self, model: Any, tokenizer: Any = None, *, device: str = "cpu", batch_size: int = 32) -> None:
        super().__init__(model, tokenizer, device=device, batch_size=batch_size)
        self._known: dict[str, Any] = {}

    def similarities(self, completions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
        """The cosine of each completion with the nearest of its references, in [0, 1]; 0 for a text without tokens."""
        self._remember({text: None for texts in references for text in texts})
        embedded = self.embeddings([text.strip() for text in completions])
        return [
            max(0.0, min(1.0, max(float(own @ self._known[text]) for text in texts)))
            for own, texts in zip(embedded, references, strict=True)
        ]

    def embeddings(self, texts: Sequence[str]) -> list[Any]:
        """One vector of length 1 for each text, (hidden,), as float64; zeros for a text without a token."""
        rows, owners = self.encoded(texts)
        sums = self.in_batches(rows, lambda output, mask, indices: _sums(output.last_hidden_state, mask))
        totals: list[Any] = [0] * len(texts)
        for owner, part in zip(owners, sums, strict=True):
            totals[owner] = totals[owner] + part
        return [_unit(total) for total in totals]

    def _remember(self, texts: dict[str, None]) -> None:
        new = [text for text in texts if text not in self._known]
        if len(self._known) + len(new) > REMEMBERED:
            self._known, new = {}, list(texts)
        self._known.update(zip(new, self.embeddings([text.strip() for text in new]), strict=True))


def _sums(states: Any, mask: Any) -> list[Any]:
    """The sums of the hidden states at the tokens. States: (batch, tokens, hidden); mask: (batch, tokens)."""
    return list((states.double() * mask[:, :, None]).sum(1).cpu())


def _unit(vector: Any) -> Any:
    length = float(vector.norm())
    return vector / length if length else vector


# ---------------------------------------------------------------------------- BERTScore


class TokenScore(NamedTuple):
    """BERTScore's F1, precision and recall."""

    f1: float
    precision: float
    recall: float


class _States(NamedTuple):
    """The states of a text: of its tokens, (tokens, hidden), and of the special tokens around it, each of length 1."""

    tokens: Any
    special: Any


def check_bertscore_settings(measure: str, layer: int | None, baseline: float) -> None:
    """Raise ConfigError for settings that make no sense."""
    if measure not in MEASURES:
        raise ConfigError(f"measure={measure!r} is none of BERTScore. {did_you_mean(str(measure), MEASURES)}")
    if layer is not None and (isinstance(layer, bool) or not isinstance(layer, int)):
        raise ConfigError(
            f"layer={layer!r}: expected the number of a layer, 0 for the embeddings, or None for the last."
        )
    if not -1 <= baseline < 1:
        raise ConfigError(f"baseline={baseline!r}: expected the score of unrelated texts, below 1.")


class TokenEncoder(Encoder):
    """BERTScore (Zhang et al., 2020, arxiv.org/abs/1904.09675) by the states of a layer, without inverse frequencies.

    Each token is matched with the most similar one of the other text, special ones among them, by the cosine of their
    states. Precision is the mean over the completion's tokens, recall that over the reference's. The states of
    references are kept. A text longer than the encoder reads is read in windows that overlap by half, each token as in
    the first window that has it.

    Args:
        model, tokenizer, device, batch_size: as of :class:`textgym.text_model.TextModel`.
        layer: whose states are compared: 1 is the first, 0 the embeddings. None: the last, as the model returns it.
        baseline: the score of unrelated texts, which is mapped to 0, as 1 is to 1.

    Raises:
        ConfigError: a setting that makes no sense; (at the first call) the model has no such layer.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        layer: int | None = None,
        baseline: float = 0.0,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        super().__init__(model, tokenizer, device=device, batch_size=batch_size)
        self.layer, self.baseline = layer, baseline
        self._known: dict[str, _States] = {}

    def scores(self, completions: Sequence[str], references: Sequence[Sequence[str]]) -> list[TokenScore]:
        """The scores of each completion against the reference that gives the highest F1; 0 where one has no tokens."""
        self._remember({text: None for texts in references for text in texts})
        own = self.states(completions)
        return [
            max((self._rescaled(_matched(mine, self._known[text])) for text in texts), key=lambda score: score.f1)
            for mine, texts in zip(own, references, strict=True)
        ]

    def states(self, texts: Sequence[str]) -> list[_States]:
        """The states of texts, on the CPU."""
        import torch

        windows = self.windows([text.strip() for text in texts])
        rows = [[*window.start, *window.ids, *window.end] or [self._some_token()] for window in windows]
        options = {} if self.layer is None else {"output_hidden_states": True}
        found = self.in_batches(rows, lambda output, mask, indices: self._of_layer(output), **options)
        parts: list[tuple[list[Any], list[Any]]] = [([], []) for _ in texts]
        for window, states in zip(windows, found, strict=True):
            tokens, special = parts[window.owner]
            begin, end = len(window.start), len(window.start) + len(window.ids)
            tokens.append(states[begin + window.known : end])
            if not special:
                last = end + len(window.end)
                special += [states[:begin], states[end:last]]
        return [_States(torch.cat(tokens), torch.cat(special)) for tokens, special in parts]

    def _of_layer(self, output: Any) -> list[Any]:
        """(tokens, hidden) states of length 1 of each row."""
        states = output.last_hidden_state
        if self.layer is not None:
            if not 0 <= self.layer < len(output.hidden_states):
                raise ConfigError(f"layer={self.layer}, but {self.model_name!r} has {len(output.hidden_states) - 1}.")
            states = output.hidden_states[self.layer]
        states = states.float()
        return list((states / states.norm(dim=-1, keepdim=True).clamp_min(1e-12)).cpu())

    def _remember(self, texts: dict[str, None]) -> None:
        new = [text for text in texts if text not in self._known]
        if sum(len(states.tokens) for states in self._known.values()) > REMEMBERED_TOKENS:
            self._known, new = {}, list(texts)
        self._known.update(zip(new, self.states(new), strict=True))

    def _rescaled(self, score: TokenScore) -> TokenScore:
        return TokenScore(*(min(max((one - self.baseline) / (1 - self.baseline), 0.0), 1.0) for one in score))


def _matched(mine: _States, theirs: _States) -> TokenScore:
    """The means of the best cosines of tokens."""
    if not len(mine.tokens) or not len(theirs.tokens):
        return TokenScore(0.0, 0.0, 0.0)
    precision, recall = _best(mine, theirs), _best(theirs, mine)
    total = precision + recall
    return TokenScore(2 * precision * recall / total if total > 0 else 0.0, precision, recall)


def _best(mine: _States, theirs: _States) -> float:
    """The mean over my tokens of the largest cosine with any of theirs."""
    import torch

    others = torch.cat([theirs.tokens, theirs.special]).T
    step = max(1, AT_ONCE // others.shape[1])
    sums = [(mine.tokens[i : i + step] @ others).amax(1).sum().double() for i in range(0, len(mine.tokens), step)]
    return float(sum(sums)) / len(mine.tokens)


# ---------------------------------------------------------------------------- metrics


class _ModelMetric(MeanMetric):
    """A metric that asks an encoder."""

    compares_with = "references"
    library = "transformers"
    encoder: Encoder

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"model": self.encoder.model_name}

    def _texts(self, samples: Iterable[MetricSample]) -> tuple[list[str], list[tuple[str, ...]]]:
        samples = list(samples)
        references = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        return [sample.completion for sample in samples], references


class MeanEmbedding(_ModelMetric):
    """The mean cosine with the nearest reference by an encoder's mean hidden states, in [0, 1].

    Values of different models are not to be compared, and unrelated texts have high ones too. The built-in model has
    read the small world's texts alone.

    >>> from textgym.core import Sample
    >>> texts = (" The Red Fox is a cheap pub.", " Ann lost her key in the park.")
    >>> metric, references = MeanEmbedding(), (" The Red Fox is a pub that is cheap.",)
    >>> [round(value, 2) for value in metric.values([Sample("", text, references) for text in texts])]
    [0.95, 0.82]
    """

    name = "embedding"

    def __init__(
        self, model: Any = BUILTIN_MODEL, tokenizer: Any = None, device: str = "cpu", batch_size: int = 32
    ) -> None:
        self.encoder: SentenceEncoder = SentenceEncoder(model, tokenizer, device=device, batch_size=batch_size)

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        return self.encoder.similarities(*self._texts(samples))


class MeanBERTScore(_ModelMetric):
    """Mean BERTScore by an encoder's states of tokens, in [0, 1], each against its best reference.

    Values of different models and layers are not to be compared, and unrelated texts have high ones too: give their
    value as ``baseline``. The built-in model has read the small world's texts alone, and its tokens see only those
    before them.

    >>> from textgym.core import Sample
    >>> texts = (" The Red Fox is a cheap pub.", " Ann lost her key in the park.")
    >>> metric, references = MeanBERTScore(), (" The Red Fox is a pub that is cheap.",)
    >>> [round(value, 2) for value in metric.values([Sample("", text, references) for text in texts])]
    [0.91, 0.75]
    """

    name = "bertscore"

    def __init__(
        self,
        model: Any = BUILTIN_MODEL,
        measure: str = "f1",
        *,
        layer: int | None = None,
        baseline: float = 0.0,
        tokenizer: Any = None,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        check_bertscore_settings(measure, layer, baseline)
        self.measure = measure
        given: dict[str, Any] = {"layer": layer, "baseline": baseline, "device": device, "batch_size": batch_size}
        self.encoder: TokenEncoder = TokenEncoder(model, tokenizer, **given)

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        layer = "last" if self.encoder.layer is None else self.encoder.layer
        about = {"measure": self.measure, "layer": layer, "idf": "no", "baseline": self.encoder.baseline}
        return {**super().settings(samples), **about}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        return [float(getattr(score, self.measure)) for score in self.encoder.scores(*self._texts(samples))]
