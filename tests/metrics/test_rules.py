"""JSON and regular expressions: what is accepted, in which time, and values by hand."""

import json
import re
import time

import numpy as np
import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, MetricError, RewardError
from textgym.metrics import MeanJSON, MeanPattern
from textgym.metrics.json_text import TYPES, json_score
from textgym.metrics.pattern import matches
from textgym.rewards import JSON, Pattern, parse_reward

GOOD = [
    "{}",
    "[]",
    "null",
    "0",
    "-0.0e-1",
    '""',
    '" \\u00e9\\n"',
    '{"a":{"b":[1,2,{"c":null}]}}',
    ' \n{"a": true}\t',
    "1e400",
    "9" * 5000,
    '"\\ud800"',
    '"\U0001f600"',
    '{"": 0}',
    "[" * 200 + "]" * 200,
]
BAD = [
    "",
    " ",
    "{",
    "}",
    "[1,]",
    "{'a': 1}",
    '{"a": 1,}',
    '{"a" 1}',
    "{a: 1}",
    "True",
    "NaN",
    "-Infinity",
    "[Infinity]",
    "01",
    "+1",
    ".5",
    "1.",
    "0x1",
    '"a',
    '"\t"',
    "[1] [2]",
    "```json\n{}\n```",
    "{} Done.",
    '{"a": 1, "a": 2}',
    "// x\n{}",
    "[" * 100_000,
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 100_000,
    "\ufeff{}",
    "\x00",
    "９",
    "[1 2]",
    '["\\x41"]',
]


@pytest.mark.parametrize("text", GOOD, ids=lambda text: text[:20])
def test_what_is_json(text):
    assert json_score(text) == 1


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:20]))
def test_what_is_not(text):
    assert json_score(text) == 0
    assert JSON(["a"])([Sample("", text)]) == [0]


def test_random_documents_are_json_until_a_character_is_lost():
    rng = np.random.default_rng(0)

    def document(depth):
        kind = rng.integers(7 if depth else 5)
        if kind == 5:
            return [document(depth - 1) for _ in range(rng.integers(4))]
        if kind == 6:
            return {f"k{i}": document(depth - 1) for i in range(rng.integers(4))}
        return [None, True, int(rng.integers(-99, 99)), float(rng.normal()), 'a"é\\'][kind]

    for _ in range(500):
        value = document(3)
        text = json.dumps(value, ensure_ascii=bool(rng.integers(2)), indent=[None, 2][rng.integers(2)])
        assert json_score(text) == 1
        cut = text[: rng.integers(len(text))]
        try:
            json.loads(cut)
        except ValueError:
            assert json_score(cut) == 0


def test_keys_and_their_types():
    values = {"string": "a", "number": 2.5, "integer": 3, "boolean": True, "array": [], "object": {}, "null": None}
    assert values.keys() == TYPES.keys()
    text = json.dumps(values)
    assert json_score(text, {name: name for name in values}) == 1
    for asked in values:
        fitting = {name for name, value in values.items() if json_score(json.dumps({"k": value}), {"k": asked})}
        assert fitting == ({"number", "integer"} if asked == "number" else {asked})
    assert json_score(text, {"string": None, "number": "integer", "other": None}) == pytest.approx(1 / 3)
    assert json_score("[1]", {"a": None}) == 0


def test_keys_may_come_with_the_prompt():
    sample = Sample("", '{"name": "Ann"}', metadata={"json_keys": {"name": "string", "age": "integer"}})
    assert JSON()([sample]) == [0.5]
    assert JSON(keys=["name"])([sample]) == [1.0]
    assert MeanJSON().compute([sample, Sample("", "no")]) == {"json": 0.25}
    assert parse_reward("json")([sample]) == [0.5]


@pytest.mark.parametrize("keys", ["name", 5, [3], {"name": "str"}])
def test_keys_that_make_no_sense(keys):
    with pytest.raises(ConfigError, match="keys"):
        JSON(keys=keys)
    with pytest.raises(RewardError, match=r"metadata\['json_keys'\] of prompt 4: keys"):
        JSON()([Sample("", "{}", metadata={"json_keys": keys}, prompt_id=4)])


def test_a_very_long_document_is_read_or_refused_quickly():
    started = time.process_time()
    assert json_score(json.dumps(["word"] * 100_000)) == 1
    assert json_score('["' + "a" * 1_000_000 + '"]') == 0
    assert time.process_time() - started < 5


# ---------------------------------------------------------------------------- regular expressions


def test_random_texts_match_as_in_the_standard_library():
    rng = np.random.default_rng(1)
    patterns = ["a+b?", "[ab]{2,4}", "(a|b)*c", "^a", "b$", r"\w+ \w+", "a.c", "(?i)AB", "", r"\d*", "[^a]+", "猫|狗"]
    for _ in range(500):
        text = "".join(rng.choice([*"abc 1猫\n"], size=rng.integers(0, 9)))
        pattern = str(rng.choice(patterns))
        for how in ("fullmatch", "search", "match"):
            expected = getattr(re, how)(pattern, text.strip()) is not None
            assert matches(text, pattern, how=how) is expected, (pattern, text, how)


@pytest.mark.parametrize("pattern", ["(a|aa)+c", "(a+)+c", "(a*)*c", "(.*a){30}c", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_search_without_end_is_given_up(pattern):
    started = time.perf_counter()
    values = Pattern(pattern, seconds=0.02)([Sample("", "a" * 5000)] * 2)
    assert values == [0, 0]
    assert time.perf_counter() - started < 30  # of a loaded machine; without the limit it takes years


def test_a_pattern_comes_from_the_prompt_or_the_reward_abstains():
    samples = [Sample("", " 12 ", metadata={"pattern": "[0-9]+"}), Sample("", "12", prompt_id=4)]
    reward = Pattern()
    with pytest.warns(UserWarning, match=r"prompt 4 has no metadata\['pattern'\]"):
        assert reward(samples) == [1.0, None]
    assert MeanPattern().compute(samples) == {"pattern": 1.0}
    assert MeanPattern().compute(samples[1:]) == {}
    assert Pattern("1", how="match")(samples) == [1.0, 1.0]
    assert Pattern("2", how="search")(samples) == [1.0, 1.0]
    assert repr(Pattern("[0-9]+", how="search")) == "Pattern(pattern='[0-9]+', how='search')"
    assert parse_reward("pattern('[0-9]+')")(samples) == [1.0, 1.0]
    assert "|pattern:'a|b'|how:fullmatch|version:regex-" in MeanPattern("a|b").signature


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pattern("(a"), r"pattern='\(a' is no regular expression: missing \)"),
        (lambda: Pattern(5), "pattern=5 is no regular expression"),
        (lambda: Pattern("a", how="find"), "how='find'"),
        (lambda: Pattern("a", seconds=0), "seconds=0"),
        (lambda: MeanPattern("[a"), "is no regular expression"),
    ],
)
def test_patterns_that_make_no_sense(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_pattern_of_a_prompt_that_makes_no_sense_names_the_prompt():
    for given in ("(a", 5, ["a"]):
        sample = Sample("", "a", metadata={"pattern": given}, prompt_id=4)
        with pytest.raises(RewardError, match=r"metadata\['pattern'\], but prompt 4 has"):
            Pattern()([sample])
        with pytest.raises(MetricError, match="but prompt 4 has"):
            MeanPattern().compute([sample])
