"""``@reward``: a function of one sample as a reward."""

import copy
import pickle
import subprocess
import sys

import cloudpickle
import gymnasium
import pytest

import textgym  # noqa: F401  (registers the ids)
from textgym.core import Sample, Score
from textgym.errors import ConfigError, RewardError
from textgym.rewards import BLEU, BatchReward, FunctionReward, reward
from textgym.scoring import score_samples

SAMPLES = [Sample("", "one two", ("one two",)), Sample("", "")]


@reward
def word_count(sample):
    """The number of words."""
    return len(sample.completion.split())


@reward(name="Short")
def brevity(sample):
    return Score(1.0, {"words": 0.0}) if not sample.completion else None


def plain(sample):
    return 0.5


def test_it_scores_batches_and_keeps_the_function():
    assert isinstance(word_count, FunctionReward)
    assert word_count(SAMPLES) == [2, 0]
    assert word_count.score(SAMPLES[0]) == word_count.__wrapped__(SAMPLES[0]) == 2
    assert (word_count.__doc__, word_count.__name__, word_count.name) == (
        "The number of words.",
        "word_count",
        "word_count",
    )
    assert repr(word_count) == "reward(word_count)"
    assert brevity.name == "Short"
    assert score_samples(brevity, SAMPLES) == [Score(None), Score(1.0, {"words": 0.0})]


def test_it_takes_part_in_arithmetic():
    scores = score_samples(0.5 * word_count + BLEU() * brevity, SAMPLES[:1])
    # The product abstains with its factor, and the sum goes without it.
    assert scores == [Score(pytest.approx(1.0), {"word_count": 2.0, "bleu": pytest.approx(1.0)})]


@pytest.mark.parametrize("dump", [pickle.dumps, cloudpickle.dumps])
@pytest.mark.parametrize("made", [word_count, brevity, reward(plain), reward(name="x")(plain)])
def test_it_pickles(made, dump):
    for again in (pickle.loads(dump(made)), pickle.loads(dump(0.5 * made)).parts()[0], copy.deepcopy(made)):
        assert again(SAMPLES) == made(SAMPLES)
        assert again.name == made.name
    assert pickle.loads(pickle.dumps(plain)) is plain


def test_local_functions_work_and_pickle_by_value_only():
    threshold = 1

    @reward
    def longer(sample):
        return float(len(sample.completion.split()) > threshold)

    assert longer(SAMPLES) == [1.0, 0.0]
    assert pickle.loads(cloudpickle.dumps(longer))(SAMPLES) == [1.0, 0.0]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(longer)


SCRIPT = """
import pickle, sys, cloudpickle
from textgym.core import Sample
from textgym.rewards import reward

@reward
def size(sample):
    return len(sample.completion)

assert pickle.loads(pickle.dumps(size))([Sample("", "abc")]) == [3]
sys.stdout.buffer.write(cloudpickle.dumps(size))
"""


def test_a_reward_of_a_script_reaches_another_process():
    """Vector environments send rewards by cloudpickle; a function of ``__main__`` then travels by value."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True, cwd=".")
    assert pickle.loads(done.stdout)([Sample("", "abcd")]) == [4]


def test_wrong_use():
    with pytest.raises(ConfigError, match="@reward decorates a function"):
        reward(3)
    with pytest.raises(ConfigError, match="@reward decorates a function"):
        reward(BLEU)
    with pytest.raises(RewardError, match="'words_of' returned 'two' as value of sample 0"):
        score_samples(reward(name="words_of")(lambda sample: "two"), SAMPLES)
    with pytest.raises(RewardError, match="single Sample"):
        word_count(SAMPLES[0])


@pytest.mark.parametrize("values", [{7: 0.9, 3: 0.1}, {0.9, 0.1}, {7: 0.9, 3: 0.1}.keys()])
def test_a_dict_or_a_set_is_no_batch_of_values(values):
    with pytest.raises(RewardError, match="expected a sequence of 2 numbers"):
        score_samples(lambda samples: values, SAMPLES)


def test_a_number_too_large_for_a_float_is_a_reward_error():
    with pytest.raises(RewardError, match="expected a finite number"):
        score_samples(lambda samples: [10**400] * len(samples), SAMPLES)


@reward
def divides(sample):
    return 1 / len(sample.completion)


def test_an_exception_of_a_reward_says_whose_it_is_and_of_which_sample():
    def batch(samples):
        return [1 / len(sample.completion) for sample in samples]

    for made, name in ((divides, "divides"), (0.5 * divides + BLEU(), "divides"), (batch, "batch")):
        with pytest.raises(ZeroDivisionError) as caught:
            score_samples(made, [Sample("", "", ("one",), prompt_id=4)])
        assert caught.value.__notes__ == [
            f"Raised by the reward {name!r}, scoring the sample of prompt_id 4, completion ''."
        ]
    with pytest.raises(ZeroDivisionError) as caught:
        score_samples(divides, [Sample("", "a"), Sample("", "", prompt_id=9)])
    assert "prompt_id 9, completion ''." in caught.value.__notes__[0]


class Layers:
    """Prints as a torch module does."""

    def __repr__(self):
        return "Sequential(\n" + "  (0): Linear(in_features=2, out_features=2, bias=True)\n" * 40 + ")"


class ByModel(BatchReward):
    name = "by_model"

    def __init__(self, model, words=()):
        self.model, self.words = model, words

    def score(self, sample):
        return 1.0


def test_a_reward_that_holds_a_model_has_a_short_repr():
    assert repr(0.5 * ByModel(Layers()) + BLEU()) == "0.5 * ByModel(model=<Layers>) + BLEU()"
    assert repr(ByModel("a" * 300)) == f"ByModel(model={'a' * 300!r})"
    assert repr(ByModel(None, ["word"] * 100)) == "ByModel(model=None, words=<list>)"
    env = gymnasium.make("textgym/Copy-v1", reward=ByModel(Layers()))
    assert len(str(env.spec)) < 800
