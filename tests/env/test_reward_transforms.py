"""Reward shaping, on single and on vector environments, by hand-computed numbers."""

import json
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import textgym
from tests.env.text_games import byte_tokenizer, exact, letters
from textgym import Sample, TextGenerationEnv, TextGenerationVectorEnv
from textgym.errors import ConfigError
from textgym.wrappers import (
    REWARD_TRANSFORMS,
    ClipReward,
    LengthPenalty,
    MissingEOSPenalty,
    RewardWrapper,
    ScaleReward,
    WhitenReward,
    transform_reward,
)

TOKENIZER = byte_tokenizer()
A, B = TOKENIZER.encode("a")[0], TOKENIZER.encode("b")[0]
EOS = TOKENIZER.eos_token_id


def single(**options):
    return TextGenerationEnv(letters(), exact, TOKENIZER, **options)


def vector(num_envs=3, **options):
    return TextGenerationVectorEnv(num_envs, letters(), exact, TOKENIZER, **options)


def text(tokens, reason="eos"):
    return Sample("", "x", token_ids=(A,) * tokens, finish_reason=reason)


@pytest.mark.parametrize(
    ("build", "arguments", "sample", "expected"),
    [
        (LengthPenalty, {}, text(10), 0.9),
        (LengthPenalty, {"per_token": 0.1, "beyond": 8}, text(10), 0.8),
        (LengthPenalty, {"per_token": 0.1, "beyond": 10}, text(10), 1.0),
        (LengthPenalty, {"per_token": -0.1}, text(2), 1.2),  # a bonus
        (MissingEOSPenalty, {"penalty": 0.25}, text(3, "length"), 0.75),
        (MissingEOSPenalty, {"penalty": 0.25}, text(3, "eos"), 1.0),
        (MissingEOSPenalty, {"penalty": 0.25}, text(3, "stop"), 1.0),
        (ClipReward, {"low": -1, "high": 0.5}, text(1), 0.5),
        (ClipReward, {"low": 2, "high": 3}, text(1), 2.0),
        (ClipReward, {"low": -1, "high": 3}, text(1), 1.0),
        (ScaleReward, {"factor": -3}, text(1), -3.0),
    ],
)
@pytest.mark.parametrize("make", [single, vector])
def test_a_completion_with_reward_1(make, build, arguments, sample, expected):
    assert build(make(), **arguments).reward(sample, 1.0) == pytest.approx(expected)


def test_whitening_is_that_of_all_completions_so_far():
    env, seen = WhitenReward(single()), []
    for reward in np.random.default_rng(0).normal(5, 3, 50).tolist():
        seen.append(reward)
        whitened = env.reward(text(1), reward)
        assert whitened == pytest.approx((reward - np.mean(seen)) / np.std(seen) if len(seen) > 1 else 0.0)


def test_whitening_of_equal_rewards_is_zero():
    env = WhitenReward(single())
    assert [env.reward(text(1), 0.1) for _ in range(100)] == [0.0] * 100


@pytest.mark.parametrize("make", [single, vector])
def test_whitening_goes_on_from_its_state(make):
    env, later = WhitenReward(make()), WhitenReward(make())
    for reward in (1.0, 4.0, 2.0):
        env.reward(text(1), reward)
    later.set_state(json.loads(json.dumps(env.get_state())))
    twin = pickle.loads(pickle.dumps(env))
    assert later.reward(text(1), 3.0) == twin.reward(text(1), 3.0) == env.reward(text(1), 3.0)
    assert later.get_state() == env.get_state()


def test_only_the_last_step_of_a_single_environment_is_shaped():
    env = transform_reward(single(), "scale=2, length_penalty=0.5, clip=0.25:9")
    env.reset(options={"prompt_id": 0})
    _, reward, _, _, info = env.step(A)
    assert (reward, info) == (0.0, {})  # not clipped to 0.25
    _, reward, _, _, info = env.step(EOS)
    assert reward == 2 * 1.0 - 0.5 * 2
    assert info["untransformed_reward"] == 1.0


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_rows_of_a_vector_environment_are_shaped_where_they_end(mode):
    envs = transform_reward(vector(autoreset_mode=mode), {"scale": 2, "length_penalty": (0.5, 1)})
    envs.reset(options={"prompt_id": [0, 1, 2]})
    assert envs.step([A, A, A])[1].tolist() == [0, 0, 0]
    _, rewards, terminated, _, infos = envs.step([EOS, EOS, A])
    assert rewards.tolist() == [2 * 1.0 - 0.5, 2 * -0.1 - 0.5, 0.0]
    assert terminated.tolist() == [True, True, False]
    ended = infos["final_info"] if mode == AutoresetMode.SAME_STEP else infos
    assert ended["untransformed_reward"].tolist() == [1.0, -0.1, 0.0]
    assert ended["_untransformed_reward"].tolist() == [True, True, False]


@pytest.mark.parametrize("vectorization", ["sync", "vector_entry_point"])
def test_foreign_vector_environments_tell_the_same(vectorization):
    textgym.register("tests/Shaped-v0", letters(), exact, tokenizer=TOKENIZER)
    try:
        how = {"autoreset_mode": AutoresetMode.SAME_STEP}
        how = how if vectorization == "vector_entry_point" else {"vector_kwargs": how}
        envs = transform_reward(
            gymnasium.make_vec("tests/Shaped-v0", 2, vectorization_mode=vectorization, **how), "scale=3"
        )
        envs.reset(options={"prompt_id": 0})
        envs.step(np.array([A, B]))
        _, rewards, _, _, infos = envs.step(np.array([EOS, B]))
        assert rewards.tolist() == [3.0, 0.0]
        assert infos["final_info"]["untransformed_reward"].tolist() == [1.0, 0.0]
    finally:
        del gymnasium.registry["tests/Shaped-v0"]


def test_wrappers_are_applied_in_the_order_of_their_names():
    assert [transform_reward(single(), how).reward(text(1), 5.0) for how in ("clip=0:2", "scale=0.1")] == [2.0, 0.5]
    env = transform_reward(single(), "clip=0:2, scale=10")
    env.reset(options={"prompt_id": 0})
    env.step(A)
    assert env.step(EOS)[1] == 10.0
    assert isinstance(env, ScaleReward)
    assert isinstance(env.env, ClipReward)


@pytest.mark.parametrize("how", [None, "", {}, "  "])
def test_nothing_leaves_the_environment_as_it_is(how):
    env = single()
    assert transform_reward(env, how) is env


@pytest.mark.parametrize(
    ("how", "kind", "attributes"),
    [
        ("length_penalty=0.01", LengthPenalty, {"per_token": 0.01, "beyond": 0}),
        ("length_penalty=0.01:20", LengthPenalty, {"per_token": 0.01, "beyond": 20}),
        ("length_penalty", LengthPenalty, {"per_token": 0.01}),
        ("missing_eos_penalty=2", MissingEOSPenalty, {"penalty": 2.0}),
        ({"missing_eos_penalty": 2}, MissingEOSPenalty, {"penalty": 2.0}),
        ("clip=-1:1e3", ClipReward, {"low": -1.0, "high": 1000.0}),
        ({"clip": {"low": 0, "high": 1}}, ClipReward, {"low": 0.0, "high": 1.0}),
        ("whiten", WhitenReward, {"count": 0}),
        ({"whiten": True}, WhitenReward, {"count": 0}),
        ({"whiten": None}, WhitenReward, {"count": 0}),
    ],
)
def test_names_and_values(how, kind, attributes):
    env = transform_reward(single(), how)
    assert isinstance(env, kind)
    assert {name: getattr(env, name) for name in attributes} == attributes


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("lenght_penalty=0.1", "Did you mean 'length_penalty'"),
        ("clip", "clip takes low and high"),
        ("clip=1", "clip takes low and high"),
        ("clip=2:1", "low=2 and high=1"),
        ("whiten=3", "whiten takes no value"),
        ("scale=fast", "'fast' in 'scale=fast' is no number"),
        ("scale=", "'' in 'scale=' is no number"),
        ("scale=nan", "finite"),
        ("length_penalty=0.1:2.5", "beyond=2.5"),
        ({"scale": "2"}, "factor is '2'"),
        ({"scale": {"by": 2}}, "scale takes factor"),
        (3, "expected a string such as"),
    ],
)
def test_wrong_shapes(how, match):
    with pytest.raises(ConfigError, match=match):
        transform_reward(single(), how)


def test_every_name_is_a_reward_wrapper_with_a_spec():
    for name, build in REWARD_TRANSFORMS.items():
        assert issubclass(build, RewardWrapper)
        env = transform_reward(
            gymnasium.make("textgym/Copy-v0"), {name: (0, 1) if name == "clip" else None if name != "scale" else 2}
        )
        again = gymnasium.make(env.spec)
        assert type(again).__name__ == type(env).__name__
