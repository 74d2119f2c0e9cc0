"""NLPO: tokens are masked by a lagged model, the same in rollout and update, and a refresh reaches the rollouts."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError
from textgym_agents import EpisodeRolloutBuffer, LanguageModelPolicy, load, make, make_vec_env
from textgym_agents.algorithms import PPO_DEFAULTS
from textgym_agents.algorithms.nlpo import NLPO
from textgym_agents.buffers.masks import unpack_masks
from textgym_agents.policies.nlpo import NLPOPolicy

ROWS, STEPS, TOP_P = 4, 14, 0.6


def nlpo(kind="gpt2", *, plain=False, policy=None, env=None, **options):
    model = tiny_model(kind)
    seq2seq = model.config.is_encoder_decoder
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    rows = make_vec_env("textgym/Copy-v0", ROWS, max_prompt_tokens=12, max_new_tokens=10, seed=3, **form, **(env or {}))
    own = {"rollout_buffer_class": EpisodeRolloutBuffer} if plain else {"mask_top_p": TOP_P, "refresh_every": 2}
    kwargs = {"model": model, "optimizer_kwargs": {"eps": 1e-8}, **(policy or {})}
    made = (PPO if plain else NLPO)(
        LanguageModelPolicy if plain else NLPOPolicy,
        rows,
        seed=3,
        policy_kwargs=kwargs,
        **{**PPO_DEFAULTS, "n_steps": STEPS, "batch_size": 20, "learning_rate": 3e-3, **own, **options},
    )
    made.rollout_buffer.bind(made.policy)
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


def collect(algorithm):
    if algorithm._last_obs is None:
        _, algorithm.test_callback = algorithm._setup_learn(STEPS)
    algorithm.collect_rollouts(algorithm.env, algorithm.test_callback, algorithm.rollout_buffer, STEPS)
    return algorithm.rollout_buffer


def legal(algorithm, obs):
    """(rows, vocabulary) what a rollout step would allow."""
    with torch.no_grad():
        algorithm.policy(obs)
    return unpack_masks(algorithm.policy.sampled_masks, algorithm.policy.num_actions)


def top_p_set(policy, obs, lm=None):
    """The top-p set, the slow way: sort, add up, cut."""
    with torch.no_grad():
        hidden = policy._packed_hidden(lm or policy.lm, policy.form.sequences(obs))
        probabilities = policy._logits(lm or policy.lm, hidden).softmax(-1)
    kept = torch.zeros_like(probabilities, dtype=torch.bool)
    for row, p in enumerate(probabilities):
        total = 0.0
        for token in p.argsort(descending=True).tolist():
            kept[row, token] = True
            total += p[token].item()
            if total >= TOP_P:
                break
    return kept


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
@pytest.mark.parametrize("lora", [None, 2])
def test_a_refresh_changes_the_mask_that_rollouts_use(kind, lora):
    algorithm = nlpo(kind, policy={"lora": lora}, refresh_every=2, learning_rate=0.05)
    collect(algorithm)
    obs = algorithm.policy.obs_to_tensor(algorithm._last_obs)[0]
    first = legal(algorithm, obs)
    assert torch.equal(first, top_p_set(algorithm.policy, obs))
    algorithm.train()  # the first update: no refresh
    assert torch.equal(legal(algorithm, obs), first)
    assert not torch.equal(top_p_set(algorithm.policy, obs), first)
    algorithm.train()  # the second: refreshed from the policy as it is now
    second = legal(algorithm, obs)
    assert torch.equal(second, top_p_set(algorithm.policy, obs))
    assert not torch.equal(second, first)
    algorithm.train()
    assert torch.equal(legal(algorithm, obs), second)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_rollouts_stay_within_the_mask_of_their_time(kind):
    """Over a run with refreshes, every token lies in the top-p set of the weights at the last refresh."""
    algorithm = nlpo(kind, learning_rate=0.05)
    lagged = tiny_model(kind)
    for updates in range(1, 5):
        buffer = collect(algorithm)
        for segment in buffer.segments():
            batch = buffer._batch([segment])
            with torch.no_grad():
                hidden = algorithm.policy._packed_hidden(lagged, batch.sequences)
                logits = algorithm.policy._logits(lagged, hidden)
            actions = buffer.actions[segment.start : segment.stop, 0]
            new = slice(segment.carried, None)  # the steps before are of the rollout before
            for p, action in zip(logits[new].softmax(-1), actions[new], strict=True):
                assert p[p > p[action]].sum() < TOP_P + 1e-4
        algorithm.train()
        if updates % 2 == 0:
            lagged.load_state_dict(algorithm.policy.lm.state_dict())


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
@pytest.mark.parametrize("options", [{}, {"env": {"min_new_tokens": 3}}, {"policy": {"temperature": 1.5}}])
def test_the_update_uses_the_masks_of_the_rollout(kind, options):
    algorithm = nlpo(kind, refresh_every=1, **options)
    for _ in range(2):
        batch, actions, stored, new = collect(algorithm).peek(ROWS * STEPS)
        with torch.no_grad():
            _, log_probs, _ = algorithm.policy.evaluate_actions(batch, actions)
        ratio = (log_probs - stored).exp()
        torch.testing.assert_close(ratio[new], torch.ones(int(new.sum())), atol=1e-4, rtol=0)
        assert torch.isfinite(log_probs).all()  # also where an earlier policy has chosen, within another mask
        algorithm.train()
    assert not new.all()


def test_masks_of_a_teacher_forced_pass_equal_those_of_the_rollout():
    algorithm = nlpo()
    (batch,) = collect(algorithm).get(None)
    again = algorithm.policy._words(
        type(batch.observations)(batch.observations.sequences, batch.observations.num_generated)
    )
    assert torch.equal(again, batch.observations.masks)
    few = unpack_masks(again, algorithm.policy.num_actions).sum(1)
    assert 1 <= few.min() <= few.max() < algorithm.policy.num_actions


def test_evaluating_within_a_rollout_does_not_change_what_is_stored():
    plain, watched = nlpo(), nlpo()
    _, watched.test_callback = watched._setup_learn(STEPS)
    other = {name: array[::-1].copy() for name, array in watched._last_obs.items()}

    def on_step():
        with watched.policy.sampling_from(0):
            watched.predict(other)
        return True

    watched.test_callback.on_step = on_step
    ours, theirs = collect(watched), collect(plain)
    assert np.array_equal(ours.actions, theirs.actions)
    assert np.array_equal(ours.masks.all(), theirs.masks.all())
    assert np.array_equal(ours.mask_numbers, theirs.mask_numbers)


def test_a_static_mask_stays():
    algorithm = nlpo(refresh_every=None, learning_rate=0.05)
    obs = algorithm.policy.obs_to_tensor(algorithm.env.reset())[0]
    first = legal(algorithm, obs)
    algorithm.learn(4 * ROWS * STEPS)
    assert torch.equal(legal(algorithm, obs), first)
    assert not torch.equal(top_p_set(algorithm.policy, obs), first)


def test_without_a_mask_it_is_ppo():
    ends = []
    for algorithm in (nlpo(mask_top_p=1.0), nlpo(plain=True)):
        algorithm.learn(2 * ROWS * STEPS)
        ends.append(torch.cat([p.detach().flatten() for p in algorithm.policy.parameters()]))
    assert torch.equal(*ends)


def test_lora_shares_the_frozen_weights():
    policy = nlpo(policy={"lora": 2}).policy
    ours, theirs = dict(policy.lm.named_parameters()), dict(policy.mask_lm.named_parameters())
    assert {n for n in ours if ours[n] is not theirs[n]} == {n for n in ours if "lora_" in n}
    assert not any(p.requires_grad for p in policy.mask_lm.parameters())


def test_the_reference_is_not_masked():
    """The KL of the sampled distribution to the whole initial model: above 0 before training, -log of what is kept."""
    algorithm = nlpo(policy={"reference": True}, rollout_buffer_kwargs={"kl_coef": 0.1})
    algorithm.rollout_buffer.bind(algorithm.policy)
    stats = collect(algorithm).stats
    assert 0.05 < stats["kl_per_token"] < -np.log(TOP_P)


def test_a_checkpoint_keeps_the_lagged_mask(tmp_path):
    algorithm = nlpo(refresh_every=2, learning_rate=0.05)
    algorithm.learn(3 * ROWS * STEPS)
    algorithm.save(tmp_path / "nlpo.zip")
    again = NLPO.load(tmp_path / "nlpo.zip", algorithm.env)
    obs = algorithm.policy.obs_to_tensor(algorithm.env.reset())[0]
    mask = legal(again, obs)
    assert torch.equal(mask, legal(algorithm, obs))
    assert not torch.equal(mask, top_p_set(again.policy, obs))
    assert again.updates == 3
    again.learn(ROWS * STEPS, reset_num_timesteps=False)  # the fourth update refreshes
    assert torch.equal(legal(again, obs), top_p_set(again.policy, obs))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refresh_every": 0}, "refresh_every is 0"),
        ({"mask_top_p": 0.0}, "mask_top_p is 0.0"),
        ({"rollout_buffer_class": EpisodeRolloutBuffer}, "expected MaskedEpisodeRolloutBuffer"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        nlpo(**options)


def test_another_policy_is_refused():
    env = make_vec_env("textgym/Copy-v0", 2)
    with pytest.raises(ConfigError, match="expected NLPOPolicy"):
        NLPO(
            LanguageModelPolicy,
            env,
            n_steps=4,
            batch_size=8,
            policy_kwargs={"model": tiny_model("gpt2", positions=256)},
        )


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_by_name(kind, tmp_path, small_env):
    model = tiny_model(kind)
    made = make("nlpo", "textgym/Copy-v0", model, n_envs=4, n_steps=16, batch_size=32, seed=0, env_kwargs=small_env)
    assert type(made) is NLPO
    made.learn(128)
    assert made.rollout_buffer.stats["kl_coef"] == 0.01
    made.save(tmp_path / "nlpo.zip")
    load("nlpo", tmp_path / "nlpo.zip", made.env).learn(64)
