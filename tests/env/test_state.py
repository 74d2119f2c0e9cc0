"""An environment that continues from a state plays what the one that gave it plays."""

import json

import numpy as np
import pytest

from textgym import Prompt, TextGenerationEnv
from textgym.errors import ConfigError, ResetNeededError
from textgym.vector import TextGenerationVectorEnv

PROMPTS = [Prompt(f"Prompt number {n}:", (f"text {n}",)) for n in range(50)]
SIZES = {"max_prompt_tokens": 16, "max_new_tokens": 6}


def score(samples):
    return [sample.prompt_id + len(sample.completion) / 100 for sample in samples]


def vector(mode="SameStep", rows=3, prompts=PROMPTS, **options):
    return TextGenerationVectorEnv(rows, prompts, score, autoreset_mode=mode, **{**SIZES, **options})


def plain(value):
    """JSON of a state, whose arrays become lists."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def same(one, other):
    """Two steps, arrays of objects included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple | list) or (isinstance(one, np.ndarray) and one.dtype == object):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(np.all(one == other))


@pytest.mark.parametrize("sampling", ["random", "sequential"])
@pytest.mark.parametrize("form", ["causal", "seq2seq"])
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@pytest.mark.parametrize("played", [0, 1, 4, 17])
def test_a_vector_environment_goes_on(sampling, form, mode, played):
    one, other = (vector(mode, form=form, sampling=sampling) for _ in range(2))
    actions = np.random.default_rng(0)
    ends = one.mdp.rules.eos_token_id

    def draw():
        return np.where(actions.random(3) < 0.2, ends, actions.integers(10, 200, 3))

    one.reset(seed=5)
    other.reset(seed=6)
    for _ in range(played):
        one.step(draw())
        other.step(draw())
    state = one.get_state()
    kept = json.dumps(plain(state))
    other.set_state(state)
    for _ in range(20):
        tokens = draw()
        assert same(one.step(tokens), other.step(tokens))
    assert json.dumps(plain(state)) == kept  # it shares nothing with either
    assert same(one.reset(), other.reset())
    assert one.np_random.random() == other.np_random.random()


def test_rows_that_wait_go_on_waiting():
    one, other = vector("Disabled"), vector("SameStep")
    one.reset(seed=1)
    end = one.mdp.rules.eos_token_id
    one.step(np.array([end, 20, end]))
    other.set_state(one.get_state())
    assert other.ended.tolist() == [True, False, True]
    tokens = np.array([21, 22, 23])
    assert same(one.step(tokens), other.step(tokens))
    again = {"reset_mask": np.array([True, False, True])}
    assert same(one.reset(options=again), other.reset(options=again))


def test_an_environment_that_never_began():
    one, other = vector(), vector()
    other.reset(seed=1)
    other.set_state(one.get_state())
    with pytest.raises(ResetNeededError):
        other.step(np.array([20, 21, 22]))


@pytest.mark.parametrize("played", [0, 2, 6])
def test_a_single_environment_goes_on(played):
    one, other = (TextGenerationEnv(PROMPTS, score, **SIZES) for _ in range(2))
    one.reset(seed=3)
    other.reset(seed=4)
    for _ in range(played):
        one.step(20)
    other.set_state(one.get_state())
    for _ in range(6 - played):
        assert same(one.step(30), other.step(30))
    assert same(one.reset(), other.reset())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 2}, "has 3 rows, this one 2"),
        ({"max_new_tokens": 7}, "has max_new_tokens=6, this one 7"),
        ({"form": "seq2seq"}, "has form='causal', this one 'seq2seq'"),
        ({"prompts": PROMPTS[:9]}, "has num_prompts=50, this one 9"),
        ({"prompts": PROMPTS[::-1]}, "that prompt has other tokens"),
    ],
)
def test_an_environment_that_does_not_fit_is_an_error(options, message):
    one = vector()
    one.reset(seed=1)
    with pytest.raises(ConfigError, match=message):
        vector(**options).set_state(one.get_state())


def test_only_generators_of_numpy_come_back():
    one = vector()
    one.reset(seed=1)
    state = one.get_state()
    state["generators"][0]["bit_generator"] = "exit"
    with pytest.raises(ConfigError, match="none of numpy's bit generators"):
        one.set_state(state)
