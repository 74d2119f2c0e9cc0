"""Runs on conversations stop in the middle of dialogues and go on bit for bit; so do pickled environments."""

import copy
import pickle

import numpy as np
import pytest
import torch

from tests.agents.checkpoint.test_checkpoint import ROWS, assert_goes_on, one_thread  # noqa: F401  (a fixture)
from tests.agents.dialogues import ALLOWED, END, made
from tests.agents.tiny_models import tiny_model
from textgym_agents import load_checkpoint, make

ALGORITHMS = {
    "ppo": {"n_steps": 5, "batch_size": 8, "n_epochs": 2, "kl_coef": 0.05},
    "maskable_ppo": {"n_steps": 5, "batch_size": 8, "n_epochs": 1, "kl_coef": 0},
    "grpo": {"prompts_per_rollout": 2, "group_size": 3, "batch_size": 16, "credit": "to_go"},
}


def dialogues(algorithm):
    """Of each row that is in one: how many turns it has."""
    talk = algorithm.env.env.unwrapped.get_state()["dialogues"]
    return [len(one["turns"]) for one in talk if one is not None]


@pytest.mark.parametrize("name", ["ppo", "grpo", pytest.param("maskable_ppo", marks=pytest.mark.slow)])
def test_a_run_goes_on_in_the_middle_of_dialogues(name, tmp_path):
    def build(seed):
        return make(name, made(ROWS, seed=seed), tiny_model("gpt2"), seed=seed, **ALGORITHMS[name])

    starts, _ = assert_goes_on(build, tmp_path / "whole")
    again, turns, inserted = build(2), 0, 0
    for start in starts:
        load_checkpoint(again, tmp_path / "whole" / str(start))
        turns = max(turns, *dialogues(again))
        inserted += sum(len(piece.inserted) for piece in again.rollout_buffer._open.values())
    assert (turns > 2 and inserted > 2) or name == "grpo"  # whose rollouts are whole episodes


def test_a_pickled_or_copied_environment_goes_on_in_mid_dialogue():
    env, generator = made(3), np.random.default_rng(0)
    env.reset()
    actions = np.where(generator.random((60, 3)) < 0.25, END, generator.choice(ALLOWED, (60, 3)))
    for step in range(20):
        env.step(actions[step])
    assert any(len(one["turns"]) > 1 for one in env.env.unwrapped.get_state()["dialogues"])
    others = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    ended = 0
    for step in range(20, 60):
        (obs, rewards, dones, infos), *same = [one.step(actions[step]) for one in (env, *others)]
        ended += int(dones.sum())
        for again in same:
            assert all(np.array_equal(obs[name], again[0][name]) for name in obs)
            assert np.array_equal(rewards, again[1])
            assert np.array_equal(dones, again[2])
            assert [info.get("turns") for info in infos] == [info.get("turns") for info in again[3]]
    assert ended > 2


def test_a_pickled_rollout_buffer_goes_on_in_mid_dialogue():
    """It has the completions that the rollout's end has cut, and what was said in them."""
    algorithm = make("ppo", made(ROWS), tiny_model("gpt2"), seed=3, n_steps=9, kl_coef=0)
    algorithm.policy.optimizer.step = lambda *args, **kwargs: None
    algorithm.learn(9 * ROWS)
    again = pickle.loads(pickle.dumps(algorithm.rollout_buffer))
    assert any(piece.inserted for piece in again._open.values())
    kept, algorithm.rollout_buffer = algorithm.rollout_buffer, again
    again.bind(algorithm.policy)
    state, weights = algorithm.env.env.unwrapped.get_state(), copy.deepcopy(algorithm.policy.state_dict())
    results = []
    for buffer in (again, kept):
        algorithm.env.env.unwrapped.set_state(state)
        algorithm.policy.load_state_dict(weights)  # the value head follows the returns
        algorithm.rollout_buffer, algorithm._last_obs = buffer, algorithm.env.env.unwrapped._buffer.observations()
        algorithm._last_episode_starts = np.zeros(ROWS, dtype=bool)
        algorithm.policy._generator.manual_seed(1)
        algorithm.policy.caches.empty()
        callback = algorithm._setup_learn(9 * ROWS, reset_num_timesteps=False)[1]
        algorithm.collect_rollouts(algorithm.env, callback, buffer, 9)
        said = [[(one.after, one.tokens.tolist()) for one in segment.inserted] for segment in buffer.segments()]
        results.append((said, buffer.actions.tolist(), torch.as_tensor(buffer.advantages).tolist()))
    assert results[0] == results[1]
    assert any(segment.carried and segment.inserted for segment in kept.segments())
