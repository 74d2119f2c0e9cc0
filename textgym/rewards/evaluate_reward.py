"""Any module of the Hugging Face ``evaluate`` library as a reward."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textgym.border import reading
from textgym.core import Sample
from textgym.errors import ConfigError, RewardError, did_you_mean
from textgym.metrics.base import references_of
from textgym.rewards.base import BatchReward, check_batch
from textgym.scoring import say_whose

Inputs = Mapping[str, Any]

# A module keeps what it was given until it has computed: two threads must not fill one at a time.
_COMPUTING = threading.RLock()


class EvaluateReward(BatchReward):
    """One number of a loaded ``evaluate`` module for each sample, times ``scale``.

    Most modules give one number per corpus, so ``compute`` runs once per sample, which costs 8 to 16 milliseconds. The
    rewards of this package give the usual values in a fraction of that. A module that answers one text with a list of
    one number, as bertscore and perplexity do, gets all texts of a batch in one ``compute``. Threads take turns.

    Where the module takes a list of references per prediction, it gets them all. Where it takes one reference, the
    value is the highest over the references. Where it takes none, it gets predictions alone. Whatever else it takes,
    such as sources, labels or dicts, ``inputs`` gives it.

    Args:
        module: what ``evaluate.load(...)`` or ``as_evaluate()`` of a metric or reward returned.
        result_key: the key of the number in the result. A list of one number, as some modules return, counts as it.
            A module that returns a bare number, as wer and cer do, needs none.
        scale: a factor that takes the value to the range you want: 0.01 for a module that counts to 100, -1 for errors.
        inputs: a function of one sample that returns what ``compute`` takes, by name, for this sample alone.
        name: the name in messages and components; by default the module's name.
        compute_kwargs: passed on to every ``compute``.

    Raises:
        ConfigError: ``module`` has no ``compute``, or takes more than predictions and references and there are no
            ``inputs``.
        RewardError: when called with a sample without references, or the result lacks ``result_key``.

    >>> from textgym.metrics import CorpusROUGE
    >>> reward = EvaluateReward(CorpusROUGE("1").as_evaluate(), "rouge1")
    >>> reward([Sample("", "a cat", ("a cat sat", "a cat"))])
    [1.0]
    >>> first = EvaluateReward(CorpusROUGE("1").as_evaluate(), "rouge1",
    ...     inputs=lambda sample: {"predictions": sample.completion, "references": sample.references[0]})
    >>> first([Sample("", "a cat", ("a cat sat", "a cat"))])
    [0.8]
    """

    def __init__(
        self,
        module: Any,
        result_key: str | None = None,
        *,
        scale: float = 1.0,
        inputs: Callable[[Sample], Inputs] | None = None,
        name: str | None = None,
        **compute_kwargs: Any,
    ) -> None:
        if isinstance(module, str) or not callable(getattr(module, "compute", None)):
            raise ConfigError(
                f"{module!r} is no loaded evaluate module. Load it: EvaluateReward(evaluate.load('bleu'), 'bleu')."
            )
        self.module, self.result_key, self.scale, self.compute_kwargs = module, result_key, scale, compute_kwargs
        self.inputs = inputs
        self.name = name or str(getattr(module, "name", result_key))
        self._by_text: bool | None = None  # whether the module gives one number a text; None: nobody has seen
        taken = {key for option in _formats(module) for key in option}
        if inputs is None and taken and ("predictions" not in taken or taken - {"predictions", "references"}):
            raise ConfigError(
                f"The evaluate module {self.name!r} takes {', '.join(sorted(taken))}. Say what each of them is: "
                f"EvaluateReward(module, {result_key!r}, inputs=lambda sample: {{{min(taken)!r}: sample.prompt, ...}})."
            )

    def __repr__(self) -> str:
        extra = "".join(f", {key}={value!r}" for key, value in self.compute_kwargs.items())
        key = "" if self.result_key is None else f", {self.result_key!r}"
        scale = "" if self.scale == 1 else f", scale={self.scale!r}"
        return f"EvaluateReward({self.name}{key}{scale}{extra})"

    def __call__(self, samples: Sequence[Sample], /) -> list[float]:  # type: ignore[override]
        check_batch(self, samples)
        each = [self._inputs(sample) for sample in samples]
        values = self._values([row for rows in each for row in rows])
        ends = [sum(map(len, each[: i + 1])) for i in range(len(each))]
        return [max(values[end - len(rows) : end]) for rows, end in zip(each, ends, strict=True)]

    def score(self, sample: Sample, /) -> float:
        return self([sample])[0]

    def _inputs(self, sample: Sample) -> list[Inputs]:
        """What ``compute`` takes for one sample, or for each of its references."""
        if self.inputs is not None:
            try:
                return [self.inputs(sample)]
            except Exception as error:
                say_whose(error, self, [sample])
                raise
        wanted = _references_wanted(self.module)
        if wanted == "none":
            return [{"predictions": sample.completion}]
        references = references_of(sample, f"Reward {self.name!r}", RewardError)
        given = [list(references)] if wanted == "several" else references
        return [{"predictions": sample.completion, "references": one} for one in given]

    def _values(self, rows: Sequence[Inputs]) -> list[float]:
        """The number of each row: by one ``compute`` where the module gives one for each text, else one by one."""
        values: list[float] = []
        while len(values) < len(rows):
            together = rows[len(values) :] if self._by_text else rows[len(values) : len(values) + 1]
            numbers, listed = self._compute(together)
            if self._by_text is None:
                self._by_text = listed
            if len(numbers) == len(together):
                values += numbers
            else:  # one number for all of them, though in a list
                self._by_text = False
        return values

    def _compute(self, rows: Sequence[Inputs]) -> tuple[list[float], bool]:
        """The numbers of rows that are computed together, and whether the module returned them in a list."""
        inputs = {key: [row[key] for row in rows] for key in rows[0]}
        hint = "Say what it takes with inputs=lambda sample: {...}." if self.inputs is None else ""
        with _COMPUTING, reading("a result from the evaluate module", self.name, RewardError, hint):
            result = self.module.compute(**inputs, **self.compute_kwargs)
            for module in getattr(self.module, "evaluation_modules", [self.module]):
                module.file_paths = module.filelocks = None  # of no more use, and a reward with locks doesn't pickle
        value = result
        if isinstance(result, Mapping):
            keys = sorted(map(str, result))
            key = keys[0] if self.result_key is None and len(keys) == 1 else self.result_key
            if key not in result:
                said = f"no {key!r}. {did_you_mean(str(key), keys)}" if key else f"{', '.join(keys)}: name one."
                raise RewardError(f"The result of evaluate module {self.name!r} has {said}")
            value = result[key]
        several = getattr(value, "ndim", 0) > 0 or (isinstance(value, Sequence) and not isinstance(value, str))
        numbers = [*value] if several else [value]
        try:
            scaled = [float(number) * self.scale for number in numbers]
        except (TypeError, ValueError):
            scaled = []
        if not scaled or (len(rows) == 1 and len(scaled) > 1):
            raise RewardError(
                f"The result of evaluate module {self.name!r} has {value!r} as {self.result_key!r}, expected a number."
            )
        return scaled, several


def _formats(module: Any) -> list[Mapping[str, Any]]:
    """The inputs that a module takes, as the one or several forms that it accepts."""
    features = getattr(module, "features", None)
    options = features if isinstance(features, list) else [features]
    return [option for option in options if option is not None]


def _references_wanted(module: Any) -> str:
    """ "several", "one" or "none": the references that the module takes, by its features. Several if both."""
    from datasets import Value  # whoever has a module has imported it

    formats = _formats(module)
    references = [option["references"] for option in formats if "references" in option]
    if not references and formats:
        return "none"
    return "several" if any(not isinstance(feature, Value) for feature in references) else "one"
