"""Candidates: the most probable tokens under the initial model, as the actions of an environment."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from tests.agents.four_tokens import make_env as four_tokens_env
from tests.agents.four_tokens import make_model
from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError
from textgym_agents import make_vec_env
from textgym_agents.envs.candidates import CandidateVecEnv, candidates
from textgym_agents.policies.dqn import DQNPolicy

ROWS, K = 4, 5


def small_env(kind="gpt2", **options):
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if kind in ("t5", "bart") else {}
    return make_vec_env("textgym/Copy-v0", ROWS, seed=3, **{**SMALL, **form, **options})


def plain_logits(model, obs, row):
    """A pass of the model over what a row shows, alone and without a cache."""
    part = {name: torch.as_tensor(obs[name][row][obs[name.replace("input_ids", "attention_mask")][row] != 0])[None]
            for name in obs if name.endswith("input_ids")}  # fmt: skip
    with torch.no_grad():
        return model(**part).logits[0, -1]


@pytest.mark.parametrize("kind", ["gpt2", "t5", "bart"])
def test_candidates_are_the_most_probable_legal_tokens(kind):
    model = tiny_model(kind)
    plain = small_env(kind).reset()
    banned = [int(plain_logits(model, plain, row).argmax()) for row in range(2)]
    env = candidates(small_env(kind, min_new_tokens=2, banned_tokens=banned), model, K)
    num_tokens = env.venv.action_space.n
    rng = np.random.default_rng(0)
    obs, generated = env.reset(), np.zeros(ROWS, dtype=int)
    met_eos = banned_met = 0
    for _ in range(14):
        for row in range(ROWS):
            logits = plain_logits(model, obs, row)[:num_tokens]
            masked = logits.clone()
            masked[banned] = -torch.inf
            banned_met += not torch.equal(masked.topk(K).indices, logits.topk(K).indices)
            if generated[row] < 2:
                masked[list(env.observation_space.eos_token_ids)] = -torch.inf
            assert obs["candidates"][row].tolist() == masked.topk(K).indices.tolist()
            met_eos += generated[row] < 2
        obs, _, dones, _ = env.step(rng.integers(0, K, ROWS))
        generated = np.where(dones, 0, generated + 1)
    assert met_eos > ROWS  # episodes began anew
    assert banned_met > 0


@pytest.mark.parametrize("seq2seq", [False, True])
def test_an_action_writes_its_candidate(seq2seq):
    env = candidates(four_tokens_env(ROWS, seq2seq=seq2seq), make_model(seq2seq), 3)
    assert env.action_space == spaces.Discrete(3)
    prefix = "decoder_" if seq2seq else ""
    rng, went_on = np.random.default_rng(0), 0
    obs = env.reset()
    for _ in range(20):
        actions = rng.integers(0, 3, ROWS)
        chosen = obs["candidates"][np.arange(ROWS), actions]
        obs, _, dones, infos = env.step(actions)
        for row in range(ROWS):
            shown = infos[row]["terminal_observation"] if dones[row] else {k: v[row] for k, v in obs.items()}
            assert shown[f"{prefix}input_ids"][shown[f"{prefix}attention_mask"] != 0][-1] == chosen[row]
            assert "candidates" in shown
            assert shown in env.observation_space
            went_on += not dones[row]
    assert went_on > 10


def test_where_fewer_tokens_are_legal_the_most_probable_is_repeated():
    env = candidates(four_tokens_env(ROWS, allowed_tokens=[0, 2]), make_model(), 3)
    shown = env.reset()["candidates"]
    assert all({*row.tolist()} == {0, 2} and row[2] == row[0] for row in shown)


def test_the_end_has_no_candidates_unless_the_episode_was_truncated():
    infos_by_cut = {}
    for cut in (False, True):
        env = candidates(four_tokens_env(ROWS, length_is_truncation=cut, min_new_tokens=3), make_model(), 3)
        env.seed(1)
        env.reset()
        for _ in range(3):
            _, _, dones, infos = env.step(np.zeros(ROWS, dtype=int))
        assert dones.all()
        assert {info["TimeLimit.truncated"] for info in infos} == {cut}
        infos_by_cut[cut] = infos
    assert all((info["terminal_observation"]["candidates"] == 0).all() for info in infos_by_cut[False])
    last = [info["terminal_observation"] for info in infos_by_cut[True]]
    model = make_model()
    for obs in last:
        batched = {name: value[None] for name, value in obs.items()}
        assert obs["candidates"].tolist() == plain_logits(model, batched, 0).topk(3).indices.tolist()


def test_the_space_keeps_the_rules_of_the_environment():
    inner = small_env(min_new_tokens=2, banned_tokens=[5])
    env = candidates(inner, tiny_model("gpt2"), K)
    assert env.observation_space.min_new_tokens == 2
    assert env.observation_space.banned_tokens == inner.observation_space.banned_tokens
    assert "candidates" not in inner.observation_space.spaces
    assert env.observation_space["candidates"].high.max() == inner.action_space.n - 1
    assert env.observation_space == candidates(small_env(min_new_tokens=2, banned_tokens=[5]), "m", K).observation_space
    assert env.observation_space != candidates(inner, "m", K + 1).observation_space
    assert candidates(env, "m") is env


def test_a_bound_policy_names_the_same_candidates_and_nothing_more_is_loaded(monkeypatch):
    model = tiny_model("gpt2")
    one, other = (candidates(small_env(), model, K) for _ in range(2))
    policy = DQNPolicy(one.observation_space, one.action_space, lambda _: 1e-3, model=model)
    with torch.no_grad():
        for parameter in policy.lm.parameters():
            parameter.mul_(1.5)  # training changes the model, not the candidates
    one.bind(policy)
    monkeypatch.setattr(one, "model", None)
    rng = np.random.default_rng(0)
    actual, expected = one.reset(), other.reset()
    for _ in range(12):
        assert np.array_equal(actual["candidates"], expected["candidates"])
        actions = rng.integers(0, K, ROWS)
        actual, expected = one.step(actions)[0], other.step(actions)[0]


def test_building_the_environment_leaves_torchs_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    candidates(four_tokens_env(2), make_model(), 2).reset()
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("number", [1, 5])
def test_a_number_of_candidates_out_of_range(number):
    with pytest.raises(ConfigError, match=f"num_candidates is {number}, expected 2 to 4"):
        CandidateVecEnv(four_tokens_env(2), make_model(), number)


def test_an_environment_that_is_no_text_environment():
    with pytest.raises(ConfigError, match="input_ids"):
        CandidateVecEnv(DummyVecEnv([lambda: gym.make("CartPole-v1")]), "textgym/small")
