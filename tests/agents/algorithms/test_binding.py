"""One way to give the policy to the parts that need it."""

import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecMonitor

from tests.agents.tiny_models import SMALL, tiny_model
from textgym_agents import EpisodeReplayBuffer, MaskedEpisodeRolloutBuffer, load, make, make_vec_env
from textgym_agents.algorithms.binding import bind_policy
from textgym_agents.algorithms.nlpo import NLPO
from textgym_agents.envs.candidates import candidates
from textgym_agents.policies.dqn import DQNPolicy
from textgym_agents.policies.nlpo import NLPOPolicy

MODEL = {"model": tiny_model("gpt2")}


@pytest.mark.parametrize("name", ["ppo", "rloo", "nlpo"])
def test_make_and_load_give_the_buffer_its_policy(name, tmp_path):
    small = {"prompts_per_rollout": 1} if name == "rloo" else {"n_steps": 4, "batch_size": 8}
    made = make(name, "textgym/Copy-v0", tiny_model("gpt2"), n_envs=2, env_kwargs=SMALL, seed=0, **small)
    assert made.rollout_buffer.reference is made.policy
    made.save(tmp_path / "made.zip")
    loaded = load(name, tmp_path / "made.zip")
    assert loaded.rollout_buffer.reference is loaded.policy
    if name == "nlpo":
        assert (made.rollout_buffer.policy, loaded.rollout_buffer.policy) == (made.policy, loaded.policy)


def test_nlpo_by_hand_gives_the_buffer_its_policy():
    made = NLPO(NLPOPolicy, make_vec_env("textgym/Copy-v0", 2, **SMALL), n_steps=4, batch_size=8, policy_kwargs=MODEL)
    assert made.rollout_buffer.policy is made.policy


def test_an_environment_of_candidates_is_found_under_wrappers():
    inner = candidates(make_vec_env("textgym/Copy-v0", 2, **SMALL), MODEL["model"], 4)
    env = VecMonitor(inner)
    dqn = DQN(
        DQNPolicy, env, buffer_size=64, replay_buffer_class=EpisodeReplayBuffer, policy_kwargs=MODEL, learning_starts=0,
    )  # fmt: skip
    bind_policy(dqn)
    assert inner.proposals is dqn.policy.proposals


def test_what_needs_no_policy_is_left_alone():
    env = make_vec_env("textgym/Copy-v0", 2, **SMALL)
    ppo = PPO("MultiInputPolicy", env, n_steps=4, batch_size=8)
    bind_policy(ppo)


def test_a_masked_buffer_takes_policies_without_masks():
    made = make(
        "ppo", "textgym/Copy-v0", tiny_model("gpt2"), n_envs=2, env_kwargs=SMALL, n_steps=4, batch_size=8, seed=0,
        rollout_buffer_class=MaskedEpisodeRolloutBuffer,
    )  # fmt: skip
    assert made.learn(8).num_timesteps == 8
    assert len(made.rollout_buffer.masks) == 1
