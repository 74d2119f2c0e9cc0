"""Modules of the evaluate library as rewards."""

import copy
import pickle

import datasets
import evaluate
import pytest

from textgym.core import Sample, score_samples
from textgym.errors import ConfigError, RewardError
from textgym.metrics import METRICS
from textgym.rewards import ROUGE, EvaluateReward

TEXT = datasets.Value("string")


class Overlap(evaluate.Metric):
    """Common words in percent, with one reference per prediction, the sort of module that users have."""

    def _info(self):
        return evaluate.MetricInfo(
            description="", citation="", features=datasets.Features({"predictions": TEXT, "references": TEXT})
        )

    def _compute(self, predictions, references, lowercase=False):
        pairs = [(a.lower(), b.lower()) if lowercase else (a, b) for a, b in zip(predictions, references, strict=True)]
        return {"overlap": [100.0 * len(set(a.split()) & set(b.split())) / len(set(b.split())) for a, b in pairs],
                "label": "good"}  # fmt: skip


@pytest.fixture(params=[True, False], ids=["memory", "file"])
def overlap(tmp_path, request):
    return Overlap(cache_dir=str(tmp_path), keep_in_memory=request.param)


def test_one_reference_at_a_time_takes_the_best(overlap):
    sample = Sample("", "a cat sat", ("a dog sat down", "a cat"))
    assert EvaluateReward(overlap, "overlap")([sample]) == [100.0]
    assert EvaluateReward(overlap, "overlap", scale=0.01)([sample, Sample("", "", ("x",))]) == [1.0, 0.0]


def test_arguments_of_compute_are_passed_on(overlap):
    sample = Sample("", "A Cat", ("a cat",))
    reward = EvaluateReward(overlap, "overlap", scale=0.01, lowercase=True, name="words")
    assert reward([sample]) == [1.0]
    assert EvaluateReward(overlap, "overlap")([sample]) == [0.0]
    assert repr(reward) == "EvaluateReward(words, 'overlap', scale=0.01, lowercase=True)"
    assert pickle.loads(pickle.dumps(reward))([sample]) == copy.deepcopy(reward)([sample]) == [1.0]
    assert (0.5 * reward)([sample])[0].components == {"words": 1.0}


@pytest.mark.parametrize("name", ["rouge1", "bleu", "chrf", "exact_match", "sentiment"])
def test_our_own_modules_give_our_own_values(name, tmp_path):
    module = METRICS[name]().as_evaluate(cache_dir=str(tmp_path))
    samples = [Sample("", "a good cat sat here", ("the good cat sat here", "a cat")), Sample("", "", ("a",))]
    reward = EvaluateReward(module, name)
    expected = [METRICS[name]().compute([sample])[name] for sample in samples]
    assert reward(samples) == pytest.approx(expected)
    assert pickle.loads(pickle.dumps(reward))(samples) == pytest.approx(expected)


def test_combined_modules(tmp_path):
    modules = [METRICS[name]().as_evaluate(cache_dir=str(tmp_path)) for name in ("rouge1", "rougeL")]
    sample = Sample("", "cat the", ("the cat",))
    assert EvaluateReward(evaluate.combine(modules), "rougeL")([sample]) == ROUGE("L")([sample]) == [0.5]


def test_errors(overlap):
    with pytest.raises(ConfigError, match="'bleu' is no loaded evaluate module"):
        EvaluateReward("bleu", "bleu")
    with pytest.raises(RewardError, match=r"has no 'overlaps'\. Did you mean 'overlap'"):
        EvaluateReward(overlap, "overlaps")([Sample("", "a", ("a",))])
    with pytest.raises(RewardError, match="has 'good' as 'label', expected a number"):
        EvaluateReward(overlap, "label")([Sample("", "a", ("a",))])
    with pytest.raises(RewardError, match="has no references"):
        score_samples(EvaluateReward(overlap, "overlap"), [Sample("", "a")])
