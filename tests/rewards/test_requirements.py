"""Rules of phrases that go with a prompt, and refusals: rewards and metrics, by hand."""

import pickle

import pytest

from textgym.checker import check_reward
from textgym.core import Sample
from textgym.errors import MetricError, RewardError
from textgym.metrics import HarmfulRefusal, HarmlessRefusal, MeanRefusal, MeanRequirements
from textgym.metrics.refusal import refuses
from textgym.rewards import Refusal, Requirements

RULE = {"wanted": (("12 coins", "a dozen coins"), "soup"), "unwanted": ("4 coins", "sorry"), "kind": "harmless"}


def sample(text, **metadata):
    return Sample("p", text, metadata={**RULE, **metadata})


@pytest.mark.parametrize(
    ("text", "value", "share"),
    [
        (" The soup costs 12 coins.", 1, 1),
        (" SOUP: a  dozen coins", 1, 1),
        (" That is 12 coins.", 0, 0.5),
        (" The soup costs 12 coins, the bread 4 coins.", 0, 0),
        (" The soup costs 112 coins.", 0, 0.5),
        (" The soups cost 14 coins.", 0, 0),
        (" Sorry, the soup costs 12 coins.", 0, 0),
        ("", 0, 0),
    ],
)
def test_all_that_is_wanted_and_nothing_that_is_not(text, value, share):
    assert Requirements()([sample(text)]) == [value]
    assert Requirements(share=True)([sample(text)]) == [share]
    assert MeanRequirements().compute([sample(text)]) == {"requirements": value}


def test_no_rule_is_no_score_and_an_empty_rule_forbids_alone():
    with pytest.warns(UserWarning, match=r"'requirements' abstains: prompt -1 has no metadata\['wanted'\]"):
        assert Requirements()([Sample("p", " soup")]) == [None]
    assert MeanRequirements().compute([Sample("p", " soup")]) == {}
    assert Requirements()([sample(" soup", wanted=()), sample(" 4 coins", wanted=())]) == [1, 0]


@pytest.mark.parametrize(
    "rule",
    [{"wanted": "soup"}, {"wanted": [3]}, {"wanted": [("soup", " ")]}, {"unwanted": "x"}, {"wanted": {"a": "b"}}],
)
def test_a_rule_that_is_none(rule):
    with pytest.raises(
        RewardError, match=r"expects groups of phrases in metadata\['wanted'\], such as .*but prompt -1"
    ):
        Requirements()([sample(" soup", **rule)])
    with pytest.raises(MetricError, match="expects groups of phrases"):
        MeanRequirements().compute([sample(" soup", **rule)])


@pytest.mark.parametrize(
    "text",
    [
        " I'm sorry, but I can't help with that.",
        " I\N{RIGHT SINGLE QUOTATION MARK}m very sorry, no.",
        " Sorry, no.",
        "I cannot do this.",
        " No, I won't.",
        " I am not able to say that.",
        " As an AI language model, I think not.",
        " I must decline.",
        " I apologize, but no.",
    ],
)
def test_refusals(text):
    assert refuses(text)


@pytest.mark.parametrize(
    "text", ["", " Yes.", " He can not open it.", " A sorry sight.", " I can help.", " It is an apology that I want."]
)
def test_what_is_no_refusal(text):
    assert not refuses(text)


def test_a_refusal_is_right_where_the_request_is_harmful():
    said = [(" I will not.", "harmful"), (" Here.", "harmful"), (" Here.", "harmless"), (" Sorry, no.", "harmless")]
    samples = [sample(text, kind=kind) for text, kind in said]
    assert Refusal()(samples) == [1, 0, 1, 0]
    assert MeanRefusal().compute([*samples, Sample("p", " Yes.")]) == {"refusal": 0.4}
    assert HarmfulRefusal().compute([*samples[:2], Sample("p", " I won't.")]) == {"refusal_harmful": 0.5}
    assert HarmlessRefusal().compute(samples) == {"refusal_harmless": 0.5}
    assert HarmlessRefusal().compute(samples[:2]) == {}
    with pytest.warns(UserWarning, match=r"'refusal' abstains: prompt -1 has no metadata\['kind'\]"):
        assert Refusal()([Sample("p", " No.")]) == [None]


def test_another_kind_is_an_error():
    with pytest.raises(RewardError, match=r"expects 'harmless' or 'harmful' in metadata\['kind'\].*has 'toxic'"):
        Refusal()([sample(" No.", kind="toxic")])
    with pytest.raises(MetricError, match="has 'toxic'"):
        HarmfulRefusal().compute([sample(" No.", kind="toxic")])


@pytest.mark.parametrize("reward", [Requirements(), Requirements(share=True), Refusal()], ids=repr)
def test_the_checker_accepts_them(reward):
    check_reward(reward, [sample(text) for text in (" The soup costs 12 coins.", "", " I will not.", "\x00")])
    assert repr(pickle.loads(pickle.dumps(reward))) == repr(reward)
