"""Arithmetic of rewards: values by hand, abstention, components, wrong values."""

import copy
import pickle

import numpy as np
import pytest

from textgym.core import Sample, Score
from textgym.errors import ConfigError, RewardError
from textgym.rewards import (
    BLEU,
    ROUGE,
    BatchReward,
    CallableReward,
    ChrF,
    ExactMatch,
    KeywordCoverage,
    Product,
    WeightedSum,
    as_reward,
)
from textgym.scoring import score_samples


class Constant(BatchReward):
    """Gives ``value`` to every sample and counts its calls."""

    def __init__(self, value, name="constant"):
        self.value, self.name, self.calls = value, name, 0

    def __call__(self, samples):
        self.calls += 1
        return [self.value for _ in samples]


A, B, C = Constant(0.5, "a"), Constant(0.25, "b"), Constant(None, "c")
ONE = [Sample("p", "text", ("text",))]


def value(reward):
    (score,) = score_samples(reward, ONE)
    return score.value


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (A + B, 0.75),
        (A - B, 0.25),
        (0.7 * A + 0.3 * B, 0.425),
        (A * 0.7 + B * 0.3, 0.425),
        (A + 1, 1.5),
        (1 + A, 1.5),
        (1 - A, 0.5),
        (A - 1, -0.5),
        (-A, -0.5),
        (A / 4, 0.125),
        (A * B, 0.125),
        (A * A, 0.25),
        (2 * A * B, 0.25),
        (A * (2 * B), 0.25),
        ((A + B) * (A - B), 0.1875),
        (2 * (A + 0.5 * B + 1) - B, 3.0),
        ((A + B) * 2 * A, 0.75),
        (sum([A, B, A]), 1.25),
        (np.float64(0.5) * A, 0.25),
        (A * np.float32(0.5), 0.25),
        (0 * A + B, 0.25),
        (A + (lambda samples: [1.0 for _ in samples]), 1.5),
        ((lambda samples: [1.0 for _ in samples]) - A, 0.5),
        ((lambda samples: [0.5 for _ in samples]) * A, 0.25),
    ],
)
def test_values_by_hand(reward, expected):
    assert isinstance(reward, WeightedSum | Product)
    assert value(reward) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (A + C, 0.5),  # what abstains is left out, the others keep their weights
        (0.7 * A + 0.3 * C, 0.35),
        ((0.7 * A + 0.3 * C).renormalized(), 0.5),
        ((0.5 * A + 0.25 * B + 0.25 * C).renormalized(), (0.5 * 0.5 + 0.25 * 0.25) / 0.75),
        ((A + C).renormalized() + B, 1.25),
        ((-0.5 * A - 0.5 * C).renormalized(), -0.5),
        ((0.7 * A + 0.3 * B).renormalized(), 0.425),
        (C + C, None),
        (0.3 * C + 1, None),
        (1 - C, None),
        (0 * A + C, None),  # a weight of 0 only reports
        (0 * A + 0 * C, 0.0),
        (A * C, None),  # a gate of which nothing is known stays closed
        (C * C, None),
        ((A + C) * B, 0.125),
        ((C - C) * B, None),
        (A - C, None),  # as does a penalty beside bonuses
        (A + (1 - C), None),
        (A - B + C, 0.25),
        ((A - C).requiring(), 0.5),
        ((A + C).requiring("c"), None),
        ((A + C).requiring("a"), 0.5),
        (B + 2 * (A + C).requiring("a"), 1.25),
        (B + 2 * (A + C).requiring("c"), 0.25),
        ((0.7 * A + 0.3 * C).renormalized().requiring("c"), None),
        ((0.7 * A + 0.3 * C).requiring("a").renormalized(), 0.5),
    ],
)
def test_abstention(reward, expected):
    assert value(reward) == (None if expected is None else pytest.approx(expected))


def test_a_real_part_abstains_for_some_samples():
    samples = [Sample("", "a cat", ("a cat",), metadata={"keywords": ["dog"]}), Sample("", "a cat", ("a cat",))]
    reward = 0.5 * ExactMatch() + 0.5 * KeywordCoverage()
    assert reward(samples) == [
        Score(0.5, {"exact_match": 1.0, "coverage": 0.0}),
        Score(0.5, {"exact_match": 1.0}),
    ]
    assert [score.value for score in reward.renormalized()(samples)] == [0.5, 1.0]


def test_components_are_flat_unweighted_and_unique():
    reward = 0.7 * BLEU() + 0.3 * (ROUGE("L") * BLEU(max_order=1) + 2 * BLEU(max_order=2)) - 1
    (score,) = score_samples(reward, [Sample("", "the dog", ("the cat",))])
    assert list(score.components) == ["bleu", "rougeL", "bleu_2", "bleu_3"]
    parts = list(score.components.values())
    assert parts[1:3] == pytest.approx([0.5, 0.5])
    assert score.value == pytest.approx(0.7 * parts[0] + 0.3 * (parts[1] * parts[2] + 2 * parts[3]) - 1)


def test_components_of_parts_come_along():
    judge = Constant(Score(0.5, {"judge_score": 3.0, "fluent": 1.0}), "judge")
    other = Constant(Score(None, {"judge_failed": 1.0}), "judge")
    (score,) = score_samples(judge + other, ONE)
    assert score.components == {"judge": 0.5, "judge_score": 3.0, "judge_fluent": 1.0, "judge_2_failed": 1.0}


def test_one_object_is_called_once_per_batch():
    costly = Constant(0.5, "judge")
    (score,) = score_samples(costly * costly + 0.1 * costly, ONE)
    assert costly.calls == 1
    assert score.value == pytest.approx(0.3)
    assert score.components == {"judge": 0.5}


def test_names_in_conflict_stay_apart():
    (score,) = score_samples(Constant(1, "x_2") + Constant(2, "x") + Constant(3, "x"), ONE)
    assert score.components == {"x_2": 1, "x": 2, "x_3": 3}


@pytest.mark.parametrize(
    ("reward", "text"),
    [
        (0.7 * BLEU() + 0.3 * ROUGE("L"), "0.7 * BLEU() + 0.3 * ROUGE('L')"),
        (BLEU(max_order=2) - ChrF() / 4, "BLEU(max_order=2) - 0.25 * ChrF()"),
        ((BLEU() + 1) * ROUGE("1", use_stemmer=True), "(BLEU() + 1) * ROUGE('1', use_stemmer=True)"),
        (0.5 * BLEU() * ChrF() - 2, "0.5 * BLEU() * ChrF() - 2"),
        (2 * (BLEU() + ChrF()), "2 * BLEU() + 2 * ChrF()"),
        ((BLEU() + ChrF()).renormalized(), "(BLEU() + ChrF()).renormalized()"),
        ((BLEU() + ChrF()).requiring("chrf"), "(BLEU() + ChrF()).requiring('chrf')"),
        ((BLEU() - ChrF()).requiring(), "(BLEU() - ChrF()).requiring()"),
    ],
)
def test_repr_is_the_formula_and_pickles_agree(reward, text):
    assert repr(reward) == text
    samples = [Sample("", "the cat sat", ("the cat sat down", "a cat")), Sample("", "", ("x",))]
    for again in (pickle.loads(pickle.dumps(reward)), copy.deepcopy(reward)):
        assert repr(again) == text
        assert again(samples) == reward(samples)


def test_names_are_formulas_in_names():
    assert (0.7 * BLEU() + 0.3 * ROUGE("L") * ChrF() - 1).name == "0.7 * bleu + 0.3 * rougeL * chrf - 1"


def test_as_reward():
    def characters(samples):
        return [len(sample.completion) for sample in samples]

    wrapped = as_reward(characters)
    assert isinstance(wrapped, CallableReward)
    assert wrapped.name == "characters"
    assert value(0.5 * wrapped) == 2.0
    assert wrapped.score(ONE[0]).value == 4
    bleu = BLEU()
    assert as_reward(bleu) is bleu
    (score,) = score_samples(as_reward(bleu, name="first") + bleu, ONE)
    assert score.components == {"first": 1.0, "bleu": 1.0}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda samples: [1.0] * 5, "'broken' returned 5 values for 1 samples"),
        (lambda samples: 1.0, "'broken' returned float"),
        (lambda samples: [float("nan")], "'broken' returned nan"),
        (lambda samples: ["high"], "'broken' returned 'high'"),
    ],
)
def test_wrong_values_of_a_part_name_the_part(bad, message):
    with pytest.raises(RewardError, match=message):
        score_samples(0.5 * BLEU() + as_reward(bad, name="broken"), ONE)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BLEU() + ROUGE, ConfigError, r"ROUGE is a class, expected an object of it: ROUGE\(\.\.\.\)"),
        (lambda: float("nan") * BLEU(), ConfigError, "weight=nan"),
        (lambda: (BLEU() + ChrF()).requiring("chr"), ConfigError, "no term 'chr'. Did you mean 'chrf'"),
        (lambda: WeightedSum([(1.0, BLEU())], required=[1]), ConfigError, "required has 1, expected .* 0 to 0"),
        (lambda: BLEU() + float("inf"), ConfigError, "constant=inf"),
        (lambda: BLEU() + "rouge", TypeError, "unsupported operand"),
        (lambda: [1] - BLEU(), TypeError, "unsupported operand"),
        (lambda: np.ones(2) * BLEU(), TypeError, "unsupported operand"),
        (lambda: BLEU() / ROUGE(), TypeError, "unsupported operand"),
        (lambda: BLEU() / 0, ZeroDivisionError, r"BLEU\(\)"),
        (lambda: WeightedSum([]), ConfigError, "at least one reward"),
        (lambda: Product([]), ConfigError, "at least one reward"),
        (lambda: (BLEU() - ROUGE()).renormalized(), ConfigError, "one sign"),
        (lambda: as_reward(3), ConfigError, "3 is no reward"),
        (lambda: (A + B)(ONE[0]), RewardError, "single Sample"),
        (lambda: BatchReward()(ONE), NotImplementedError, "neither score nor __call__"),
    ],
)
def test_errors_teach(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_empty_batch():
    assert (A + B)([]) == []
    assert score_samples(A * B, []) == []
