"""A reward as a module of the Hugging Face ``evaluate`` library. Imported on demand: evaluate takes seconds to load."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate

from textgym.core import Reward, Sample
from textgym.errors import RewardError
from textgym.metrics.evaluate_module import without_locks
from textgym.scoring import reward_name, score_samples


class RewardModule(evaluate.Metric):  # type: ignore[misc]
    """An ``evaluate.Metric`` around a reward. Made by ``reward.as_evaluate()``; needs no network.

    ``compute`` takes ``predictions``, and ``references`` (per prediction a string or a list of strings), ``prompts``
    and ``metadata`` (per prediction a dict) where the reward reads them. The result has the mean under the reward's
    name and ``values``, with None where the reward abstains; these are not in the mean.

    >>> from textgym.rewards import ExactMatch, KeywordCoverage
    >>> module = (0.5 * ExactMatch() + 0.5 * KeywordCoverage()).as_evaluate("quality")
    >>> words = [{"keywords": ["cat"]}, {"keywords": ["dog"]}]
    >>> module.compute(predictions=["a cat", "dogs"], references=["a cat", "a dog"], metadata=words)
    {'quality': 0.5, 'values': [1.0, 0.0]}
    """

    def __init__(self, reward: Reward, name: str | None = None, **module_kwargs: Any) -> None:
        self.reward, self.key = reward, name or reward_name(reward)
        super().__init__(**module_kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return without_locks(self)

    @property
    def name(self) -> str:
        return self.key

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        several = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
        return evaluate.MetricInfo(
            description=f"The reward {self.reward!r} of textgym.",
            citation="",
            features=[several, datasets.Features({"predictions": text, "references": text})],
            inputs_description=(
                "predictions: a list of strings. If the reward reads them, references: per prediction a string or a "
                "list of strings; prompts: strings; metadata: dicts."
            ),
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add predictions, without references where the reward reads none."""
        references = [[]] * len(predictions) if references is None else references
        super().add_batch(predictions=predictions, references=references, **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add one prediction."""
        super().add(prediction=prediction, reference=[] if reference is None else reference, **kwargs)

    def _compute(
        self,
        *,
        predictions: Sequence[str],
        references: Sequence[str | Sequence[str]],
        prompts: Sequence[str] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        size = len(predictions)
        prompts, metadata = prompts or [""] * size, metadata or [{}] * size
        for name, given in (("prompts", prompts), ("metadata", metadata)):
            if len(given) != size:
                raise RewardError(f"There are {len(given)} {name} for {size} predictions, expected one for each.")
        texts = [(one,) if isinstance(one, str) else tuple(one) for one in references]
        rows = zip(prompts, predictions, texts, metadata, strict=True)
        samples = [Sample(prompt, text, known, metadata=about) for prompt, text, known, about in rows]
        values = [score.value for score in score_samples(self.reward, samples)]
        present = [value for value in values if value is not None]
        return {**({self.key: sum(present) / len(present)} if present else {}), "values": values}
