"""A metric as a module of the Hugging Face ``evaluate`` library. Imported on demand: evaluate takes seconds to load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets
import evaluate

from textgym.errors import MetricError
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
        inputs += " metadata: per prediction a dict, if the metric reads it; prompts: strings."
        return evaluate.MetricInfo(
            description=f"{(self.metric.__doc__ or '').partition(chr(10))[0]} Signature: {self.metric.signature}",
            citation="",
            features=features,
            inputs_description=inputs,
        )

    def _compute(
        self,
        *,
        predictions: Sequence[str],
        references: Sequence[str | Sequence[str]] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        prompts: Sequence[str] | None = None,
    ) -> dict[str, float]:
        size = len(predictions)
        for name, given in (("metadata", metadata), ("prompts", prompts)):
            if given is not None and len(given) != size:
                raise MetricError(f"There are {len(given)} {name} for {size} predictions, expected one for each.")
        texts = [() if references is None else references[i] for i in range(size)]
        lists = [(one,) if isinstance(one, str) else tuple(one) for one in texts]
        about = [dict(metadata[i]) if metadata is not None else {} for i in range(size)]
        if self.metric.compares_with == "keywords":
            key = str(self.metric.settings()["key"])
            about = [{key: words, **given} for words, given in zip(lists, about, strict=True)]
        said = prompts if prompts is not None else [""] * size
        rows = zip(predictions, lists, about, said, strict=True)
        return self.metric.compute([_Text(text, known, data, prompt) for text, known, data, prompt in rows])


def without_locks(module: evaluate.EvaluationModule) -> dict[str, Any]:
    """The state of a module that pickles: without what is left from the last compute."""
    return {**module.__dict__, "file_paths": None, "filelocks": None}
