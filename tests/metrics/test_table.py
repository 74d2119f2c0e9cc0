"""Every metric of the table: result, scale, signature, errors."""

import pickle

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, MetricError, MissingExtraError
from textgym.metrics import (
    METRICS,
    CorpusBLEU,
    CorpusROUGE,
    Distinct,
    MeanCoverage,
    MeanExactMatch,
    MeanLength,
    MeanSentiment,
    Metric,
    compute_metrics,
    installed,
)

SAMPLES = [
    Sample(
        "p",
        " the cat sat",
        ("the cat sat", "a cat sat"),
        (1, 2, 3, 0),
        metadata={
            "keywords": ["cat", "mat"],
            "confidence": 0.5,
            "pattern": "[a-z ]+",
            "events": [("cat", "sit")],
            "wanted": ["cat"],
        },
    ),
    Sample("p", "", ("the dog",), (0,), metadata={"keywords": (), "kind": "harmful"}),
    Sample("p", "a happy dog", ("the dog",), (4, 5), finish_reason="length", metadata={"kind": "harmless"}),
]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_one_number_under_its_name(name):
    metric = METRICS[name]()
    result = metric.compute(SAMPLES)
    assert list(result) == [name] == [metric.name]
    assert type(result[name]) is float
    low, high = metric.bounds
    assert low <= result[name] <= high
    assert metric.signature.startswith(f"{name}|")
    assert "version:" in metric.signature
    assert pickle.loads(pickle.dumps(metric)).compute(SAMPLES) == result
    assert name in repr(metric)


def test_a_metric_of_a_task_whose_extra_is_missing_is_left_out(monkeypatch):
    monkeypatch.setattr("textgym.metrics.base.find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"meteor is left out of the task's metrics.*pip install 'nltk"):
        assert installed(("meteor", "length")) == ["length"]
    with pytest.raises(ConfigError, match="No metric is called 'metoer'"):
        installed(["metoer"])
    with pytest.raises(MissingExtraError):
        compute_metrics(["meteor"], SAMPLES)


ABOUT = {"keywords": ["a"], "confidence": 0.5, "pattern": "a|(b*)*c", "events": ["a b"]}
RULE = {"wanted": ["a"], "unwanted": ["b"]}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_survives_degenerate_texts(name):
    for completion in ("", " ", "\x00\x1f\u2028", "。", "🙂" * 3, "x" * 5000):
        kinds = [{**ABOUT, **RULE, "kind": kind} for kind in ("harmful", "harmless")]
        samples = [Sample("p", completion, ("a b", "猫"), (1,), metadata=metadata) for metadata in kinds]
        metric = METRICS[name]()
        low, high = metric.bounds
        assert low <= metric.compute(samples)[name] <= high


@pytest.mark.parametrize("name", METRICS)
def test_a_completion_that_is_no_text_is_an_error_that_names_the_prompt(name):
    with pytest.raises(MetricError, match=rf"'{name}' scores texts, but the completion of prompt 7 .* is None"):
        METRICS[name]().compute([SAMPLES[0], Sample("p", None, ("a",), prompt_id=7)])


def test_values_by_hand():
    assert compute_metrics(["length", "coverage", "exact_match", "distinct1", "distinct2"], SAMPLES) == {
        "length": pytest.approx(7 / 3),
        "coverage": 0.5,  # one sample has keywords
        "exact_match": pytest.approx(1 / 3),
        "distinct1": 1.0,
        "distinct2": 1.0,
    }
    assert MeanLength("words").compute(SAMPLES) == {"length_words": 2.0}
    assert MeanLength("characters").compute(SAMPLES) == {"length_characters": pytest.approx(22 / 3)}
    assert Distinct(1).compute([Sample("", "a a a"), Sample("", "A b")]) == {"distinct1": pytest.approx(2 / 5)}
    assert Distinct(2).compute([Sample("", "a"), Sample("", "")]) == {"distinct2": 0.0}
    assert MeanExactMatch(None).compute(SAMPLES) == {"exact_match": 0.0}  # the completion begins with a space
    full, alone = MeanSentiment("full"), MeanSentiment()
    sample = Sample("A wonderful day,", " but sad.")
    assert alone.compute([sample])["sentiment"] < 0.5
    assert full.compute([sample])["sentiment"] != alone.compute([sample])["sentiment"]


def test_coverage_without_any_keyword_is_left_out():
    samples = [Sample("p", "text", ("text",))]
    assert MeanCoverage().compute(samples) == {}
    assert compute_metrics(["coverage", "rouge1"], samples) == {"rouge1": 1.0}
    assert MeanCoverage(key="words").compute([Sample("", "one", metadata={"words": "one"})]) == {"coverage": 1.0}


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name]().compares_with == "references"])
def test_missing_references_are_an_error_that_names_the_prompt(name):
    samples = [SAMPLES[0], Sample("Once upon", "x", prompt_id=7)]
    with pytest.raises(MetricError, match=rf"'{name}' compares with references, but prompt 7 \('Once upon'\) has no"):
        METRICS[name]().compute(samples)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: compute_metrics(["blue"], SAMPLES), ConfigError, "Did you mean 'bleu'"),
        (lambda: compute_metrics(["bleu"], []), MetricError, "no samples"),
        (lambda: CorpusBLEU().compute([Sample("", "a", "a")]), ConfigError, "are the string"),
        (lambda: CorpusBLEU().compute([Sample("", "a", (None,))]), MetricError, "None, which is no string"),
        (lambda: MeanLength().compute([Sample("", "a")]), MetricError, "unit='words'"),
        (lambda: MeanCoverage().compute([Sample("", "a", metadata={"keywords": 3})]), MetricError, "int: 3"),
        (lambda: CorpusROUGE("M"), ConfigError, "variant='M'"),
        (lambda: Distinct(0), ConfigError, "order=0"),
    ],
)
def test_errors_teach(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_signatures_tell_settings_apart():
    signatures = {CorpusBLEU().signature, CorpusBLEU(tokenize="zh").signature, CorpusBLEU(lowercase=True).signature}
    assert len(signatures) == 3
    assert "|order:4|case:mixed|eff:no|tok:auto|smooth:exp|version:sacrebleu-" in CorpusBLEU().signature
    assert CorpusROUGE("L").signature != CorpusROUGE("L", use_stemmer=True).signature


def test_the_signature_of_a_value_says_which_tokenizer_its_references_chose():
    english, chinese = Sample("", "a", ("a cat", "cats")), Sample("", "a", ("今天天气很好",))
    for metric, samples, tokenizer, references in (
        (CorpusBLEU(), [english], "13a", 2),
        (CorpusBLEU(), [chinese], "zh", 1),
        (CorpusBLEU(tokenize="char"), [chinese], "char", 1),
        (CorpusROUGE("L"), [english], "rouge", 2),
        (CorpusROUGE("L"), [chinese], "unicode", 1),
        (CorpusROUGE("L"), [english, chinese], "rouge+unicode", "var"),
    ):
        assert f"|tok:{tokenizer}|" in metric.signature_of(samples)
        assert f"|nrefs:{references}|" in metric.signature_of(samples)
        assert "nrefs" not in metric.signature
    assert "tok:auto" in CorpusBLEU().signature


def test_a_user_writes_a_metric():
    class Commas(Metric):
        name = "commas"

        def score(self, samples):
            return sum(sample.completion.count(",") for sample in samples)

    assert Commas().compute([Sample("", "a, b, c")]) == {"commas": 2.0}
    assert Commas().signature.startswith("commas|version:textgym-")
