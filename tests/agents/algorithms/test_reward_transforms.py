"""Transformed rewards reach the algorithms, whether rows begin anew at once or wait for the others of their group."""

import pytest

from tests.agents.four_tokens import END, HORIZON, RETURNS, make_env, make_model
from textgym.wrappers import WhitenReward, transform_reward
from textgym_agents import make
from textgym_agents.callbacks.text_logger import TextLogger
from textgym_agents.envs.vec_env import TextVecEnv


def shaped(rows, how):
    return TextVecEnv(transform_reward(make_env(rows).env, how))


def plain_returns(store):
    """The return of each completion before the transform, from its tokens."""
    return [RETURNS[tuple(store.actions[s.start : s.stop, 0].tolist())] for s in store.segments()]


@pytest.mark.parametrize("seq2seq", [False, True])
def test_groups_of_rows_that_wait_get_transformed_rewards(seq2seq):
    env = TextVecEnv(
        transform_reward(make_env(4, seq2seq=seq2seq).env, "scale=2, missing_eos_penalty=0.5, length_penalty=0.1")
    )
    model = make("rloo", env, make_model(seq2seq), prompts_per_rollout=8, group_size=2, seed=0, kl_coef=0)
    model.learn(1)
    store = model.rollout_buffer
    actions = [store.actions[s.start : s.stop, 0] for s in store.segments()]
    expected = [
        2 * plain - 0.5 * (len(t) == HORIZON and t[-1] != END) - 0.1 * len(t)
        for plain, t in zip(plain_returns(store), actions, strict=True)
    ]
    assert store.scores.reshape(-1) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("algorithm", ["ppo", "grpo"])
def test_whitened_training_logs_the_rewards_as_they_were(algorithm):
    options = {"n_steps": 16, "batch_size": 128} if algorithm == "ppo" else {"prompts_per_rollout": 8, "group_size": 4}
    env, log = shaped(8, "whiten"), TextLogger()
    model = make(algorithm, env, make_model(), seed=0, kl_coef=0, **options)
    model.learn(256, log)
    assert isinstance(env.env, WhitenReward)
    episodes = sum(row["episodes"] for row in log.history)
    assert env.env.count == episodes
    untransformed = sum(row["episodes"] * row["text/untransformed_reward"] for row in log.history) / episodes
    assert untransformed == pytest.approx(env.env.mean, abs=1e-4)
    assert all(row["reward"] != pytest.approx(row["text/untransformed_reward"]) for row in log.history)
