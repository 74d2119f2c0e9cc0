"""TRPO's policy: its derivatives are those of automatic differentiation, and an update stays in the trust region."""

import numpy as np
import pytest
import torch
from sb3_contrib import TRPO
from stable_baselines3.common.distributions import kl_divergence

from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError
from textgym_agents import EpisodeRolloutBuffer, LanguageModelPolicy, load, make, make_vec_env
from textgym_agents.policies import trpo as trust_region
from textgym_agents.policies.trpo import (
    Derivatives,
    TRPOPolicy,
)

ROWS, STEPS = 5, 12


def trpo(kind="gpt2", *, plain=False, policy=None, env=None, **options):
    model = tiny_model(kind)
    for parameter in model.parameters():  # as smooth as a trained model
        parameter.data.mul_(0.5 if parameter.dim() > 1 else 1)
    seq2seq = model.config.is_encoder_decoder
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    rows = make_vec_env("textgym/Copy-v0", ROWS, max_prompt_tokens=12, max_new_tokens=10, seed=3, **form, **(env or {}))
    kwargs = {"model": model, **({} if plain else {"fisher_share": 1.0}), **(policy or {})}
    made = TRPO(
        LanguageModelPolicy if plain else TRPOPolicy, rows,
        n_steps=STEPS, batch_size=20, seed=3, policy_kwargs=kwargs, cg_max_steps=4,
        n_critic_updates=2, rollout_buffer_class=EpisodeRolloutBuffer, gamma=1.0, gae_lambda=1.0, **options,
    )  # fmt: skip
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


def collect(algorithm):
    if algorithm._last_obs is None:
        _, algorithm.test_callback = algorithm._setup_learn(STEPS)
    algorithm.collect_rollouts(algorithm.env, algorithm.test_callback, algorithm.rollout_buffer, STEPS)
    return algorithm.rollout_buffer


def weights(algorithm):
    return torch.cat([p.detach().flatten() for p in algorithm.policy.lm.parameters()])


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "bart"])
def test_derivatives_equal_automatic_differentiation(kind, monkeypatch):
    monkeypatch.setattr(trust_region, "CHUNK_TOKENS", 16)
    algorithm, plain = trpo(kind), trpo(kind, plain=True).policy
    (batch,) = collect(algorithm).get(None)
    derivatives = Derivatives(algorithm.policy, batch.observations)
    assert len(derivatives.chunks) > 2
    members = [p for p in plain.lm.parameters() if p.requires_grad]
    with torch.no_grad():
        old = plain.get_distribution(batch.observations)
    new = plain.get_distribution(batch.observations)
    vector = torch.randn(derivatives.flat.shape, generator=torch.Generator().manual_seed(0))
    weight = torch.rand(len(batch.actions), generator=torch.Generator().manual_seed(1))

    chosen = new.log_prob(batch.actions)
    expected = torch.autograd.grad((weight * chosen).sum(), members, retain_graph=True, materialize_grads=True)
    expected = torch.cat([g.flatten() for g in expected])
    torch.testing.assert_close(
        derivatives.gradient(batch.actions, weight), expected, atol=1e-4 * expected.abs().max().item(), rtol=1e-3
    )
    divergence = (weight * kl_divergence(new, old)).sum()
    slope = torch.autograd.grad(divergence, members, create_graph=True, materialize_grads=True)
    slope = torch.cat([g.flatten() for g in slope])
    expected = torch.autograd.grad(slope @ vector, members, materialize_grads=True)
    expected = torch.cat([g.flatten() for g in expected])
    product = derivatives.fisher_product(vector, weight)
    torch.testing.assert_close(product, expected, atol=1e-3 * expected.abs().max().item(), rtol=1e-2)
    assert expected.abs().max() > 1e-3


def test_an_update_equals_that_of_the_plain_policy():
    """sb3-contrib's code on an ordinary policy, weight by weight, takes the same step."""
    ends = []
    for plain in (True, False):
        algorithm = trpo(plain=plain)
        collect(algorithm)
        torch.manual_seed(5)  # the conjugate gradient starts from noise
        before = weights(algorithm)
        algorithm.train()
        ends.append((weights(algorithm) - before, algorithm.policy.value_net.weight.detach()))
    (plain_step, plain_head), (step, head) = ends
    torch.testing.assert_close(step, plain_step, atol=2e-2 * plain_step.abs().max().item(), rtol=0)
    torch.testing.assert_close(head, plain_head, atol=1e-4, rtol=1e-3)
    assert plain_step.abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "t5"])
def test_an_update_stays_in_the_trust_region_and_raises_the_objective(kind):
    algorithm = trpo(kind, target_kl=0.02)
    buffer = collect(algorithm)
    (batch,) = buffer.get(None)
    with torch.no_grad():
        old = algorithm.policy.get_distribution(batch.observations)
    named = {name: p.detach().clone() for name, p in algorithm.policy.lm.named_parameters()}
    algorithm.train()
    with torch.no_grad():
        new = algorithm.policy.get_distribution(batch.observations)
        moved = kl_divergence(new, old).mean()
        gain = (new.log_prob(batch.actions) - batch.old_log_prob).exp() - 1
    assert algorithm.logger.name_to_value["train/is_line_search_success"] == 1
    assert 1e-3 < moved < 0.02
    assert (gain * batch.advantages).mean() > 0
    # GPT-NeoX's query_key_value is no value head, whatever its name says.
    still = [name for name, p in algorithm.policy.lm.named_parameters() if torch.equal(p, named[name])]
    assert not [name for name in still if "query_key_value" in name or name.endswith("embed_in.weight")]


@pytest.mark.parametrize("plain", [True, False])
def test_rollouts_after_an_update_use_the_new_weights(plain):
    algorithm = trpo(plain=plain, target_kl=0.5)
    before = collect(algorithm).log_probs.copy()
    algorithm.train()
    policy, obs = algorithm.policy, algorithm.policy.obs_to_tensor(algorithm._last_obs)[0]
    policy.set_training_mode(False)
    with torch.no_grad():
        cached = policy.predict_values(obs)
        policy.use_cache = False
        torch.testing.assert_close(cached, policy.predict_values(obs), atol=2e-5, rtol=1e-4)
        (batch,) = algorithm.rollout_buffer.get(None)
        now = policy.get_distribution(batch.observations).log_prob(batch.actions)
    assert not np.allclose(np.sort(now.numpy()), np.sort(before.flatten()), atol=1e-3)


def test_the_critic_moves_the_value_head_only():
    algorithm = trpo()
    collect(algorithm)
    algorithm.n_critic_updates, algorithm.line_search_max_iter = 3, 0  # the actor stays
    before, head = weights(algorithm), algorithm.policy.value_net.weight.detach().clone()
    algorithm.train()
    assert torch.equal(weights(algorithm), before)
    assert not torch.equal(algorithm.policy.value_net.weight, head)


def test_lora_moves_adapters_only():
    algorithm = trpo(policy={"lora": 2, "reference": True}, rollout_buffer_kwargs={"kl_coef": 0.1})
    algorithm.rollout_buffer.bind(algorithm.policy)
    before = {name: p.detach().clone() for name, p in algorithm.policy.lm.named_parameters()}
    algorithm.learn(2 * ROWS * STEPS)
    moved = {name for name, p in algorithm.policy.lm.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert all("lora_" in name for name in moved)


def test_sub_sampling_takes_every_third_action():
    algorithm = trpo(sub_sampling_factor=3)
    (batch,) = collect(algorithm).get(None)
    with torch.no_grad():
        whole = algorithm.policy.get_distribution(batch.observations).distribution.log_probs
        part = algorithm.policy.get_distribution(batch.observations[::3]).distribution.log_probs
    torch.testing.assert_close(part, whole[::3])
    weight = torch.ones(len(part))
    some, every = (Derivatives(algorithm.policy, b) for b in (batch.observations[::3], batch.observations))
    spread = torch.zeros(len(whole))
    spread[::3] = weight
    torch.testing.assert_close(
        some.gradient(batch.actions[::3], weight), every.gradient(batch.actions, spread), atol=1e-5, rtol=1e-4
    )
    algorithm.train()
    assert algorithm.logger.name_to_value["train/is_line_search_success"] == 1


def test_masked_tokens_leave_the_update_finite():
    algorithm = trpo(env={"min_new_tokens": 3, "banned_tokens": [5, 6]})
    algorithm.learn(2 * ROWS * STEPS)
    assert torch.isfinite(weights(algorithm)).all()
    assert algorithm.logger.name_to_value["train/kl_divergence_loss"] > 0


def test_no_matrix_over_the_vocabulary_is_kept_for_derivatives():
    algorithm = trpo()
    (batch,) = collect(algorithm).get(None)
    saved = []
    with torch.no_grad():
        old = algorithm.policy.get_distribution(batch.observations)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        new = algorithm.policy.get_distribution(batch.observations)
        loss = new.log_prob(batch.actions).sum() + kl_divergence(new, old).sum()
    assert loss.requires_grad
    assert max(saved, default=0) <= ROWS * STEPS


def test_the_kl_has_derivatives_only_where_it_is_zero():
    algorithm = trpo()
    (batch,) = collect(algorithm).get(None)
    with torch.no_grad():
        old = algorithm.policy.get_distribution(batch.observations)
        for parameter in algorithm.policy.lm.parameters():
            parameter.mul_(1.1)
    with pytest.raises(ConfigError, match="only where it is 0"):
        kl_divergence(algorithm.policy.get_distribution(batch.observations), old)


def test_the_fisher_share_is_checked():
    with pytest.raises(ConfigError, match="fisher_share is 0"):
        trpo(policy={"fisher_share": 0})


def test_save_and_load(tmp_path):
    algorithm = trpo()
    algorithm.learn(ROWS * STEPS)
    algorithm.save(tmp_path / "trpo.zip")
    again = TRPO.load(tmp_path / "trpo.zip")
    obs = algorithm.env.reset()
    assert np.array_equal(again.predict(obs, deterministic=True)[0], algorithm.predict(obs, deterministic=True)[0])
    assert again.policy.fisher_share == 1.0


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_by_name(kind, tmp_path, small_env):
    made = make("trpo", "textgym/Copy-v0", tiny_model(kind), n_envs=4, n_steps=16, seed=0, env_kwargs=small_env)
    assert type(made) is TRPO  # unmodified
    made.learn(128)
    assert made.rollout_buffer.stats["kl_coef"] == 0.01
    assert made.rollout_buffer.stats["kl_k3_per_token"] > 0
    made.save(tmp_path / "trpo.zip")
    load("trpo", tmp_path / "trpo.zip", made.env).learn(64)
