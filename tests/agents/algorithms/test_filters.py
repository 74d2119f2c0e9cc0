"""Top-k and top-p in training: updates choose among the tokens that the rollout left, wherever the weights went."""

import numpy as np
import pytest
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer

from tests.agents.four_tokens import make_env, make_model
from tests.agents.tiny_models import SMALL
from textgym.errors import ConfigError
from textgym_agents import EpisodeRolloutBuffer, LanguageModelPolicy, make, make_vec_env
from textgym_agents.buffers.masks import unpack_masks
from textgym_agents.models.sampling import Sampling

ID = "textgym/Copy-v0"
FILTERS = {"top_p": 0.9, "top_k": 20}
EPISODES = {"prompts_per_rollout": 3, "group_size": 2, "batch_size": 16}
# As many updates as it takes an unstored set to lose a token, with steps that are far too large.
UPDATES = {
    "ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "a2c": {"n_steps": 16},
    "trpo": {"n_steps": 16, "batch_size": 64, "cg_max_steps": 1, "n_critic_updates": 1},
    "maskable_ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "nlpo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2, "refresh_every": 1},
    "reinforce": {"prompts_per_rollout": 6, "batch_size": 16},
    "scst": {"prompts_per_rollout": 6, "batch_size": 16},
    "rloo": EPISODES,
    "grpo": {**EPISODES, "n_epochs": 2},
    "vineppo": {**EPISODES, "stride": 4, "branches": 2},
}


def build(name, policy_kwargs=FILTERS, **options):
    """On Copy, with the built-in model, whose distribution has a tail to leave out."""
    options = {"env_kwargs": SMALL, "n_envs": 4, "seed": 0, **UPDATES[name], **options}
    return make(name, ID, policy_kwargs=policy_kwargs, **options)


def rollout(algorithm):
    _, callback = algorithm._setup_learn(10**6, None)
    callback.on_training_start({}, {})
    buffer = algorithm.rollout_buffer
    assert algorithm.collect_rollouts(algorithm.env, callback, buffer, n_rollout_steps=algorithm.n_steps)
    return buffer


def minibatches(algorithm):
    """Its minibatches, and their log-probabilities under the weights of now."""
    for batch in algorithm.rollout_buffer.get(getattr(algorithm, "batch_size", None)):
        yield batch, algorithm.policy.evaluate_actions(batch.observations, batch.actions)[1].detach()


SLOW = {"trpo", "vineppo", "nlpo", "scst"}  # what they store is what the others do


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in UPDATES]
)
def test_numbers_stay_finite_and_the_first_ratio_is_one(name):
    algorithm = build(name, **({} if name == "trpo" else {"learning_rate": 1e-2}))
    moved = 0.0
    for update in range(2):
        rollout(algorithm)
        for batch, log_prob in minibatches(algorithm) if update == 0 else ():  # later ones have steps of older weights
            torch.testing.assert_close(log_prob, batch.old_log_prob, atol=5e-5, rtol=0)
        algorithm.train()
        for batch, log_prob in minibatches(algorithm):
            assert batch.observations.masks is not None
            assert torch.isfinite(log_prob).all()
            moved = max(moved, float((log_prob - batch.old_log_prob).abs().max()))
        scalars = {k: float(v) for k, v in algorithm.logger.name_to_value.items() if k.startswith("train/")}
        assert np.isfinite([v for k, v in scalars.items() if k != "train/explained_variance"]).all(), scalars
    assert all(bool(torch.isfinite(p).all()) for p in algorithm.policy.parameters())
    assert moved > 0.1
    if name in ("ppo", "grpo", "maskable_ppo", "nlpo", "vineppo"):
        assert scalars["train/approx_kl"] > 0


@pytest.mark.parametrize("name", ["ppo", "maskable_ppo", "nlpo", "rloo"])
def test_what_is_stored_is_what_the_filter_left(name):
    algorithm = build(name)
    rollout(algorithm)
    policy = algorithm.policy
    for batch, _ in minibatches(algorithm):
        obs, last = batch.observations, -(-policy.num_actions // 64)
        left = unpack_masks(obs.masks[:, -last:], policy.num_actions)
        assert left.gather(1, batch.actions[:, None]).all()
        assert (left.sum(1) <= FILTERS["top_k"]).all()
        if name != "nlpo":  # whose mask is left out here
            with torch.no_grad():
                logits = policy._logits(policy.lm, policy._hidden(obs))
                policy.token_mask.apply_(logits, obs.num_generated)
            torch.testing.assert_close(left, policy.sampling.filter_(logits) > -torch.inf)


@pytest.mark.parametrize("name", ["ppo", "maskable_ppo", "nlpo", "grpo"])
def test_the_reference_model_is_not_filtered(name):
    """As without filters: the reference's log-probability of a token is among all legal ones."""
    algorithm = build(name, kl_coef=0.1)
    rollout(algorithm)
    policy = algorithm.policy
    for batch, log_prob in minibatches(algorithm):
        reference = policy.reference_log_probs(batch.observations, batch.actions)
        with torch.no_grad():
            logits = policy._logits(policy.lm, policy._hidden(batch.observations))
            policy.token_mask.apply_(logits, batch.observations.num_generated)
        expected = logits.log_softmax(-1).gather(1, batch.actions[:, None]).squeeze(1)
        torch.testing.assert_close(reference, expected, atol=5e-5, rtol=1e-4)
        assert (log_prob > reference - 1e-4).all()
        assert (log_prob - reference).max() > 0.01


def test_given_masks_stay_with_the_reference_model():
    algorithm = build("maskable_ppo", kl_coef=0.1)
    policy, generator = algorithm.policy, torch.Generator().manual_seed(0)
    obs = {name: torch.as_tensor(array) for name, array in algorithm.env.reset().items()}
    masks = torch.rand(4, policy.num_actions, generator=generator) < 0.5
    with torch.no_grad():
        policy.forward(obs, action_masks=masks)
    given, left = policy.sampled_masks.chunk(2, 1)
    assert torch.equal(unpack_masks(given, policy.num_actions), masks)
    assert (unpack_masks(left, policy.num_actions) <= masks).all()


def test_an_evaluation_leaves_what_a_rollout_stores():
    policy = build("ppo").policy
    obs = {name: np.asarray(array) for name, array in make_vec_env(ID, 3, env_kwargs=SMALL).reset().items()}
    before = policy.sampled_masks = torch.ones(1, 1, dtype=torch.int64)
    policy.predict(obs)
    assert policy.sampled_masks is before


def test_without_filters_nothing_is_stored():
    algorithm = build("ppo", None)
    rollout(algorithm)
    assert algorithm.policy.sampled_masks is None
    assert len(algorithm.rollout_buffer.masks) == 1


def by_hand(buffer=EpisodeRolloutBuffer):
    return PPO(
        LanguageModelPolicy, make_env(4), n_steps=8, batch_size=16, rollout_buffer_class=buffer,
        policy_kwargs={"model": make_model(), "top_k": 2, "top_p": 0.9}, learning_rate=0.1, seed=0,
    )  # fmt: skip


def test_a_buffer_without_a_policy_is_refused():
    algorithm = by_hand()
    with pytest.raises(ConfigError, match=r"top_k=2 and top_p=0\.9 .*rollout_buffer\.bind\(algorithm\.policy\)"):
        algorithm.learn(32)
    algorithm = by_hand()
    algorithm.rollout_buffer.bind(algorithm.policy)
    algorithm.learn(32)


@pytest.mark.parametrize(("name", "buffer"), [("ppo", DictRolloutBuffer), ("maskable_ppo", MaskableDictRolloutBuffer)])
def test_a_buffer_that_stores_no_sets_is_refused(name, buffer):
    with pytest.raises(ConfigError, match=rf"{buffer.__name__}.*top_k=20 and top_p=0\.9"):
        build(name, rollout_buffer_class=buffer, kl_coef=0)


def test_sb3s_buffer_by_hand_is_refused_when_it_loses_a_token():
    with pytest.raises(ConfigError, match="top_k=2 and top_p=0\\.9 leave out a token"):
        by_hand(DictRolloutBuffer).learn(256)


@pytest.mark.parametrize("name", ["q_learning", "sarsa", "ilql"])
@pytest.mark.parametrize("filters", [{"top_k": 2}, {"top_p": 0.9}])
def test_algorithms_that_learn_about_every_token_refuse(name, filters):
    with pytest.raises(ConfigError, match="=".join(f"{k}={v}" for k, v in filters.items())):
        make(name, make_env(4), make_model(), seed=0, policy_kwargs=filters)


@pytest.mark.parametrize("name", ["dqn", "qrdqn"])
def test_q_networks_explore_with_filters_and_learn_about_all_candidates(name):
    options = {"num_candidates": 4, "learning_starts": 8, "train_freq": 2, "batch_size": 8, "buffer_size": 60}
    algorithm = make(name, make_env(4), make_model(), seed=0, policy_kwargs={"top_k": 2}, **options)
    algorithm.learn(64)
    assert np.isfinite(algorithm.logger.name_to_value["train/loss"])
    assert algorithm.policy.proposals.policy.sampling == Sampling()
