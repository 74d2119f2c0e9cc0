"""Modules of the evaluate library as rewards."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import datasets
import evaluate
import numpy as np
import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, RewardError
from textgym.metrics import METRICS
from textgym.rewards import ROUGE, EvaluateReward, ExactMatch, KeywordCoverage, reward
from textgym.scoring import score_samples

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
    with pytest.raises(RewardError, match="has label, overlap: name one"):
        EvaluateReward(overlap)([Sample("", "a", ("a",))])
    with pytest.raises(RewardError, match="has no references"):
        score_samples(EvaluateReward(overlap, "overlap"), [Sample("", "a")])


class Module(evaluate.Metric):
    """A module of one's own: what it takes, and what it computes from that."""

    def __init__(self, takes, computes, **kwargs):
        self.takes, self.computes, self.calls = takes, computes, 0
        super().__init__(keep_in_memory=True, **kwargs)

    def _info(self):
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features(self.takes))

    def _compute(self, **inputs):
        self.calls += 1
        return self.computes(**inputs)


BOTH = {"predictions": TEXT, "references": TEXT}
SAMPLES = [Sample(f"p{i}", "ab"[: i % 3], ("a", "b b"), metadata={"label": i % 2}) for i in range(7)]


def errors(predictions, references):
    """As wer and cer: one number, without a dict around it."""
    return sum(a != b for a, b in zip(predictions, references, strict=True)) / len(references)


def lengths(predictions, references):
    """As bertscore: one number a text, here how much shorter than the reference."""
    return {"f1": np.array([len(a) - len(b) for a, b in zip(predictions, references, strict=True)]), "hash": "x"}


def test_a_module_that_returns_a_bare_number(tmp_path):
    module = Module(BOTH, errors, cache_dir=str(tmp_path))
    made = EvaluateReward(module, scale=-1, name="wer")
    assert made(SAMPLES[:3]) == [-1.0, 0.0, -1.0]
    assert repr(made) == "EvaluateReward(wer, scale=-1)"
    as_array = Module(BOTH, lambda **inputs: np.array([errors(**inputs)]), cache_dir=str(tmp_path))
    assert EvaluateReward(as_array, "wer", scale=-1)(SAMPLES[:3]) == [-1.0, 0.0, -1.0]


def test_a_module_that_gives_one_number_a_text_computes_a_batch_at_once(tmp_path):
    module = Module(BOTH, lengths, cache_dir=str(tmp_path))
    made = EvaluateReward(module, "f1")
    expected = [max(len(s.completion) - len(text) for text in s.references) for s in SAMPLES]
    assert made(SAMPLES) == expected
    assert module.calls == 2  # the first text shows what the module returns
    assert made(SAMPLES[::-1]) == expected[::-1]
    assert module.calls == 3
    assert made([]) == []


@pytest.mark.parametrize(
    ("takes", "computes", "inputs", "expected"),
    [
        (
            {"data": TEXT},
            lambda data: {"n": len(data[0])},
            lambda s: {"data": s.prompt + s.completion},
            [2, 3, 4, 2, 3, 4, 2],
        ),
        (
            {"predictions": datasets.Value("int32"), "references": datasets.Value("int32")},
            lambda predictions, references: {"n": float(predictions == references)},
            lambda s: {"predictions": len(s.completion), "references": s.metadata["label"]},
            [1, 1, 0, 0, 0, 0, 1],
        ),
        (
            {"sources": TEXT, **BOTH},
            lambda sources, predictions, references: {"n": [len(a) + len(b) for a, b in zip(sources, references)]},  # noqa: B905
            lambda s: {"sources": s.prompt, "predictions": s.completion, "references": s.references[1]},
            [5] * 7,
        ),
        (
            {"predictions": {"id": TEXT, "text": TEXT}},
            lambda predictions: {"n": len(predictions[0]["id"])},
            lambda s: {"predictions": {"id": str(s.prompt_id), "text": s.completion}},
            [2] * 7,
        ),
    ],
    ids=["measurement", "labels", "sources", "dicts"],
)  # fmt: skip
def test_inputs_say_what_a_module_takes(takes, computes, inputs, expected, tmp_path):
    module = Module(takes, computes, cache_dir=str(tmp_path))
    assert EvaluateReward(module, "n", inputs=inputs)(SAMPLES) == expected
    if set(takes) - {"predictions", "references"}:
        with pytest.raises(ConfigError, match=r"takes .*Say what each of them is: .*inputs=lambda sample"):
            EvaluateReward(module, "n")


def test_what_inputs_or_a_module_raise_says_whose_it_is(tmp_path):
    module = Module(BOTH, errors, cache_dir=str(tmp_path))
    with pytest.raises(KeyError) as caught:
        EvaluateReward(module, name="wer", inputs=lambda s: {"predictions": s.metadata["text"]})(SAMPLES)
    assert caught.value.__notes__[0].startswith("Raised by the reward 'wer', scoring the sample of prompt_id -1")
    numbers = Module({"predictions": datasets.Value("int32")}, lambda predictions: 1, cache_dir=str(tmp_path))
    with pytest.raises(RewardError, match="Say what it takes with inputs=lambda sample"):
        EvaluateReward(numbers)(SAMPLES)


@pytest.mark.parametrize("in_memory", [True, False])
def test_threads_share_a_module(in_memory, tmp_path):
    module = METRICS["rouge1"]().as_evaluate(cache_dir=str(tmp_path), keep_in_memory=in_memory)
    one, other = EvaluateReward(module, "rouge1"), EvaluateReward(module, "rouge1")
    samples = [Sample("", f"a cat {i}", ("a cat",)) for i in range(6)]
    expected = one(samples)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: (one, other)[i % 2](samples), range(6)))
    assert results == [expected] * 6
    assert pickle.loads(pickle.dumps(one))(samples) == expected


@reward
def brief(sample):
    return None if not sample.completion else 1 / len(sample.completion)


def test_a_reward_is_a_module(tmp_path):
    both = 0.5 * ExactMatch() + 0.5 * KeywordCoverage()
    module = both.as_evaluate("quality", cache_dir=str(tmp_path))
    inputs = {"predictions": ["a cat", "dogs"], "references": [["a cat", "cats"], ["a dog"]]}
    words = [{"keywords": ["cat"]}, {"keywords": ["dog"]}]
    expected = {"quality": 0.5, "values": [1.0, 0.0]}
    assert module.compute(**inputs, metadata=words, prompts=["", ""]) == expected
    assert pickle.loads(pickle.dumps(module)).compute(**inputs, metadata=words) == expected
    alone = brief.as_evaluate(cache_dir=str(tmp_path))
    assert alone.compute(predictions=["ab", "", "a"]) == {"brief": 0.75, "values": [0.5, None, 1.0]}
    alone.add(prediction="abcd")
    assert alone.compute() == {"brief": 0.25, "values": [0.25]}
    assert alone.compute(predictions=[""], references=["a"]) == {"values": [None]}
    again = EvaluateReward(both.as_evaluate(cache_dir=str(tmp_path)), "values", metadata=words[:1])
    assert again([Sample("", "a cat", ("a cat",))]) == [1.0]
    with pytest.raises(RewardError, match="There are 1 metadata for 2 predictions"):
        module.compute(**inputs, metadata=words[:1])
