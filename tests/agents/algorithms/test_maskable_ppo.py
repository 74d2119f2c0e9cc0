"""MaskablePPO on completions: masks hold in rollouts and updates, and cost a bit a token."""

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3 import PPO

from tests.agents.rollouts import places
from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError
from textgym.tokenizer import builtin_tokenizer
from textgym_agents import EpisodeRolloutBuffer, LanguageModelPolicy, load, make, make_vec_env
from textgym_agents.buffers.masked_rollout import MaskedEpisodeRolloutBuffer
from textgym_agents.buffers.masks import pack_masks, unpack_masks
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.policies.maskable import MaskablePolicy

ROWS, STEPS = 4, 14
NUM_TOKENS = len(builtin_tokenizer())


class RandomMasks(TextVecEnv):
    """Half of the tokens are illegal, other ones for each row and step; the end token is always legal."""

    def reset(self):
        self.rng, self.seen = np.random.default_rng(0), []
        return super().reset()

    def env_method(self, method_name, *args, indices=None, **kwargs):
        if method_name != "action_masks":
            return super().env_method(method_name, *args, indices=indices, **kwargs)
        masks = self.rng.random((self.num_envs, NUM_TOKENS)) < 0.5
        masks[:, self.observation_space.eos_token_ids[0]] = True
        self.seen.append(masks)
        return list(masks)


def maskable(kind="gpt2", *, masks=True, env=None, random=False, buffer=None, policy=None, **options):
    model = tiny_model(kind)
    seq2seq = model.config.is_encoder_decoder
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    rows = make_vec_env("textgym/Copy-v0", ROWS, max_prompt_tokens=12, max_new_tokens=10, **form, **(env or {}))
    if random:
        rows = RandomMasks(rows.env)
    rows.seed(3)
    default = MaskedEpisodeRolloutBuffer if masks else EpisodeRolloutBuffer
    made = (MaskablePPO if masks else PPO)(
        MaskablePolicy if masks else LanguageModelPolicy, rows,
        n_steps=STEPS, batch_size=20, n_epochs=1, gamma=0.98, gae_lambda=0.9, seed=3,
        policy_kwargs={"model": model, **(policy or {})}, rollout_buffer_class=buffer or default, **options,
    )  # fmt: skip
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


def collect(algorithm):
    if algorithm._last_obs is None:
        _, algorithm.test_callback = algorithm._setup_learn(STEPS)
    algorithm.collect_rollouts(algorithm.env, algorithm.test_callback, algorithm.rollout_buffer, STEPS)
    return algorithm.rollout_buffer


@pytest.mark.parametrize("num_tokens", [1, 8, 63, 64, 65, 1000])
def test_packing_loses_nothing(num_tokens):
    masks = torch.rand(5, num_tokens, generator=torch.Generator().manual_seed(0)) < 0.5
    words = pack_masks(masks)
    assert words.shape == (5, -(-num_tokens // 64))
    assert torch.equal(unpack_masks(words, num_tokens), masks)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_only_legal_tokens_are_sampled_and_their_probabilities_sum_to_one(kind):
    algorithm = maskable(kind, random=True)
    buffer = collect(algorithm)
    seen = np.stack(algorithm.env.seen)  # (steps, rows, vocabulary)
    assert len(seen) == STEPS
    at = places(buffer)
    assert seen[(*at, buffer.actions[:, 0])].all()
    (batch,) = buffer.get(None)
    whole = buffer._batch(buffer.segments())
    with torch.no_grad():
        distribution = algorithm.policy.get_distribution(whole).distribution
    assert np.array_equal(torch.isfinite(distribution.logits).numpy(), seen[at])
    torch.testing.assert_close(distribution.logits.exp().sum(-1), torch.ones(len(at[0])))
    # Without masks the model would often have written other tokens.
    free = collect(maskable(kind))
    assert not seen[(*places(free), free.actions[:, 0])].all()
    assert batch.action_masks.shape == (len(at[0]), -(-NUM_TOKENS // 64))


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
@pytest.mark.parametrize("policy", [{}, {"max_logits": 3 * NUM_TOKENS}, {"top_p": 0.9, "temperature": 1.5}])
def test_the_ratio_is_one_at_the_first_minibatch(kind, policy):
    algorithm = maskable(kind, random=True, policy=policy)
    algorithm.rollout_buffer.bind(algorithm.policy)
    for _ in range(2):  # the second rollout begins in the middle of episodes
        for batch in collect(algorithm).get(16):
            evaluated = algorithm.policy.evaluate_actions(batch.observations, batch.actions, batch.action_masks)
            torch.testing.assert_close(
                (evaluated[1] - batch.old_log_prob).exp(), torch.ones(len(batch.actions)), atol=1e-4, rtol=0
            )
            assert torch.isfinite(evaluated[2]).all()


def test_the_update_is_that_of_sb3_contribs_buffer():
    """Float masks, one prefix per token and sb3-contrib's own buffer give the same loss and gradient."""
    results = []
    steps, rows = places(collect(maskable(random=True)))
    for buffer in (None, MaskableDictRolloutBuffer):
        algorithm = maskable(random=True, buffer=buffer)
        collect(algorithm)
        (batch,) = algorithm.rollout_buffer.get(None)
        if buffer is not None:  # the same completions, those that have ended
            batch = algorithm.rollout_buffer._get_samples(rows * STEPS + steps)
        with torch.no_grad():
            for parameter in algorithm.policy.lm.parameters():
                parameter.add_(0.01)
        actions = batch.actions.long().flatten()
        values, log_probs, entropies = algorithm.policy.evaluate_actions(
            batch.observations, actions, action_masks=batch.action_masks
        )
        ratio = (log_probs - batch.old_log_prob).exp()
        loss = (batch.advantages * ratio).mean() + (batch.returns - values.flatten()).pow(2).mean() - entropies.mean()
        loss.backward()
        results.append(
            (loss, torch.cat([p.grad.flatten() for p in algorithm.policy.parameters() if p.grad is not None]))
        )
    (loss, gradient), (expected_loss, expected) = results
    torch.testing.assert_close(loss, expected_loss, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradient, expected, atol=1e-4 * expected.abs().max().item(), rtol=1e-3)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_it_is_ppo_where_only_the_rules_mask(kind):
    rules = {"min_new_tokens": 3, "banned_tokens": [5, 6]}
    ends = []
    for masks in (True, False):
        algorithm = maskable(kind, masks=masks, env=rules)
        algorithm.learn(2 * ROWS * STEPS)
        ends.append(torch.cat([p.detach().flatten() for p in algorithm.policy.parameters()]))
    torch.testing.assert_close(*ends, atol=1e-6, rtol=1e-5)


def test_masks_come_through_the_vector_environment():
    algorithm = maskable(env={"min_new_tokens": 3, "banned_tokens": [5, 6]})
    env = algorithm.env
    env.reset()
    masks = get_action_masks(env)
    end = env.observation_space.eos_token_ids[0]
    assert masks.shape == (ROWS, NUM_TOKENS)
    assert not masks[:, [5, 6, end]].any()
    assert masks.sum() == ROWS * (NUM_TOKENS - 3)


def test_masks_come_through_reward_transforms(small_env):
    algorithm = make(
        "maskable_ppo", "textgym/Copy-v0", n_envs=4, n_steps=8, batch_size=32, env_kwargs=small_env,
        reward_transform="scale=2",
    )  # fmt: skip
    algorithm.learn(32)
    assert algorithm.env.has_attr("action_masks")
    assert not algorithm.env.has_attr("no_such_thing")


def test_memory_per_token():
    """One more mask than without where they follow from the rules; a bit a token where all of them differ."""
    plain = collect(maskable(masks=False, env={"min_new_tokens": 3}))
    buffer = collect(maskable(env={"min_new_tokens": 3}))
    words = -(-NUM_TOKENS // 64) * 8
    assert len(buffer.masks) == 2  # early, and everything
    assert buffer.nbytes_per_token == pytest.approx(plain.nbytes_per_token + words / (ROWS * STEPS))
    free = collect(maskable(masks=False)).nbytes_per_token
    random = collect(maskable(random=True))
    assert len(random.masks) == 1 + ROWS * STEPS
    assert random.nbytes_per_token < free + 8 + words
    assert words <= NUM_TOKENS / 8 + 8


def test_masks_of_carried_steps_are_kept_and_others_are_forgotten():
    algorithm = maskable(random=True)
    for rollout in range(3):
        buffer = collect(algorithm)
        seen = np.stack(algorithm.env.seen)  # (steps, rows, vocabulary)
        masks = buffer._batch(buffer.segments()).masks
        assert np.array_equal(unpack_masks(masks, NUM_TOKENS).numpy(), seen[places(buffer, rollout * STEPS)])
    carried = sum(len(piece) for piece in buffer._open.values())
    assert carried
    state = buffer.get_state()
    assert len(state["masks"]) == 1 + carried
    again = maskable(random=True).rollout_buffer
    again.set_state(state)
    for row, piece in buffer._open.items():
        words = [
            table.masks.masks(one.steps["mask_numbers"]) for table, one in ((buffer, piece), (again, again._open[row]))
        ]
        assert np.array_equal(*words)
    buffer.reset()
    assert len(buffer.masks) == 1 + carried


def test_the_kl_to_the_reference_is_zero_before_training():
    algorithm = maskable(random=True, policy={"reference": True}, rollout_buffer_kwargs={"kl_coef": 0.1})
    algorithm.rollout_buffer.bind(algorithm.policy)
    buffer = collect(algorithm)
    assert abs(buffer.stats["kl_per_token"]) < 1e-5


def test_predict_and_evaluate_take_masks():
    algorithm = maskable(random=True)
    obs = algorithm.env.reset()
    only = np.zeros((ROWS, NUM_TOKENS), bool)
    only[np.arange(ROWS), [7, 8, 9, 10]] = True
    for deterministic in (True, False):
        actions, _ = algorithm.predict(obs, deterministic=deterministic, action_masks=only)
        assert actions.tolist() == [7, 8, 9, 10]
    one, _ = algorithm.predict({name: array[1] for name, array in obs.items()}, action_masks=only[1])
    assert one == 8
    assert algorithm.predict(obs)[0].shape == (ROWS,)
    mean, _ = evaluate_policy(algorithm, algorithm.env, n_eval_episodes=4)
    assert 0 <= mean <= 1


def test_a_run_without_masking():
    algorithm = maskable(random=True)
    algorithm.learn(ROWS * STEPS, use_masking=False)
    assert not algorithm.env.seen
    assert next(algorithm.rollout_buffer.get(8)).action_masks is None


@pytest.mark.parametrize(
    ("masks", "message"),
    [(np.zeros((ROWS, NUM_TOKENS)), "no token in row 0"), (np.ones((ROWS, 7)), "one entry for each")],
)
def test_masks_that_make_no_sense(masks, message):
    algorithm = maskable()
    with pytest.raises(ConfigError, match=message):
        algorithm.predict(algorithm.env.reset(), action_masks=masks)


def test_save_and_load(tmp_path):
    algorithm = maskable()
    algorithm.learn(ROWS * STEPS)
    algorithm.save(tmp_path / "maskable.zip")
    again = MaskablePPO.load(tmp_path / "maskable.zip")
    obs = algorithm.env.reset()
    assert np.array_equal(again.predict(obs, deterministic=True)[0], algorithm.predict(obs, deterministic=True)[0])


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_by_name(kind, tmp_path, small_env):
    model = tiny_model(kind)
    made = make(
        "maskable_ppo", "textgym/Copy-v0", model, n_envs=4, n_steps=16, batch_size=32, seed=0, env_kwargs=small_env
    )
    assert type(made) is MaskablePPO
    made.learn(128)
    assert made.rollout_buffer.stats["kl_coef"] == 0.01
    made.save(tmp_path / "maskable_ppo.zip")
    load("maskable_ppo", tmp_path / "maskable_ppo.zip", made.env).learn(64)
