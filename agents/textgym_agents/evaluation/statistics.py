"""The statistics of each prompt from which a reward or a corpus metric follows for any resample of the prompts.

A bootstrap over prompts computes a corpus metric thousands of times. For a mean, one number a prompt is enough. For
BLEU and chrF the n-gram counts of each prompt are: they are summed over the resampled prompts, and the score follows
from the sums, as in sacrebleu's own significance tests.

| Symbol | Shape | Meaning |
|---|---|---|
| `rows` | (prompts, numbers) | the statistics |
| `index` | (..., picks) | prompts of a resample |
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgym.core import Sample
from textgym.metrics import METRICS
from textgym.metrics.base import MeanMetric, SummedMetric
from textgym.metrics.bleu import reference_streams, sacrebleu_bleu
from textgym.metrics.words import bleu_tokenizer

Floats = NDArray[np.float64]
CHUNK = 250  # resamples at once: bounds the memory of (resamples, prompts, numbers)


@dataclass(frozen=True)
class PromptStatistics:
    """Statistics of each prompt.

    Attributes:
        kind: "mean", or the name of the metric that follows from the sums.
        rows: (prompts, numbers): one value each for "mean" (NaN: the prompt has nothing to measure), else counts.

    >>> statistics = PromptStatistics("mean", np.array([[0.0], [1.0], [0.5]]))
    >>> statistics.values(np.array([[0, 1, 2], [1, 1, 1]])).tolist()
    [0.5, 1.0]
    """

    kind: str
    rows: Floats

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def value(self) -> float:
        """Over all prompts."""
        return float(self.values(np.arange(len(self))))

    def values(self, index: NDArray[np.integer]) -> Floats:
        """The measure over the prompts ``index`` (..., picks); returns (...)."""
        picked = self.rows[index]  # (..., picks, numbers)
        if self.kind == "mean":
            measured = ~np.isnan(picked[..., 0])
            with np.errstate(invalid="ignore"):
                return np.asarray(np.nansum(picked[..., 0], axis=-1) / measured.sum(-1))
        sums = picked.sum(axis=-2)
        combine = _combine(self.kind)
        flat = [combine(row.tolist()) for row in sums.reshape(-1, sums.shape[-1])]
        return np.array(flat).reshape(sums.shape[:-1])

    def resampled(self, index: NDArray[np.integer]) -> Floats:
        """The same for many resamples (resamples, picks), some at a time; returns (resamples,)."""
        return np.concatenate([self.values(index[start : start + CHUNK]) for start in range(0, len(index), CHUNK)])

    def to_json(self) -> dict[str, Any]:
        """For a results file; values rounded to 6 places, counts whole."""
        if self.kind == "mean":
            return {"kind": "mean", "rows": [None if np.isnan(x) else round(float(x), 6) for x in self.rows[:, 0]]}
        rows = [[int(x) if x.is_integer() else x for x in row] for row in self.rows.tolist()]
        return {"kind": self.kind, "rows": rows}

    @classmethod
    def from_json(cls, stored: dict[str, Any] | list[float]) -> "PromptStatistics":
        """What :meth:`to_json` gave, or a list of one number per prompt."""
        if isinstance(stored, list):
            return of_rewards(stored)
        rows = np.array(stored["rows"], dtype=np.float64)
        return cls(stored["kind"], rows[:, None] if stored["kind"] == "mean" else rows)


def of_rewards(rewards: Sequence[float] | Floats) -> PromptStatistics:
    """Statistics of one reward per prompt."""
    return PromptStatistics("mean", np.asarray(rewards, dtype=np.float64)[:, None])


def of_metric(name: str, samples: Sequence[Sample]) -> PromptStatistics | None:
    """Statistics of a metric of ``METRICS``; None when it is neither a mean nor a function of summed counts.

    What comes back has been checked: over all prompts it gives what the metric itself gives.

    >>> sample = Sample("", "the cat sat on the mat", ("a cat sat on the mat",))
    >>> round(of_metric("bleu", [sample, sample]).value, 4)
    0.7598
    """
    expected = METRICS[name]().compute(samples).get(name)
    if expected is None:
        return None
    try:
        summed = name in _COMBINE or issubclass(METRICS[name], SummedMetric)
        statistics = PromptStatistics(name, _counts(name, samples)) if summed else _per_sample(name, samples)
    except AttributeError:  # another sacrebleu, whose inner methods have other names
        return None
    return statistics if abs(statistics.value - expected) < 1e-6 else None


def _per_sample(name: str, samples: Sequence[Sample]) -> PromptStatistics:
    metric = METRICS[name]()
    if isinstance(metric, MeanMetric):
        return of_rewards([np.nan if value is None else value for value in metric.values(samples)])
    return of_rewards([metric.compute([sample]).get(name, np.nan) for sample in samples])


def _counts(name: str, samples: Sequence[Sample]) -> Floats:
    metric = METRICS[name]()
    if isinstance(metric, SummedMetric):
        return np.array(metric.counts(samples), dtype=np.float64)
    references = [tuple(sample.references) for sample in samples]
    if name == "bleu":
        tokenize = bleu_tokenizer(tuple(text for texts in references for text in texts))
        scorer: Any = sacrebleu_bleu(4, tokenize, "exp", False, False)
    else:
        scorer = _chrf()
    completions = [sample.completion for sample in samples]
    counts = scorer._extract_corpus_statistics(completions, reference_streams(references))
    return np.array(counts, dtype=np.float64)


def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def _bleu_score(sums: list[float]) -> float:
    # How completions were tokenized doesn't matter any more once n-grams are counted.
    scorer: Any = sacrebleu_bleu(4, "13a", "exp", False, False)
    return min(max(float(scorer._compute_score_from_stats([int(n) for n in sums]).score) / 100, 0.0), 1.0)


def _chrf_score(sums: list[float]) -> float:
    return min(max(float(_chrf()._compute_score_from_stats([int(n) for n in sums]).score) / 100, 0.0), 1.0)


_COMBINE: dict[str, Callable[[list[float]], float]] = {"bleu": _bleu_score, "chrf": _chrf_score}


def _combine(kind: str) -> Callable[[list[float]], float]:
    """What makes the value of a metric from sums."""
    if kind in _COMBINE:
        return _COMBINE[kind]
    metric = METRICS[kind]()
    assert isinstance(metric, SummedMetric)
    return metric.of_sums


def intervals(
    rewards: Floats, samples: Sequence[Sample], metrics: Iterable[str], *, seed: int = 0, resamples: int = 2000
) -> dict[str, tuple[float, float] | None]:
    """95 % bootstrap intervals over prompts of the reward, the metrics and ``num_tokens``.

    BCa (Efron 1987), or percentiles where BCa is not defined (a constant, or a single prompt). None for a metric that
    can't be resampled: compute it on more prompts instead.

    >>> low, high = intervals(np.array([0.0, 1.0] * 50), [], [])["reward"]
    >>> low < 0.5 < high
    True
    """
    wanted = {"reward": of_rewards(rewards), "num_tokens": of_rewards([len(s.token_ids) for s in samples])}
    bounds: dict[str, tuple[float, float] | None] = {}
    for name in ("reward", *metrics):
        statistics = wanted.get(name) or of_metric(name, samples)
        bounds[name] = None if statistics is None else _interval(statistics, seed, resamples)
    return bounds


def _interval(statistics: PromptStatistics, seed: int, resamples: int) -> tuple[float, float]:
    from scipy.stats import bootstrap

    def bounds(method: str) -> tuple[float, float]:
        interval = bootstrap(
            (np.arange(len(statistics)),),
            lambda index, axis=-1: statistics.values(np.moveaxis(index, axis, -1)),
            n_resamples=resamples,
            batch=100,
            vectorized=True,
            method=method,
            rng=np.random.default_rng(np.random.SeedSequence(seed)),
        ).confidence_interval
        return float(interval.low), float(interval.high)

    if len(statistics) < 2:
        return statistics.value, statistics.value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of a constant, which is dealt with here
        low, high = bounds("BCa")
        return (low, high) if np.isfinite([low, high]).all() else bounds("percentile")
