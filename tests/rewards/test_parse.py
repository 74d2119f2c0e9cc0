"""Rewards written as text."""

import pickle
from dataclasses import replace

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.rewards import parse_reward
from textgym.rewards.registry import formula_names
from textgym.scoring import score_samples


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bleu", "BLEU()"),
        (" BLEU ", "BLEU()"),
        ("rougel", "ROUGE('L')"),
        ("0.7*bleu+0.3*rougeL", "0.7 * BLEU() + 0.3 * ROUGE('L')"),
        ("bleu*2 + .5", "2 * BLEU() + 0.5"),
        ("1e-2 * chrf*coverage", "0.01 * ChrF() * KeywordCoverage()"),
        ("0.5*0.5*rouge1 + 2*3", "0.25 * ROUGE('1') + 6"),
        ("-bleu", "-BLEU()"),
        ("bleu - 0.5*length - 1", "BLEU() - 0.5 * Length() - 1"),
        ("1 - bleu/2", "-0.5 * BLEU() + 1"),
        ("(bleu + chrf)*coverage", "(BLEU() + ChrF()) * KeywordCoverage()"),
        ("2*(bleu - (chrf - 1))", "2 * BLEU() - 2 * ChrF() + 2"),
        ("min(bleu, chrf + 1, 0.5, .25)", "Min(BLEU(), ChrF() + 1, 0.25)"),
        ("MAX(bleu,chrf)*2", "2 * Max(BLEU(), ChrF())"),
        ("clip(bleu - chrf, -0.5, 1/2)", "Clip(BLEU() - ChrF(), -0.5, 0.5)"),
        ("sentiment * gate(min(bleu, chrf), .3)", "Sentiment() * Gate(Min(BLEU(), ChrF()), 0.3)"),
        ("--bleu*-3", "-3 * BLEU()"),
        ("sentiment+length+exact_match", "Sentiment() + Length() + ExactMatch()"),
        ("bleu()", "BLEU()"),
        ("length(maximum=20)", "Length(maximum=20)"),
        ("LENGTH( 20 , falloff = 2.5, unit='words',)", "Length(target=20, unit='words', falloff=2.5)"),
        ('rouge2(use_stemmer=False, tokenizer="unicode")', "ROUGE('2', tokenizer='unicode')"),
        ("2*coverage(key='it is, (not) = so')/4", "0.5 * KeywordCoverage(key='it is, (not) = so')"),
        (
            "fluency('textgym/tiny', none, low=-2*3, prompt=false)",
            "Fluency(model='textgym/tiny', low=-6, prompt=False)",
        ),
        ("classifier('org/model', 'POSITIVE')", "ClassifierReward('org/model', 'POSITIVE')"),
        ("clip(bleu, low=-0.5, high=1/2)", "Clip(BLEU(), -0.5, 0.5)"),
    ],
)
def test_formulas(text, expected):
    assert repr(parse_reward(text)) == expected


# Names of rewards that want completions or metadata of another kind.
OTHERS = (
    *("parent", "brier", "answer_format", "json", "pattern", "rhyme", "program_tests"),
    *("events", "requirements", "refusal", "verse_phrases"),
)


@pytest.mark.parametrize("name", formula_names())
def test_every_name_is_a_reward(name):
    words = " lamp river old"  # which a model can only find probable after this prompt
    sample = Sample(
        f"Words:{words}\nCopy:", words, (words.strip(),), metadata={"keywords": ["lamp"], "tests": (((1,), (1,)),)}
    )
    other = replace(sample, completion=" none of these")  # for those that compare the completions of a prompt
    score, _ = score_samples(parse_reward(name), [sample, other])
    if name in OTHERS:
        assert score.value is None or 0 <= score.value < 0.5
    else:
        assert 0.5 <= score.value <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a number or a name is expected, at character 1"),
        ("bleu +", "it ends where a number or a name is expected, at character 7"),
        ("* bleu", r"'\*' is where a number or a name is expected, at character 1"),
        ("bleu rouge1", r"'rouge1' is where '\+', '-', '\*' or '/' is expected, at character 6"),
        ("2 bleu", "'bleu' is where"),
        ("bleu -", "it ends where a number or a name is expected, at character 7"),
        ("bleu(2", r"it ends where ',' or '\)' is expected, at character 7"),
        ("bleu(max_ordr=2)", r"'bleu' can't be made with max_ordr=2: .* Did you mean 'max_order'\?"),
        ("0.5 * bleu(1, 2, 3, 4, 5)", r"can't be made with 1, 2, 3, 4, 5: too many .* The formula is '0.5 \* bleu"),
        ("rouge1(variant='2')", "'rouge1' can't be made with variant='2'"),
        ("length(-3)", "target=-3: expected a length above 0"),
        ("length('three')", "'length' can't be made with 'three'"),
        ("length(target=2, 3)", "'3' is where name=value is expected, at character 18"),
        ("length(target=2, target=3)", "target is given twice, at character 18"),
        ("length(target=)", r"'\)' is where a number or a name is expected"),
        ("length('words)", r"\"'\" is unknown, at character 8"),
        ("'bleu'", "\"'bleu'\" is where a number or a name is expected, at character 1"),
        ("bleu = 2", "'=' is where"),
        ("min(bleu, by=2)", "min takes rewards, and numbers"),
        ("classifier", r"needs model\. In a formula: classifier\(model=\.\.\.\)"),
        ("(bleu", r"it ends where '\)' is expected, at character 6"),
        ("bleu)", r"'\)' is where"),
        ("()", r"'\)' is where a number or a name is expected, at character 2"),
        ("bleu ^ 2", r"'\^' is unknown, at character 6"),
        ("min()", "min takes rewards, and numbers, at character 1"),
        ("min(1, 2)", "min takes rewards, and numbers, at character 1"),
        ("2*clip(bleu, 1, 0)", "clip takes a reward and two numbers, the lower one first, at character 3"),
        ("gate(bleu)", "gate takes a reward and a number, at character 1"),
        ("gate(0.5, bleu)", "gate takes a reward and a number, at character 1"),
        ("min(bleu; chrf)", "';' is unknown"),
        ("min(bleu chrf)", r"'chrf' is where ',' or '\)' is expected"),
        ("min", "No reward is called 'min'"),
        ("1/bleu", "only a number other than 0 can be divided by, at character 2"),
        ("bleu/0", "only a number other than 0 can be divided by, at character 5"),
        ("(" * 10_000 + "bleu", "more than 50 parentheses or signs are within each other, at character 51"),
        ("__import__('os')", "No reward is called '__import__'"),
        ("blue", "Did you mean 'bleu'"),
        ("2*blue", r"Did you mean 'bleu'\?.* The formula is '2\*blue'"),
        ("judge", r"needs criteria, backend\. Make it in Python, LLMJudge\(criteria, backend\)"),
        ("0.5 * 2", "is the number 1.0. Name a reward: bleu,"),
    ],
)
def test_errors_say_where(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_reward(text)


def test_what_compares_rewards_abstains_with_them_and_scores_each_part_once():
    sample = Sample("", "a cat", ("a cat",), metadata={"keywords": ["cat", "dog"]})
    (score,) = score_samples(
        parse_reward("max(min(exact_match, coverage), 0.25) + 2*clip(exact_match, 0, 0.3)"), [sample]
    )
    assert score.value == pytest.approx(0.5 + 2 * 0.3)
    unknown = Sample("", "a cat", ("a cat",))
    for formula in ("min(coverage, 0.5)", "max(exact_match, coverage)", "clip(coverage, 0, 1)", "gate(coverage, 0.1)"):
        assert score_samples(parse_reward(formula), [unknown])[0].value is None
    assert score_samples(parse_reward("exact_match * gate(coverage, 0.5)"), [sample, unknown])[0].value == 1
    assert score_samples(parse_reward("exact_match * gate(coverage, 0.6)"), [sample])[0].value == 0
    reward = parse_reward("gate(coverage, 0.5)")
    assert pickle.loads(pickle.dumps(reward))([sample])[0] == score_samples(reward, [sample])[0]
    assert reward.name == "gate(coverage, 0.5)"
