"""A metric as a module of the Hugging Face ``evaluate`` library. Imported on demand: evaluate takes seconds to load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets
import evaluate

from textgym.metrics.base import Metric


@dataclass(frozen=True, slots=True)
class _Text:
    """A prediction with its references, in the form that metrics read."""

    completion: str
    references: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = ""
    token_ids: tuple[int, ...] = ()
    prompt_id: int = -1


class MetricModule(evaluate.Metric):  # type: ignore[misc]
    """An ``evaluate.Metric`` around a textgym metric. Made by ``metric.as_evaluate()``; needs no network.

    >>> from textgym.metrics import METRICS
    >>> module = METRICS["exact_match"]().as_evaluate()
    >>> module.compute(predictions=["four", "6"], references=[["4", "four"], ["5"]])
    {'exact_match': 0.5}
    """

    def __init__(self, metric: Metric, **module_kwargs: Any) -> None:
        self.metric = metric
        super().__init__(**module_kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return without_locks(self)

    @property
    def name(self) -> str:
        return self.metric.name

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        features = [datasets.Features({"predictions": text})]
        inputs = "predictions: a list of strings."
        if self.metric.compares_with is not None:
            several = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
            features = [several, datasets.Features({"predictions": text, "references": text})]
            inputs += f" references: per prediction a string or a list of strings, its {self.metric.compares_with}."
        return evaluate.MetricInfo(
            description=f"{(self.metric.__doc__ or '').partition(chr(10))[0]} Signature: {self.metric.signature}",
            citation="",
            features=features,
            inputs_description=inputs,
        )

    def _compute(
        self, *, predictions: Sequence[str], references: Sequence[str | Sequence[str]] | None = None
    ) -> dict[str, float]:
        if references is None:
            return self.metric.compute([_Text(prediction) for prediction in predictions])
        lists = [(texts,) if isinstance(texts, str) else tuple(texts) for texts in references]
        pairs = zip(predictions, lists, strict=True)
        if self.metric.compares_with == "keywords":
            key = str(self.metric.settings()["key"])
            return self.metric.compute([_Text(prediction, metadata={key: texts}) for prediction, texts in pairs])
        return self.metric.compute([_Text(prediction, texts) for prediction, texts in pairs])


def without_locks(module: evaluate.EvaluationModule) -> dict[str, Any]:
    """The state of a module that pickles: without what is left from the last compute."""
    return {**module.__dict__, "file_paths": None, "filelocks": None}
