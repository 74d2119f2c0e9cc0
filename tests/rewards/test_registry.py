"""A reward registered from outside is one by name everywhere."""

import gymnasium
import pytest

import textgym
from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.rewards import BLEU, REWARDS, BatchReward, parse_reward, register_reward
from textgym.rewards.registry import describe, formula_names
from textgym.scoring import score_samples


@pytest.fixture(autouse=True)
def tidy_table():
    before = dict(REWARDS)
    yield
    REWARDS.clear()
    REWARDS.update(before)


class Vowels(BatchReward):
    """The share of vowels."""

    name = "vowels"

    def score(self, sample):
        return sum(letter in "aeiou" for letter in sample.completion) / max(1, len(sample.completion))


def consonants():
    """The share of other characters, as a plain function of a batch."""
    return lambda samples: [1 - Vowels().score(sample) for sample in samples]


def test_formulas_environments_and_lists_include_it():
    textgym.register_reward("vowels", Vowels)
    assert repr(parse_reward("0.5*bleu + 0.5*VOWELS")) == "0.5 * BLEU() + 0.5 * Vowels()"
    assert isinstance(gymnasium.make("textgym/Copy-v0", reward="vowels").unwrapped.reward, Vowels)
    assert "vowels" in formula_names()
    assert describe("vowels") == ("Vowels()", "The share of vowels.")


def test_a_factory_may_make_a_plain_function():
    register_reward("consonants", consonants)
    (score,) = score_samples(parse_reward("2*consonants"), [Sample("", "bead")])
    assert score.value == 1.0


def test_each_use_makes_a_reward_of_its_own():
    register_reward("vowels", Vowels)
    assert parse_reward("vowels") is not parse_reward("vowels")


def test_the_same_again_changes_nothing_and_another_is_an_error():
    register_reward("vowels", Vowels)
    register_reward("vowels", Vowels)
    with pytest.raises(ConfigError, match=r"a reward 'vowels' already, made by Vowels\(\)"):
        register_reward("Vowels", BLEU)
    with pytest.raises(ConfigError, match=r"a reward 'bleu' already, made by BLEU\(\)"):
        register_reward("bleu", Vowels)
    assert REWARDS["bleu"] is BLEU


@pytest.mark.parametrize("name", ["", "2bleu", "my-reward", "a b", "bleu()", "default", "Default", 3, None])
def test_a_name_must_fit_into_formulas(name):
    with pytest.raises(ConfigError, match=r"can't name a reward, expected letters"):
        register_reward(name, Vowels)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("vowels", "expected what makes it: a class, or a function without arguments"),
        (Vowels(), r"already made: register_reward\('mine', lambda: my_reward\)"),
        (lambda samples: [0.0] * len(samples), r"its factory needs samples. Give them: .*partial\(factory, samples="),
    ],
)
def test_a_factory_is_called_without_arguments(factory, message):
    with pytest.raises(ConfigError, match=message):
        register_reward("mine", factory)
    assert "mine" not in REWARDS


def test_a_factory_must_make_a_reward():
    register_reward("mine", lambda: 3.0)
    with pytest.raises(ConfigError, match=r"factory of the reward 'mine' made 3.0, expected a function of samples"):
        gymnasium.make("textgym/Copy-v0", reward="bleu*mine")
