"""Any module of the Hugging Face ``evaluate`` library as a reward."""

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.border import reading
from textgym.core import Sample
from textgym.errors import ConfigError, RewardError, did_you_mean
from textgym.metrics.base import references_of
from textgym.rewards.base import BatchReward


class EvaluateReward(BatchReward):
    """One number of a loaded ``evaluate`` module, computed for each sample alone, times ``scale``.

    Most modules give one number per corpus, so ``compute`` runs once per sample, which costs 8 to 16 milliseconds. The
    rewards of this package give the usual values in a fraction of that.

    Where the module takes a list of references per prediction, it gets them all. Where it takes one reference, the
    value is the highest over the references. Where it takes none, it gets predictions alone.

    Args:
        module: what ``evaluate.load(...)`` or ``metric.as_evaluate()`` returned.
        result_key: the key of the number in the result. A list of one number, as some modules return, counts as it.
        scale: a factor that takes the value to the range you want: 0.01 for a module that counts to 100.
        name: the name in messages and components; by default the module's name.
        compute_kwargs: passed on to every ``compute``.

    Raises:
        ConfigError: ``module`` has no ``compute``.
        RewardError: when called with a sample without references, or the result lacks ``result_key``.

    >>> from textgym.metrics import CorpusROUGE
    >>> reward = EvaluateReward(CorpusROUGE("1").as_evaluate(), "rouge1")
    >>> reward([Sample("", "a cat", ("a cat sat", "a cat"))])
    [1.0]
    """

    def __init__(
        self, module: Any, result_key: str, *, scale: float = 1.0, name: str | None = None, **compute_kwargs: Any
    ) -> None:
        if isinstance(module, str) or not callable(getattr(module, "compute", None)):
            raise ConfigError(
                f"{module!r} is no loaded evaluate module. Load it: EvaluateReward(evaluate.load('bleu'), 'bleu')."
            )
        self.module, self.result_key, self.scale, self.compute_kwargs = module, result_key, scale, compute_kwargs
        self.name = name or str(getattr(module, "name", result_key))

    def __repr__(self) -> str:
        extra = "".join(f", {key}={value!r}" for key, value in self.compute_kwargs.items())
        scale = "" if self.scale == 1 else f", scale={self.scale!r}"
        return f"EvaluateReward({self.name}, {self.result_key!r}{scale}{extra})"

    def score(self, sample: Sample, /) -> float:
        wanted = _references_wanted(self.module)
        if wanted == "none":
            return self._compute({"predictions": [sample.completion]})
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        if wanted == "several":
            return self._compute({"predictions": [sample.completion], "references": [list(references)]})
        return max(self._compute({"predictions": [sample.completion], "references": [text]}) for text in references)

    def _compute(self, inputs: dict[str, list[Any]]) -> float:
        with reading("a result from the evaluate module", self.name, RewardError):
            result = self.module.compute(**inputs, **self.compute_kwargs)
        for module in getattr(self.module, "evaluation_modules", [self.module]):
            module.file_paths = module.filelocks = None  # of no more use, and a reward with locks doesn't pickle
        if not isinstance(result, Mapping) or self.result_key not in result:
            keys = sorted(map(str, result)) if isinstance(result, Mapping) else []
            raise RewardError(
                f"The result of evaluate module {self.name!r} has no {self.result_key!r}. "
                f"{did_you_mean(self.result_key, keys)}"
            )
        value = result[self.result_key]
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
            value = value[0]
        try:
            return float(value) * self.scale
        except (TypeError, ValueError):
            raise RewardError(
                f"The result of evaluate module {self.name!r} has {value!r} as {self.result_key!r}, expected a number."
            ) from None


def _references_wanted(module: Any) -> str:
    """ "several", "one" or "none": the references that the module takes, by its features. Several if both."""
    from datasets import Value  # whoever has a module has imported it

    features = getattr(module, "features", None)
    options = features if isinstance(features, list) else [features]
    references = [option["references"] for option in options if option is not None and "references" in option]
    if not references and any(option is not None for option in options):
        return "none"
    return "several" if any(not isinstance(feature, Value) for feature in references) else "one"
