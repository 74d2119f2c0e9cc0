"""Single environments as rows: the same episodes and ends as the vector form, for every kind of algorithm."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from stable_baselines3.common.env_util import make_vec_env as sb3_make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv

import textgym_agents
from textgym.errors import ConfigError
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.envs.vec_env import TextVecEnv, make_vec_env

ID = "textgym/Copy-v0"


def rows(count, **options):
    return SingleEnvs([gymnasium.make(ID, max_new_tokens=3, **options) for _ in range(count)])


def test_rows_play_what_the_vector_form_plays():
    mine, native = TextVecEnv(rows(3)), make_vec_env(ID, 3, max_new_tokens=3)
    prompts = np.array([5, 6, 7])
    mine.reset(), native.reset()
    first, other = mine.start(np.arange(3), prompts), native.start(np.arange(3), prompts)
    generator = np.random.default_rng(0)
    for _ in range(3):
        for name in other:
            np.testing.assert_array_equal(first[name], other[name])
        actions = generator.integers(10, 60, size=3)
        (first, rewards, dones, infos), (other, *expected) = mine.step(actions), native.step(actions)
        np.testing.assert_array_equal(rewards, expected[0])
        np.testing.assert_array_equal(dones, expected[1])
    assert dones.all()
    for info, wanted in zip(infos, expected[2], strict=True):
        assert info["completion"] == wanted["completion"]
        assert info["reward_components"] == wanted["reward_components"]
        assert info["episode"]["r"] == wanted["episode"]["r"]
        np.testing.assert_array_equal(
            info["terminal_observation"]["input_ids"], wanted["terminal_observation"]["input_ids"]
        )


def test_rows_wait_and_begin_a_given_prompt():
    env = TextVecEnv(rows(2))
    env.reset()
    with env.rows_wait():
        env.start(np.array([0, 1]), np.array([3, 4]))
        env.step(np.array([20, 20]))
        env.start(np.array([1]), np.array([4]))
        for _ in range(2):
            observations, _, dones, infos = env.step(np.array([20, 20]))
        assert dones.tolist() == [True, False]
        before = observations["input_ids"][0].copy()
        observations, rewards, dones, infos = env.step(np.array([20, 20]))
        assert dones.tolist() == [False, True]
        assert rewards[0] == 0
        np.testing.assert_array_equal(observations["input_ids"][0], before)  # it waits
        assert infos[1]["completion"]
    env.step(np.array([20, 20]))
    assert not env.env.unwrapped._ended.any()


def test_one_seed_gives_rows_of_their_own_and_the_same_ones_again():
    env = rows(4)
    first, again, other = (env.reset(seed=seed)[1]["prompt_id"].tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) > 1


@pytest.mark.parametrize("wrong", [[], ["CartPole-v1"], [ID, "textgym/Translation-v0"]], ids=["none", "other", "mixed"])
def test_what_is_no_row_is_an_error(wrong):
    with pytest.raises(ConfigError, match="SingleEnvs got"):
        SingleEnvs([gymnasium.make(one) for one in wrong])


def test_sb3s_own_vector_of_monitored_environments_serves_grouped_algorithms():
    env = sb3_make_vec_env(ID, n_envs=2, env_kwargs={"max_new_tokens": 4})
    assert isinstance(env, DummyVecEnv)
    rloo = textgym_agents.make("rloo", env, prompts_per_rollout=2, group_size=2, seed=0)
    assert rloo.learn(8).num_timesteps >= 4
    assert rloo.ep_info_buffer


def test_a_wrapper_of_the_users_own_stays_around_its_row():
    class Half(gymnasium.RewardWrapper):
        def reward(self, reward):
            return reward / 2 + 1

    env = Half(gymnasium.make(ID, max_new_tokens=3))
    grpo = textgym_agents.make("grpo", env, prompts_per_rollout=1, group_size=2, seed=0)
    grpo.learn(4)
    assert all(info["r"] >= 1 for info in grpo.ep_info_buffer)


def test_a_step_whose_reward_raised_in_a_row_can_be_tried_again():
    def paid(samples):
        return [len(samples[0].completion)]

    def flaky(samples):
        calls.append(samples)
        if len(calls) == 1:
            raise ConnectionError("no answer")
        return paid(samples)

    flaky.name, calls = "paid", []
    env, twin = (
        SingleEnvs([gymnasium.make("textgym/Copy-v1", reward=one) for one in (None, reward, None)])
        for reward in (flaky, paid)
    )
    env.reset(seed=3), twin.reset(seed=3)
    end = env.single_observation_space.eos_token_ids[0]
    for actions in ([20, 21, 22], [20, end, end], [20, 21, end]):
        expected = twin.step(actions)
        if end == actions[1]:
            with pytest.raises(ConnectionError):
                env.step(actions)
        assert data_equivalence(env.step(actions), expected, exact=True)
    assert len(calls) == 2
