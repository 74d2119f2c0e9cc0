"""Corpus metrics for completions, each with a signature and usable as a module of ``evaluate``.

Every value is in [0, 1] (BLEU and chrF too: sacrebleu's score divided by 100), unless the metric's ``bounds`` say
otherwise. ``higher_is_better`` says which end is good.
"""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from textgym.errors import ConfigError, MissingExtraError, did_you_mean
from textgym.metrics.answer import MeanAnswer
from textgym.metrics.base import MeanMetric, Metric, MetricSample, SummedMetric
from textgym.metrics.bleu import CorpusBLEU
from textgym.metrics.chrf import CorpusChrF
from textgym.metrics.cider import CorpusCIDEr
from textgym.metrics.coverage import MeanConcepts, MeanCoverage
from textgym.metrics.diversity import Distinct, Distinct1, Distinct2, MeanNoRepeats, MeanRepetition
from textgym.metrics.embedding import MeanBERTScore, MeanEmbedding
from textgym.metrics.events import MeanEvents
from textgym.metrics.exact_match import MeanExactMatch
from textgym.metrics.faithfulness import MeanFaithfulness
from textgym.metrics.gleu import CorpusGLEU
from textgym.metrics.json_text import MeanJSON
from textgym.metrics.labels import CalibrationError, MacroF1
from textgym.metrics.length import MeanLength
from textgym.metrics.meteor import MeanMETEOR
from textgym.metrics.novel_ngrams import MeanNovelNgrams
from textgym.metrics.parent import MeanPARENT
from textgym.metrics.pattern import MeanPattern
from textgym.metrics.poems import MeanMeter, MeanRhyme
from textgym.metrics.refusal import HarmfulRefusal, HarmlessRefusal, MeanRefusal
from textgym.metrics.requirements import MeanRequirements
from textgym.metrics.rouge import CorpusROUGE, CorpusROUGE1, CorpusROUGE2, CorpusROUGEL, CorpusROUGELsum
from textgym.metrics.self_bleu import CorpusSelfBLEU
from textgym.metrics.sentiment import MeanSentiment
from textgym.metrics.ter import CorpusTER
from textgym.metrics.token_f1 import MeanTokenF1, MeanTokenPrecision, MeanTokenRecall

METRICS: dict[str, type[Metric]] = {
    "bleu": CorpusBLEU,
    "rouge1": CorpusROUGE1,
    "rouge2": CorpusROUGE2,
    "rougeL": CorpusROUGEL,
    "rougeLsum": CorpusROUGELsum,
    "chrf": CorpusChrF,
    "gleu": CorpusGLEU,
    "ter": CorpusTER,
    "meteor": MeanMETEOR,
    "cider": CorpusCIDEr,
    "parent": MeanPARENT,
    "faithfulness": MeanFaithfulness,
    "bertscore": MeanBERTScore,
    "embedding": MeanEmbedding,
    "sentiment": MeanSentiment,
    "length": MeanLength,
    "coverage": MeanCoverage,
    "concepts": MeanConcepts,
    "events": MeanEvents,
    "exact_match": MeanExactMatch,
    "answer": MeanAnswer,
    "token_f1": MeanTokenF1,
    "token_precision": MeanTokenPrecision,
    "token_recall": MeanTokenRecall,
    "macro_f1": MacroF1,
    "calibration_error": CalibrationError,
    "distinct1": Distinct1,
    "distinct2": Distinct2,
    "self_bleu": CorpusSelfBLEU,
    "novel_ngrams": MeanNovelNgrams,
    "no_repeats": MeanNoRepeats,
    "repetition": MeanRepetition,
    "json": MeanJSON,
    "pattern": MeanPattern,
    "requirements": MeanRequirements,
    "refusal": MeanRefusal,
    "refusal_harmful": HarmfulRefusal,
    "refusal_harmless": HarmlessRefusal,
    "rhyme": MeanRhyme,
    "meter": MeanMeter,
}

MODULE = str(Path(__file__).parent / "loaded.py")
"""The script that ``evaluate.load(MODULE, "bleu")`` loads a metric of this table from, without a network."""


def check_names(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that is not in ``METRICS``, MissingExtraError for one whose extra isn't there."""
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"No metric is called {name!r}. {did_you_mean(str(name), METRICS)}")
        METRICS[name]().require()


def installed(names: Iterable[str]) -> list[str]:
    """The names of metrics whose extra is installed. A warning says which are left out, and how to install them.

    For metrics that a task names: those that a user names are computed or refused.

    Raises:
        ConfigError: a name is not in ``METRICS``.

    >>> installed(("bleu", "length"))
    ['bleu', 'length']
    """
    found = []
    for name in names:
        try:
            check_names([name])
        except MissingExtraError as error:
            warnings.warn(f"{name} is left out of the task's metrics. {error}", stacklevel=2)
        else:
            found.append(name)
    return found


def compute_metrics(names: Iterable[str], samples: Sequence[MetricSample]) -> dict[str, float]:
    """The named metrics over the same samples, in the order given. Names are those of ``METRICS``.

    A metric that finds nothing to measure (coverage where no sample has keywords) is left out.

    Raises:
        ConfigError: a name is not in ``METRICS``.
        MetricError: there are no samples, or a sample lacks what a metric compares with.

    >>> from textgym.core import Sample
    >>> compute_metrics(["rouge1", "length"], [Sample("", "a cat", ("the cat",), token_ids=(5, 6, 0))])
    {'rouge1': 0.5, 'length': 3.0}
    """
    names = [names] if isinstance(names, str) else list(names)
    check_names(names)
    results: dict[str, float] = {}
    for name in names:
        results.update(METRICS[name]().compute(samples))
    return results


__all__ = [
    "METRICS",
    "MODULE",
    "CalibrationError",
    "CorpusBLEU",
    "CorpusCIDEr",
    "CorpusChrF",
    "CorpusGLEU",
    "CorpusROUGE",
    "CorpusROUGE1",
    "CorpusROUGE2",
    "CorpusROUGEL",
    "CorpusROUGELsum",
    "CorpusSelfBLEU",
    "CorpusTER",
    "Distinct",
    "Distinct1",
    "Distinct2",
    "HarmfulRefusal",
    "HarmlessRefusal",
    "MacroF1",
    "MeanBERTScore",
    "MeanEmbedding",
    "MeanAnswer",
    "MeanConcepts",
    "MeanCoverage",
    "MeanEvents",
    "MeanExactMatch",
    "MeanFaithfulness",
    "MeanJSON",
    "MeanLength",
    "MeanMETEOR",
    "MeanMeter",
    "MeanMetric",
    "MeanNoRepeats",
    "MeanNovelNgrams",
    "MeanPARENT",
    "MeanPattern",
    "MeanRefusal",
    "MeanRepetition",
    "MeanRequirements",
    "MeanRhyme",
    "MeanSentiment",
    "MeanTokenF1",
    "MeanTokenPrecision",
    "MeanTokenRecall",
    "Metric",
    "SummedMetric",
    "check_names",
    "compute_metrics",
    "installed",
]
