"""Metrics as modules of the evaluate library, without a network."""

import pickle
import socket

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.metrics import METRICS, MODULE

PREDICTIONS = ["the cat sat on the mat", "a good dog", ""]
REFERENCES = [["the cat sat on a mat", "cats sit"], ["the good dog"], ["a bird"]]


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("name", [name for name in METRICS if name not in ("length", "coverage", "concepts")])
def test_modules_equal_the_metric(name, in_memory, tmp_path):
    metric = METRICS[name]()
    module = metric.as_evaluate(keep_in_memory=in_memory, cache_dir=str(tmp_path))
    samples = [Sample("", text, tuple(references)) for text, references in zip(PREDICTIONS, REFERENCES, strict=True)]
    expected = metric.compute(samples)
    assert module.name == name
    assert metric.signature in module.info.description
    assert module.compute(predictions=PREDICTIONS, references=REFERENCES) == expected
    for text, references in zip(PREDICTIONS, REFERENCES, strict=True):
        module.add(prediction=text, reference=references)
    assert module.compute() == expected
    assert pickle.loads(pickle.dumps(module)).compute(predictions=PREDICTIONS, references=REFERENCES) == expected


def test_references_may_be_plain_strings(tmp_path):
    module = METRICS["rouge1"]().as_evaluate(cache_dir=str(tmp_path))
    assert module.compute(predictions=["a cat"], references=["the cat"]) == {"rouge1": 0.5}


def test_length_counts_words_and_coverage_takes_keywords(tmp_path):
    length = METRICS["length"]().as_evaluate(cache_dir=str(tmp_path))
    assert length.compute(predictions=["a b c", "d"]) == {"length_words": 2.0}
    coverage = METRICS["coverage"]().as_evaluate(cache_dir=str(tmp_path))
    assert coverage.compute(predictions=["a cat", "x"], references=[["cat", "dog"], []]) == {"coverage": 0.5}


def test_combine(tmp_path):
    import evaluate

    names = ["bleu", "rouge1", "rougeL", "chrf", "sentiment", "distinct1", "exact_match"]
    combined = evaluate.combine([METRICS[name]().as_evaluate(cache_dir=str(tmp_path)) for name in names])
    result = combined.compute(predictions=PREDICTIONS, references=REFERENCES)
    assert list(result) == names
    assert result["rouge1"] == pytest.approx((10 / 12 + 4 / 6 + 0) / 3)


def test_metrics_load_by_path(tmp_path, monkeypatch):
    import evaluate

    options = {"cache_dir": str(tmp_path), "keep_in_memory": True}
    loaded = evaluate.load(MODULE, "rougeL", **options)
    inputs = {"predictions": PREDICTIONS, "references": REFERENCES}
    assert loaded.compute(**inputs) == METRICS["rougeL"]().as_evaluate(cache_dir=str(tmp_path)).compute(**inputs)
    assert "|tok:char|" in evaluate.load(MODULE, "bleu", tokenize="char", **options).info.description
    with pytest.raises(ConfigError, match="Did you mean 'bleu'"):
        evaluate.load(MODULE, "blue", **options)
    with pytest.raises(ConfigError, match="Name a metric"):
        evaluate.load(MODULE, **options)
