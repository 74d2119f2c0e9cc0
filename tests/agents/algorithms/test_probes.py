"""Algorithms on the probes: what the easiest ones ask of every algorithm, and that noise follows the seed."""

import numpy as np
import pytest

from textgym.registration import task_of
from textgym_agents import evaluate, make

MODEL = "textgym/tiny"


def score(algorithm, name, timesteps, seed=0, **level):
    """The score of 200 held-out prompts after training."""
    made = make(algorithm, f"textgym/{name}-v0", MODEL, seed=seed, env_kwargs=level)
    made.learn(timesteps)
    reward = evaluate(made, f"textgym/{name}-v0", 200, seed=seed, env_kwargs=level).reward
    return task_of(f"textgym/{name}-v0")("test", **level).score(reward)


@pytest.mark.learning
@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce", "scst", "rloo", "grpo", "q_learning"])
def test_a_bandit_of_eight_words_is_learned_in_1500_episodes(algorithm):
    """The initial model scores 0, as a random policy does. Seed 0 gave PPO and A2C 1.00, RLOO and Q-learning 0.95."""
    assert score(algorithm, "Bandit", 1500, arms=8) > 0.6


@pytest.mark.learning
def test_demonstrations_of_a_password_are_learned():
    """By chance one completion in 256 is right, and a run has 750 of them."""
    assert score("bc", "Password", 3000, length=4) > 0.6


def test_noise_in_training_follows_the_seed():
    def rewards(seed):
        made = make("rloo", "textgym/Noise-v0", MODEL, n_envs=4, prompts_per_rollout=4, group_size=2, seed=seed)
        made.learn(8)
        return made.rollout_buffer.episode_returns.reshape(-1)

    one, again, other = rewards(1), rewards(1), rewards(2)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len(set(one.round(6))) == len(one), "each completion of a group has noise of its own"
