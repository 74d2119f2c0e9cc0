"""Rewards written as text."""

import pytest

from textgym.core import Sample, score_samples
from textgym.errors import ConfigError
from textgym.rewards import parse_reward
from textgym.rewards.registry import formula_names


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
        ("--bleu*-3", "-3 * BLEU()"),
        ("sentiment+length+exact_match", "Sentiment() + Length() + ExactMatch()"),
    ],
)
def test_formulas(text, expected):
    assert repr(parse_reward(text)) == expected


@pytest.mark.parametrize("name", formula_names())
def test_every_name_is_a_reward(name):
    words = " lamp river old"  # which a model can only find probable after this prompt
    sample = Sample(f"Words:{words}\nCopy:", words, (words.strip(),), metadata={"keywords": ["lamp"]})
    (score,) = score_samples(parse_reward(name), [sample])
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
        ("bleu()", r"'\(' is where '\+', '-', '\*' or '/' is expected, at character 5"),
        ("(bleu", r"it ends where '\)' is expected, at character 6"),
        ("bleu)", r"'\)' is where"),
        ("()", r"'\)' is where a number or a name is expected, at character 2"),
        ("bleu ^ 2", r"'\^' is unknown, at character 6"),
        ("1/bleu", "only a number other than 0 can be divided by, at character 2"),
        ("bleu/0", "only a number other than 0 can be divided by, at character 5"),
        ("(" * 10_000 + "bleu", "more than 50 parentheses or signs are within each other, at character 51"),
        ("__import__('os')", "No reward is called '__import__'"),
        ("blue", "Did you mean 'bleu'"),
        ("2*blue", r"Did you mean 'bleu'\?.* The formula is '2\*blue'"),
        ("judge", r"needs criteria, backend. Make it in Python, LLMJudge\(criteria, backend\)"),
        ("0.5 * 2", "is the number 1.0. Name a reward: bleu,"),
    ],
)
def test_errors_say_where(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_reward(text)
