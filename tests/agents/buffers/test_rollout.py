"""The rollout buffer: whole episodes, the same loss and gradient as one prefix per token, and the KL in the reward."""

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import DictRolloutBuffer

from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError, ResetNeededError
from textgym_agents import AdaptiveKL, EpisodeRolloutBuffer, FixedKL, LanguageModelPolicy, make, make_vec_env

ROWS, STEPS = 5, 14


def collect(algorithm, num_steps=STEPS):
    """Fill the algorithm's buffer with one rollout by its own, unmodified code."""
    if algorithm._last_obs is None:
        _, callback = algorithm._setup_learn(num_steps)
        algorithm.test_callback = callback
    algorithm.collect_rollouts(algorithm.env, algorithm.test_callback, algorithm.rollout_buffer, num_steps)
    return algorithm.rollout_buffer


def ppo(model, buffer_class=EpisodeRolloutBuffer, **options):
    seq2seq = model.config.is_encoder_decoder
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    env = make_vec_env("textgym/Copy-v0", ROWS, max_prompt_tokens=12, max_new_tokens=10, seed=3, **form)
    made = PPO(
        LanguageModelPolicy, env, n_steps=STEPS, batch_size=16, gamma=0.98, gae_lambda=0.9,
        seed=3, policy_kwargs={"model": model}, rollout_buffer_class=buffer_class, **options,
    )  # fmt: skip
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.05, generator=torch.Generator().manual_seed(1))
    return made


def loss_of(algorithm, batch):
    """PPO's loss, as its train() computes it, without advantage normalization."""
    values, log_prob, entropy = algorithm.policy.evaluate_actions(batch.observations, batch.actions.long().flatten())
    ratio = torch.exp(log_prob - batch.old_log_prob)
    policy_loss = -torch.min(batch.advantages * ratio, batch.advantages * ratio.clamp(0.8, 1.2)).mean()
    value_loss = torch.nn.functional.mse_loss(batch.returns, values.flatten())
    return policy_loss + 0.5 * value_loss - 0.01 * entropy.mean()


def test_loss_and_gradient_equal_the_naive_path(any_model):
    """The same rollout through SB3's DictRolloutBuffer (one prefix per token) and ours (one pass per episode)."""
    results = []
    for buffer_class in (DictRolloutBuffer, EpisodeRolloutBuffer):
        algorithm = ppo(any_model, buffer_class)
        collect(algorithm)
        collect(algorithm)  # the second rollout begins in the middle of episodes
        (batch,) = algorithm.rollout_buffer.get(None)
        # Away from the rollout's weights, where the ratio is 1 and the gradient of its clipped part hides mistakes.
        with torch.no_grad():
            for parameter in algorithm.policy.lm.parameters():
                parameter.add_(0.01)
        loss = loss_of(algorithm, batch)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in algorithm.policy.parameters() if p.grad is not None])
        results.append((loss, gradient, batch.actions.flatten().long().sort().values))
    (naive_loss, naive, naive_actions), (ours_loss, ours, ours_actions) = results
    assert torch.equal(naive_actions, ours_actions)
    torch.testing.assert_close(ours_loss, naive_loss, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours, naive, atol=1e-4 * naive.abs().max().item(), rtol=1e-3)
    assert naive.abs().max() > 1e-3


def test_ratio_is_one_and_kl_zero_at_the_first_minibatch(any_model):
    algorithm = ppo(any_model)
    for _ in range(2):
        buffer = collect(algorithm)
        for batch in buffer.get(16):
            with torch.no_grad():
                values, log_prob, _ = algorithm.policy.evaluate_actions(batch.observations, batch.actions)
            torch.testing.assert_close(
                (log_prob - batch.old_log_prob).exp(), torch.ones_like(log_prob), atol=1e-4, rtol=0
            )
            torch.testing.assert_close(values.flatten(), batch.old_values, atol=1e-4, rtol=1e-4)


def test_ppo_reports_no_kl_and_no_clipping_in_a_single_update(model):
    algorithm = ppo(model, n_epochs=1)
    algorithm.batch_size = ROWS * STEPS
    collect(algorithm)
    algorithm.train()
    assert abs(algorithm.logger.name_to_value["train/approx_kl"]) < 1e-6
    assert algorithm.logger.name_to_value["train/clip_fraction"] == 0


def test_advantages_equal_sb3s(model):
    ours, theirs = (collect(ppo(model, cls)) for cls in (EpisodeRolloutBuffer, DictRolloutBuffer))
    np.testing.assert_allclose(ours.advantages, theirs.advantages, atol=1e-5)
    np.testing.assert_allclose(ours.returns, theirs.returns, atol=1e-5)
    assert np.array_equal(ours.episode_starts, theirs.episode_starts)


def test_minibatches_are_whole_segments_and_cover_every_action_once():
    buffer = collect(ppo(tiny_model("gpt2")))
    buffer.values[:] = np.arange(ROWS * STEPS).reshape(STEPS, ROWS)  # an id per action
    seen = []
    for batch in buffer.get(16):
        seen += batch.old_values.tolist()
        actions = np.concatenate([sequence.actions for sequence in batch.observations.sequences])
        assert actions.tolist() == batch.actions.tolist()
    assert sorted(seen) == list(range(ROWS * STEPS))


def test_the_order_of_minibatches_is_seeded_and_changes_between_epochs():
    buffer = collect(ppo(tiny_model("gpt2")))
    buffer.rng = np.random.default_rng(0)
    first, second = ([b.actions.tolist() for b in buffer.get(16)] for _ in range(2))
    buffer.rng = np.random.default_rng(0)
    again = [b.actions.tolist() for b in buffer.get(16)]
    assert first == again
    assert first != second


def test_memory_per_token_does_not_grow_with_length_or_vocabulary():
    for kind in ("gpt2", "t5"):
        buffer = collect(ppo(tiny_model(kind)))
        arrays = {
            id(a): a.nbytes for a in vars(buffer).values() if isinstance(a, np.ndarray) and a.size >= ROWS * STEPS
        }
        kept = {id(a): a.nbytes for s in buffer.segments() for a in (s.context, s.prompt) if a is not None}
        assert buffer.nbytes_per_token == (sum(arrays.values()) + sum(kept.values())) / (ROWS * STEPS)
        assert buffer.nbytes_per_token <= 64


def test_segments_hold_the_number_of_tokens_generated_before():
    algorithm = ppo(tiny_model("gpt2"))
    collect(algorithm)
    buffer = collect(algorithm)
    carried = [s for s in buffer.segments() if s.start == 0]
    assert any(s.num_generated > 0 for s in carried)
    for segment in buffer.segments():
        prompt = len(segment.context) - segment.num_generated
        assert 0 < prompt <= 12
        assert segment.num_generated + len(segment) <= 10


def test_a2c_gets_everything_in_one_batch():
    env = make_vec_env("textgym/Copy-v0", 3, max_prompt_tokens=12, max_new_tokens=10, seed=3)
    options = {"policy_kwargs": {"model": tiny_model("gpt2")}, "rollout_buffer_class": EpisodeRolloutBuffer}
    a2c = A2C(LanguageModelPolicy, env, n_steps=10, seed=0, **options)
    a2c.learn(60)
    assert a2c._n_updates == 2


def kl_run(kl_coef, lora=None, kind="gpt2", **options):
    made = make(
        "ppo", "textgym/Copy-v0", tiny_model(kind), n_envs=4, n_steps=12, batch_size=24, seed=0, kl_coef=kl_coef,
        lora=lora,
        learning_rate=5e-3, env_kwargs={"max_prompt_tokens": 12, "max_new_tokens": 10},
        policy_kwargs={"optimizer_kwargs": {"eps": 1e-8}}, **options,
    )  # fmt: skip
    return made


@pytest.mark.parametrize("lora", [None, 4])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_kl_is_zero_before_training_and_grows_with_it(kind, lora):
    made = kl_run(0.1, lora, kind)
    collect(made, 12)
    assert abs(made.rollout_buffer.stats["kl_per_token"]) < 1e-6
    made.train()
    made.train()
    collect(made, 12)
    assert made.rollout_buffer.stats["kl_k3_per_token"] > 1e-5


def test_kl_is_subtracted_from_each_tokens_reward_once():
    made = kl_run(0.5)
    collect(made, 12)
    made.train()
    buffer = made.rollout_buffer
    buffer.kl_controller = None
    collect(made, 12)
    rewards = buffer.rewards.copy()
    buffer.kl_controller, buffer._kl_applied = FixedKL(0.5), False
    last = torch.zeros(4)
    buffer.compute_returns_and_advantage(last, np.zeros(4))
    expected = np.zeros_like(rewards)
    for segment in buffer.segments():
        tokens = torch.as_tensor(
            np.concatenate([segment.context, buffer.actions[segment.start : segment.stop, segment.row]])
        )
        first = len(segment.context) - 1
        actions = torch.as_tensor(buffer.actions[segment.start : segment.stop, segment.row])
        with torch.no_grad():
            hidden = made.policy.reference.copy.transformer(tokens[None, :-1]).last_hidden_state[0, first:]
            logits = made.policy.reference.copy.lm_head(hidden)[:, : made.policy.num_actions]
        reference = logits.log_softmax(-1).gather(1, actions[:, None].long())[:, 0].numpy()
        ratio = buffer.log_probs[segment.start : segment.stop, segment.row] - reference
        expected[segment.start : segment.stop, segment.row] = -0.5 * ratio
    np.testing.assert_allclose(buffer.rewards, rewards + expected, atol=1e-4)
    assert np.abs(expected).max() > 1e-4
    kept = buffer.rewards.copy()
    buffer.compute_returns_and_advantage(last, np.zeros(4))
    assert np.array_equal(kept, buffer.rewards)


def test_adaptive_kl_moves_its_coefficient():
    controller = AdaptiveKL(0.1, target=1e-6, horizon=50)
    made = kl_run(controller)
    made.learn(4 * 12 * 4)
    assert made.rollout_buffer.kl_controller.coef > 0.1


def test_kl_without_a_reference_is_an_error():
    algorithm = ppo(tiny_model("gpt2"), rollout_buffer_kwargs={"kl_coef": 0.1})
    with pytest.raises(ConfigError, match="no reference model"):
        collect(algorithm)
    algorithm.rollout_buffer.bind(algorithm.policy)
    with pytest.raises(ConfigError, match="keeps no reference"):
        collect(algorithm)


def test_other_observations_are_refused():
    env = make_vec_env("textgym/Copy-v0", 2)
    with pytest.raises(ConfigError, match="input_ids and attention_mask"):
        EpisodeRolloutBuffer(4, env.observation_space["input_ids"], env.action_space)


def test_an_observation_that_jumps_is_refused():
    buffer = collect(ppo(tiny_model("gpt2")))
    obs = {name: array.copy() for name, array in ppo(tiny_model("gpt2")).env.reset().items()}
    buffer.reset()
    step = (np.zeros(ROWS), np.zeros(ROWS), np.zeros(ROWS, bool), torch.zeros(ROWS), torch.zeros(ROWS))
    buffer.add(obs, *step)
    with pytest.raises(ConfigError, match="doesn't continue the one before"):
        buffer.add(obs, *step)


def test_get_before_the_buffer_is_full():
    buffer = ppo(tiny_model("gpt2")).rollout_buffer
    with pytest.raises(ResetNeededError, match="holds 0 of 14 steps"):
        next(buffer.get(4))
