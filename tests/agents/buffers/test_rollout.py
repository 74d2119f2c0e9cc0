"""The rollout buffer: whole completions, the loss and gradient of one prefix per token, and the KL in the reward."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import DictRolloutBuffer

from tests.agents.rollouts import places
from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError, ResetNeededError
from textgym_agents import AdaptiveKL, EpisodeRolloutBuffer, LanguageModelPolicy, make, make_vec_env

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
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


def loss_of(algorithm, batch):
    """PPO's loss, as its train() computes it, without advantage normalization."""
    values, log_prob, entropy = algorithm.policy.evaluate_actions(batch.observations, batch.actions.long().flatten())
    ratio = torch.exp(log_prob - batch.old_log_prob)
    policy_loss = -torch.min(batch.advantages * ratio, batch.advantages * ratio.clamp(0.8, 1.2)).mean()
    value_loss = torch.nn.functional.mse_loss(batch.returns, values.flatten())
    return policy_loss + 0.5 * value_loss - 0.01 * entropy.mean()


def naive_rollouts(model, count):
    """SB3's own buffer after each of several rollouts: (rollouts * steps, rows) observations, actions and the rest."""
    algorithm, rollouts = ppo(model, DictRolloutBuffer), []
    for _ in range(count):
        buffer = collect(algorithm)
        arrays = {f"obs/{name}": array for name, array in buffer.observations.items()}
        arrays |= {name: getattr(buffer, name) for name in ("actions", "log_probs", "advantages", "returns", "rewards")}
        rollouts.append({name: array.copy() for name, array in arrays.items()})
    return algorithm, {name: np.concatenate([rollout[name] for rollout in rollouts]) for name in rollouts[0]}


def test_loss_and_gradient_equal_the_naive_path(any_model):
    """The same completions through SB3's DictRolloutBuffer (a prefix per token) and ours (one pass per completion)."""
    naive, arrays = naive_rollouts(any_model, 2)
    ours = ppo(any_model)
    collect(ours)
    buffer = collect(ours)
    buffer.rng = SimpleNamespace(permutation=np.arange)
    (batch,) = buffer.get(None)
    at = places(buffer, STEPS)
    assert at[0].min() < STEPS  # some began in the rollout before
    chosen = {name: torch.as_tensor(array[at]) for name, array in arrays.items()}
    assert torch.equal(chosen["actions"].flatten().long(), batch.actions)
    torch.testing.assert_close(chosen["log_probs"], batch.old_log_prob, atol=1e-4, rtol=1e-4)
    plain = batch._replace(
        observations={name.removeprefix("obs/"): value for name, value in chosen.items() if name.startswith("obs/")}
    )
    results = []
    for algorithm, one in ((naive, plain), (ours, batch)):
        # Away from the rollout's weights, where the ratio is 1 and the gradient of its clipped part hides mistakes.
        with torch.no_grad():
            for parameter in algorithm.policy.lm.parameters():
                parameter.add_(0.01)
        loss = loss_of(algorithm, one)
        loss.backward()
        results += [(loss, torch.cat([p.grad.flatten() for p in algorithm.policy.parameters() if p.grad is not None]))]
    (naive_loss, naive_gradient), (ours_loss, gradient) = results
    torch.testing.assert_close(ours_loss, naive_loss, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient, naive_gradient, atol=1e-4 * naive_gradient.abs().max().item(), rtol=1e-3)
    assert naive_gradient.abs().max() > 1e-3


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
    """Of completions that no rollout's end has cut: SB3's own are bootstrapped there."""
    buffer, (_, theirs) = collect(ppo(model)), naive_rollouts(model, 1)
    at = places(buffer)
    for name in ("advantages", "returns"):
        np.testing.assert_allclose(getattr(buffer, name)[:, 0], theirs[name][at], atol=1e-5)
    assert np.abs(buffer.advantages).max() > 0.1


def test_every_completion_is_learned_from_once_and_whole():
    """Over several rollouts, against those that the environment's rows played."""
    algorithm = ppo(tiny_model("gpt2"))
    rollouts, learned = 5, []
    for rollout in range(rollouts):
        buffer = collect(algorithm)
        at = places(buffer, rollout * STEPS)
        buffer.rng = SimpleNamespace(permutation=np.arange)
        (batch,) = buffer.get(None)
        for values in (buffer.values, buffer.returns, buffer.rewards, batch.actions, batch.old_log_prob):
            assert values.size if isinstance(values, np.ndarray) else len(values) == len(at[0])
        learned += [
            (row, step, int(action), float(reward), float(log_prob))
            for step, row, action, reward, log_prob in zip(
                *at, batch.actions, buffer.rewards[:, 0], batch.old_log_prob, strict=True
            )
        ]
    _, played = naive_rollouts(tiny_model("gpt2"), rollouts)
    whole = [
        (row, step, int(played["actions"][step, row, 0]), played["rewards"][step, row], played["log_probs"][step, row])
        for row in range(ROWS)
        for step in range(rollouts * STEPS - len(buffer._open.get(row, ())))
    ]
    assert [one[:3] for one in sorted(learned)] == [one[:3] for one in whole]
    np.testing.assert_allclose([one[3:] for one in sorted(learned)], [one[3:] for one in whole], atol=1e-4)


def test_a_completion_that_never_goes_on_is_dropped():
    algorithm = ppo(tiny_model("gpt2"))
    cut = dict(collect(algorithm)._open)
    assert cut
    algorithm._last_obs = None  # the environment is reset
    buffer = collect(algorithm)
    assert all(segment.carried == 0 and segment.num_generated == 0 for segment in buffer.segments())
    assert all(len(piece) <= STEPS for piece in buffer._open.values())
    buffer._open = cut  # of two rollouts ago: what comes now goes on with something else
    collect(algorithm)
    assert not any(segment.carried for segment in buffer.segments())
    assert any(segment.num_generated > 0 for segment in buffer.segments())


def test_a_rollout_in_which_nothing_ends_changes_nothing():
    env = make_vec_env("textgym/Copy-v0", 3, max_prompt_tokens=12, max_new_tokens=10, min_new_tokens=9, seed=3)
    options = {"ent_coef": 0.1, "rollout_buffer_class": EpisodeRolloutBuffer, "learning_rate": 0.1}
    for cls, more in ((PPO, {"batch_size": 8, "n_epochs": 2}), (A2C, {"use_rms_prop": False})):
        algorithm = cls(
            LanguageModelPolicy, env, n_steps=4, seed=0, policy_kwargs={"model": tiny_model("gpt2")}, **more, **options
        )
        before = [p.detach().clone() for p in algorithm.policy.parameters()]
        with pytest.warns(UserWarning, match=r"rollout of 4 steps no completion ended.*n_steps to 10 .max_new_tokens"):
            algorithm.learn(12)
        assert all(torch.equal(p, q) for p, q in zip(algorithm.policy.parameters(), before, strict=True))
        assert algorithm._n_updates > 0
        assert algorithm.rollout_buffer.idle
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # once is enough
            algorithm.learn(24, reset_num_timesteps=False)
        assert not algorithm.rollout_buffer.idle
        assert [len(segment) >= 9 for segment in algorithm.rollout_buffer.segments()] == [True] * 3
        assert not torch.equal(algorithm.policy.lm.lm_head.weight, before[0])


def test_the_kl_and_its_controller_count_whole_completions():
    seen = []
    controller = AdaptiveKL(0.1, target=6.0)
    controller.update = lambda kl, episodes: seen.append(episodes)
    made = kl_run(controller)
    for _ in range(3):
        buffer = collect(made, 12)
        assert seen[-1] == len(buffer.segments())
        assert buffer.stats["kl"] == pytest.approx(buffer.stats["kl_per_token"] * buffer.actions.size / seen[-1])
    made = kl_run(0.1)
    made.rollout_buffer.reference = SimpleNamespace(  # 1 nat more than the policy for each token
        reference_log_probs=lambda batch, actions: (
            torch.as_tensor(
                np.concatenate(
                    [made.rollout_buffer.log_probs[s.start : s.stop, 0] for s in made.rollout_buffer.segments()]
                )
            )
            - 1
        )
    )
    buffer = collect(made, 12)
    assert buffer.stats["kl"] == pytest.approx(np.mean([len(s) for s in buffer.segments()]), rel=1e-4)


def test_minibatches_are_whole_completions_and_cover_every_action_once():
    buffer = collect(ppo(tiny_model("gpt2")))
    count = len(buffer.values)
    buffer.values[:, 0] = np.arange(count)  # an id per action
    seen = []
    for batch in buffer.get(16):
        seen += batch.old_values.tolist()
        actions = np.concatenate([sequence.actions for sequence in batch.observations.sequences])
        assert actions.tolist() == batch.actions.tolist()
    assert sorted(seen) == list(range(count))
    assert count > STEPS * ROWS / 2


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
        algorithm = ppo(tiny_model(kind))
        for _ in range(3):  # what is carried over keeps nothing of earlier rollouts alive
            buffer = collect(algorithm)
            pieces = list(buffer._open.values())
            arrays = [a for a in vars(buffer).values() if isinstance(a, np.ndarray)]
            arrays += [a for piece in pieces for a in piece.steps.values()]
            assert all(a.base is None or a.base.nbytes == a.nbytes for a in arrays)
            arrays += [a for s in [*buffer.segments(), *pieces] for a in (s.context, s.prompt) if a is not None]
            held = sum({id(a): a.nbytes for a in arrays}.values()) + buffer.masks.nbytes
            tokens = len(buffer.actions) + sum(map(len, pieces))
            assert buffer.nbytes_per_token == held / tokens
            assert (held - buffer.masks.nbytes) / tokens <= 64


def test_segments_hold_the_number_of_tokens_generated_before():
    algorithm = ppo(tiny_model("gpt2"))
    collect(algorithm)
    algorithm.rollout_buffer._open.clear()  # as where the beginning isn't known
    buffer = collect(algorithm)
    assert any(s.num_generated > 0 for s in buffer.segments())
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
    made, plain = kl_run(0.5), kl_run(0)
    for algorithm in (made, plain):
        collect(algorithm, 12)
    made.train()
    plain.policy.load_state_dict(made.policy.state_dict())
    buffer, rewards = collect(made, 12), collect(plain, 12).rewards
    expected = np.zeros_like(rewards)
    for segment in buffer.segments():
        of_it = slice(segment.start, segment.stop)
        tokens = torch.as_tensor(np.concatenate([segment.context, buffer.actions[of_it, 0]]))
        first = len(segment.context) - 1
        actions = torch.as_tensor(buffer.actions[of_it, 0])
        with torch.no_grad():
            hidden = made.policy.reference.copy.transformer(tokens[None, :-1]).last_hidden_state[0, first:]
            logits = made.policy.reference.copy.lm_head(hidden)[:, : made.policy.num_actions]
        reference = logits.log_softmax(-1).gather(1, actions[:, None].long())[:, 0].numpy()
        expected[of_it, 0] = -0.5 * (buffer.log_probs[of_it, 0] - reference)
    np.testing.assert_allclose(buffer.rewards, rewards + expected, atol=1e-4)
    assert np.abs(expected).max() > 1e-4
    kept = buffer.rewards.copy()
    buffer.compute_returns_and_advantage(torch.zeros(4), np.zeros(4))
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
