"""Rollouts of whole episodes in groups: what is played, what is stored, what callbacks see, and that runs repeat."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env as make_sb3_env
from stable_baselines3.common.evaluation import evaluate_policy

from tests.agents.four_tokens import END, HORIZON, PROMPTS, RETURNS, log_probs, make_env, make_model
from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError, ResetNeededError
from textgym.wrappers import RewardWrapper
from textgym_agents.algorithms.bc import BC
from textgym_agents.algorithms.grpo import GRPO
from textgym_agents.algorithms.q_learning import QLearning
from textgym_agents.algorithms.reinforce import REINFORCE
from textgym_agents.algorithms.rloo import RLOO
from textgym_agents.algorithms.sarsa import SARSA
from textgym_agents.algorithms.scst import SCST
from textgym_agents.buffers.episodes import EpisodeStore
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.envs.vec_env import TextVecEnv, make_vec_env
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.q_learning import QLearningPolicy

ALL = pytest.mark.parametrize("algorithm", [REINFORCE, SCST, RLOO, GRPO])
BOTH = pytest.mark.parametrize("seq2seq", [False, True], ids=["causal", "seq2seq"])
ROWS, GROUPS, K = 5, 7, 3
TINY = "textgym/tiny"


def build(algorithm=RLOO, seq2seq=False, rows=ROWS, env=None, kl_coef=0.0, **options):
    return algorithm(
        LanguageModelPolicy,
        make_env(rows, seq2seq=seq2seq) if env is None else env,
        **{
            "prompts_per_rollout": GROUPS,
            "group_size": K,
            "seed": 0,
            "policy_kwargs": {"model": make_model(seq2seq), "reference": kl_coef != 0},
            "rollout_buffer_kwargs": {"kl_coef": kl_coef},
            **options,
        },
    )


def on_copy(model, algorithm=RLOO, **options):
    seq2seq = model.config.is_encoder_decoder
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    env = make_vec_env("textgym/Copy-v0", ROWS, max_prompt_tokens=12, max_new_tokens=10, **form)
    return build(algorithm, seq2seq, env=env, policy_kwargs={"model": model}, **options)


class Watch(BaseCallback):
    """Remembers which rows played in each step, and stops after so many steps."""

    def __init__(self, stop=10**9):
        super().__init__()
        self.stop, self.playing, self.begun = stop, [], []

    def _on_step(self):
        self.playing.append(int((self.locals["queue"].episode_of >= 0).sum()))
        self.begun.append(self.locals["queue"].begun)
        return self.n_calls < self.stop


def collect(made, callback=None):
    _, callback = made._setup_learn(1, callback)
    assert made.collect_rollouts(made.env, callback, made.rollout_buffer, 1)
    return made.rollout_buffer


def weights(made):
    return torch.cat([p.detach().flatten().clone() for p in made.policy.parameters()])


# ---------------------------------------------------------------------- what is played and stored


@BOTH
def test_a_rollout_holds_whole_episodes_in_groups_of_one_prompt(seq2seq):
    store = collect(build(seq2seq=seq2seq))
    segments = store.segments()
    assert len(segments) == GROUPS * K
    assert len({len(segment) for segment in segments}) > 1
    prompts = []
    for i, segment in enumerate(segments):
        actions = store.actions[segment.start : segment.stop, 0]
        assert END not in actions[:-1]
        assert actions[-1] == END or len(actions) == HORIZON
        assert store.scores[i // K, i % K] == pytest.approx(RETURNS[tuple(actions.tolist())], abs=1e-6)
        prompts.append(tuple((segment.prompt if seq2seq else segment.context).tolist()))
    for group in range(GROUPS):
        assert len(set(prompts[group * K : group * K + K])) == 1
    assert len(set(prompts)) == len(PROMPTS)


@BOTH
def test_log_probabilities_are_those_of_plain_passes(seq2seq):
    made = build(seq2seq=seq2seq, prompts_per_rollout=20)
    store = collect(made)
    checked = 0
    for segment in store.segments():
        prompt = segment.prompt if seq2seq else segment.context
        if prompt.tolist() == [1, 2]:  # the one that log_probs() is for
            (expected,) = log_probs(made.policy.lm, [store.actions[segment.start : segment.stop, 0].tolist()])
            np.testing.assert_allclose(
                store.log_probs[segment.start : segment.stop, 0], expected.detach().numpy(), atol=1e-4
            )
            checked += 1
    assert checked >= K


def test_rows_are_busy_until_no_episode_is_left_to_begin():
    watch = Watch()
    collect(build(), watch)
    episodes = GROUPS * K
    assert watch.begun[0] == ROWS
    assert watch.begun[-1] == episodes
    for playing, begun in zip(watch.playing, watch.begun, strict=True):
        assert playing == ROWS or begun == episodes
    assert watch.playing[-1] < ROWS


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "bart"])
def test_the_ratio_is_one_at_the_first_minibatch(kind):
    made = on_copy(tiny_model(kind))
    for _ in range(2):
        for batch in collect(made).get(16):
            with torch.no_grad():
                values, log_prob, _ = made.policy.evaluate_actions(batch.observations, batch.actions)
            torch.testing.assert_close(log_prob, batch.old_log_prob, atol=1e-4, rtol=0)
            torch.testing.assert_close(values.flatten(), batch.old_values, atol=1e-4, rtol=1e-4)


def test_grpo_reports_no_change_and_no_clipping_in_its_first_step():
    made = on_copy(tiny_model("gpt2"), GRPO, n_epochs=1, batch_size=None)
    collect(made)
    made.train()
    assert abs(made.logger.name_to_value["train/approx_kl"]) < 1e-6
    assert made.logger.name_to_value["train/clip_fraction"] == 0


def test_minibatches_are_whole_episodes_and_cover_every_token_once():
    store = collect(build())
    store.values[:, 0] = np.arange(store.buffer_size)  # an id per token
    seen = []
    for batch in store.get(12):
        seen += batch.old_values.tolist()
        assert np.concatenate([one.actions for one in batch.observations.sequences]).tolist() == batch.actions.tolist()
        assert batch.weights.sum().item() == pytest.approx(1)  # a mean over tokens
    assert sorted(seen) == list(range(store.buffer_size))


def test_minibatches_hold_each_tokens_reward_and_no_advantages_until_they_are_set():
    store = collect(build())
    for batch in store.get(12):
        ends = np.cumsum(batch.lengths) - 1
        assert [len(one.actions) for one in batch.observations.sequences] == batch.lengths.tolist()
        completions = np.split(batch.actions.numpy(), ends[:-1] + 1)
        assert batch.rewards[ends] == pytest.approx([RETURNS[tuple(one.tolist())] for one in completions], abs=1e-6)
        assert np.delete(batch.rewards, ends).tolist() == [0] * (len(batch.rewards) - len(ends))
        assert batch.advantages.isnan().all()
    store.set_advantages(store.scores)
    assert all(batch.advantages.isfinite().all() for batch in store.get(12))


def test_advantages_of_episodes_go_to_all_their_tokens():
    store = collect(build())
    store.set_advantages(np.arange(GROUPS * K, dtype=float).reshape(GROUPS, K))
    for i, segment in enumerate(store.segments()):
        assert (store.advantages[segment.start : segment.stop, 0] == i).all()
    with pytest.raises(ConfigError, match=r"shape \(3,\), expected \(7, 3\)"):
        store.set_advantages(np.zeros(3))


def test_scst_compares_with_the_greedy_episode_of_the_same_prompt():
    made = build(SCST, prompts_per_rollout=9)
    store = collect(made)
    for group in range(9):
        completion, context = [], store.segments()[group * K].context
        while len(completion) < HORIZON and END not in completion:
            with torch.no_grad():
                completion.append(int(made.policy.lm(torch.tensor([[*context, *completion]])).logits[0, -1].argmax()))
        assert made.greedy_scores[group, 0] == pytest.approx(RETURNS[tuple(completion)], abs=1e-6)
    assert len(set(made.greedy_scores[:, 0].tolist())) > 1


# ---------------------------------------------------------------------- callbacks, statistics, repetition


@ALL
def test_timesteps_are_tokens_and_statistics_those_of_sampled_episodes(algorithm):
    made = build(algorithm)
    log, watch = TextLogger(), Watch()
    made.learn(120, callback=[log, watch])
    assert made.num_timesteps == sum(watch.playing) >= 120
    assert [row["episodes"] for row in log.history] == [GROUPS * K] * len(log.history)
    assert len(made.ep_info_buffer) == min(100, GROUPS * K * len(log.history))
    last = made.rollout_buffer
    assert log.history[-1]["reward"] == pytest.approx(last.scores.mean(), abs=1e-5)
    assert log.history[-1]["text/num_tokens"] == pytest.approx(last.lengths.mean())


@pytest.mark.parametrize(
    ("algorithm", "seq2seq"), [(REINFORCE, False), (SCST, False), (GRPO, False), (RLOO, False), (SCST, True)]
)
def test_the_same_seed_gives_the_same_run_and_another_does_not(algorithm, seq2seq):
    runs = [weights(build(algorithm, seq2seq, seed=seed).learn(100)) for seed in (3, 3, 4)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    start = weights(build(algorithm, seq2seq))
    assert not torch.equal(runs[0], start)


def test_the_global_random_states_are_left_alone():
    made = build()
    made._setup_learn(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    collect(made)
    made.train()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_a_callback_can_stop_and_training_can_go_on():
    made = build()
    made.learn(1000, callback=Watch(stop=4))
    assert made.num_timesteps <= 4 * ROWS
    assert made._n_updates == 0
    made.learn(60, reset_num_timesteps=False)
    assert made._n_updates > 0
    assert made.rollout_buffer.scores.shape == (GROUPS, K)


def test_sb3s_own_evaluation_works_during_and_after_training():
    made = build(env=make_vec_env("textgym/Copy-v0", ROWS, max_prompt_tokens=12, max_new_tokens=10),
                 policy_kwargs={"model": tiny_model("gpt2")})  # fmt: skip
    held_out = make_vec_env("textgym/Copy-v0", 2, max_prompt_tokens=12, max_new_tokens=10)
    theirs = EvalCallback(held_out, n_eval_episodes=3, eval_freq=20, verbose=0, warn=False)
    ours = EvaluateCallback(
        "textgym/Copy-v0", every=10**6, num_prompts=3, env_kwargs={"max_prompt_tokens": 12, "max_new_tokens": 10}
    )
    made.learn(200, callback=[theirs, ours])
    assert len(theirs.evaluations_results or [theirs.last_mean_reward]) >= 1
    assert len(ours.history) == 2
    rewards, lengths = evaluate_policy(made, made.get_env(), 6, return_episode_rewards=True, warn=False)
    assert len(rewards) == 6
    assert all(1 <= length <= 10 for length in lengths)


def test_after_a_rollout_rows_begin_anew_by_themselves_again():
    made = build()
    collect(made)
    made.env.step(np.full(ROWS, END))  # rows that waited begin
    _, _, dones, infos = made.env.step(np.full(ROWS, END))
    assert dones.all()
    assert all(info["finish_reason"] == "eos" and info["episode"]["l"] == 1 for info in infos)


# ---------------------------------------------------------------------- groups, KL, baselines


@pytest.mark.parametrize("algorithm", [SCST, RLOO, GRPO])
def test_groups_without_signal_are_counted_and_teach_nothing(algorithm):
    env = make_env(ROWS, reward=lambda samples: [1.0] * len(samples))
    made = build(algorithm, env=env)
    before = weights(made)
    made.learn(1, log_interval=None)
    assert made.logger.name_to_value["group/zero_variance"] == 1
    assert made.logger.name_to_value["group/reward_std"] == 0
    assert torch.equal(weights(made), before)


def test_groups_without_signal_can_be_skipped():
    def score(samples):  # only completions after "b" differ
        return [RETURNS[s.token_ids] if s.prompt == "b" else 1.0 for s in samples]

    made = build(env=make_env(ROWS, reward=score), skip_without_signal=True)
    store = collect(made)
    signal = np.ptp(store.scores, axis=1) > 0
    assert 0 < signal.sum() < GROUPS
    assert made.logger.name_to_value["group/zero_variance"] == pytest.approx(1 - signal.mean())
    tokens = sum(len(batch.actions) for batch in made._minibatches(store.scores))
    assert tokens == store.lengths.reshape(GROUPS, K)[signal].sum()
    made.env.env.unwrapped.mdp.reward = lambda samples: [1.0] * len(samples)
    collect(made)
    before = weights(made)
    made.train()  # nothing is left to learn from
    assert torch.equal(weights(made), before)


@pytest.mark.parametrize("algorithm", [REINFORCE, SCST, RLOO])
def test_the_kl_is_subtracted_from_the_rewards(algorithm):
    made = build(algorithm, kl_coef=0.5)
    with torch.no_grad():
        for parameter in made.policy.lm.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    store = collect(made)
    penalty = np.zeros(GROUPS * K)
    reference = make_model()
    for i, segment in enumerate(store.segments()):
        ids = torch.as_tensor(np.concatenate([segment.context, store.actions[segment.start : segment.stop, 0]])).long()
        old, new = (
            lm(ids[None, :-1]).logits[0, len(segment.context) - 1 :].log_softmax(-1).detach()
            for lm in (reference, made.policy.lm)
        )
        actions = ids[len(segment.context) :, None]
        penalty[i] = (new.gather(1, actions) - old.gather(1, actions)).sum()
    assert np.abs(penalty).max() > 0.1
    np.testing.assert_allclose(store.episode_returns, store.scores - 0.5 * penalty.reshape(GROUPS, K), atol=1e-4)
    assert store.stats["kl"] == pytest.approx(penalty.mean(), abs=1e-4)


def test_grpos_kl_is_in_the_loss_or_in_the_rewards():
    for in_loss in (True, False):
        made = build(GRPO, kl_coef=0.5, kl_in_loss=in_loss, learning_rate=0.05)
        made.learn(100)
        store = made.rollout_buffer
        assert store.stats["kl"] != 0
        assert np.array_equal(store.episode_returns, store.scores) == in_loss
        assert ("train/kl_loss" in made.logger.name_to_value) == in_loss


def test_reinforces_running_mean():
    made = build(REINFORCE, prompts_per_rollout=2, group_size=2, rows=4, baseline_decay=0.75)
    store = collect(made)
    returns = store.scores.reshape(-1)
    others = (returns.sum() - returns) / 3  # in the first rollout: the mean of the other episodes
    np.testing.assert_allclose(made._baseline(), np.repeat(others, store.lengths))
    made.train()
    first = made.running_mean
    assert first == pytest.approx(returns.mean())
    second = collect(made).scores.mean()
    assert made._baseline() == first
    made.train()
    assert made.running_mean == pytest.approx(0.75 * first + 0.25 * second)


def test_reinforces_value_head_learns_the_returns():
    def score(samples):  # does not depend on the completion, so that the value alone can learn
        return [float([prompt.text for prompt in PROMPTS].index(sample.prompt)) for sample in samples]

    made = build(REINFORCE, env=make_env(ROWS, reward=score), baseline="value", learning_rate=0.003)
    losses = []
    for _ in range(30):
        collect(made)
        made.train()
        losses.append(made.logger.name_to_value["train/value_loss"])
    assert losses[-1] < 0.3 * losses[0]


def test_a_schedule_stops_at_its_end():
    made = build(learning_rate=lambda remaining: 0.01 * remaining)
    made.learn(1)  # the one rollout has more tokens than that
    assert made.num_timesteps > 1
    assert made.policy.optimizer.param_groups[0]["lr"] == 0


# ---------------------------------------------------------------------- saving, errors


@pytest.mark.parametrize("algorithm", [REINFORCE, GRPO])
def test_a_saved_run_goes_on(algorithm, tmp_path):
    made = build(algorithm, kl_coef=0.1, policy_kwargs={"model": TINY, "reference": True},
                 env=make_vec_env("textgym/Copy-v0", 4, model=TINY, max_prompt_tokens=12, max_new_tokens=4),
                 prompts_per_rollout=4, group_size=2)  # fmt: skip
    made.learn(60)
    made.save(tmp_path / "checkpoint.zip")
    env = make_vec_env("textgym/Copy-v0", 4, model=TINY, max_prompt_tokens=12, max_new_tokens=4)
    again = algorithm.load(tmp_path / "checkpoint.zip", env)
    assert torch.equal(weights(again), weights(made))
    assert again.rollout_buffer.reference is again.policy
    if algorithm is REINFORCE:
        assert again.running_mean == made.running_mean
    before = again.num_timesteps
    again.learn(40, reset_num_timesteps=False)
    assert again.num_timesteps >= before + 40
    assert not torch.equal(weights(again), weights(made))
    alone = algorithm.load(tmp_path / "checkpoint.zip")
    assert alone.predict(env.reset(), deterministic=True)[0].shape == (4,)


def test_an_id_is_enough():
    made = RLOO(LanguageModelPolicy, "textgym/Copy-v0", prompts_per_rollout=2, group_size=3,
                policy_kwargs={"model": tiny_model("gpt2")}, seed=0)  # fmt: skip
    assert made.n_envs == 6


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"group_size": 1}, "group_size is 1, RLOO needs at least 2"),
        ({"prompts_per_rollout": 0}, "prompts_per_rollout is 0"),
        ({"prompts_per_rollout": 1}, r"3 episodes \(1 prompts x 3 completions\), fewer than the 5 rows"),
        ({"rollout_buffer_class": EpisodeRolloutBuffer}, "expected an EpisodeStore"),
        ({"algorithm": GRPO, "n_epochs": 0}, "n_epochs is 0"),
        ({"algorithm": GRPO, "loss_reduction": "mean"}, "loss_reduction is 'mean'"),
        ({"algorithm": REINFORCE, "baseline": "values"}, "Did you mean 'value'"),
        ({"algorithm": REINFORCE, "baseline_decay": 1.0}, "baseline_decay is 1.0"),
    ],
)
def test_arguments_that_make_no_sense(how, message):
    with pytest.raises(ConfigError, match=message):
        build(**how)


@pytest.mark.parametrize(
    ("algorithm", "name"), [(QLearning, "normalize_advantage"), (SARSA, "skip_without_signal"), (BC, "ent_coef")]
)
def test_an_argument_that_an_algorithm_has_no_use_for_is_refused(algorithm, name):
    with pytest.raises(ConfigError, match=f"{algorithm.__name__} takes no argument '{name}'"):
        algorithm(QLearningPolicy, make_env(2), policy_kwargs={"model": make_model()}, **{name: 2})


def test_a_users_reward_wrapper_reaches_the_store():
    class Longer(RewardWrapper):
        def reward(self, sample, reward):
            return 10.0 + len(sample.token_ids)

    store = collect(build(env=TextVecEnv(Longer(make_env(ROWS).env))))
    assert np.array_equal(store.scores.reshape(-1), 10 + store.lengths)


def test_other_environments_are_refused():
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    sync = TextVecEnv(gym.make_vec("textgym/Copy-v0", 2, vectorization_mode="sync", vector_kwargs=mode))
    for env, kind in ((make_sb3_env("CartPole-v1", n_envs=2), "DummyVecEnv"), (sync, "Text")):
        with pytest.raises(ConfigError, match=rf"env is a {kind}.* an id, or make_vec_env"):
            build(env=env)


def test_the_store_is_for_whole_episodes_only():
    env = make_env(2)
    with pytest.raises(ConfigError, match="takes whole episodes"):
        PPO(LanguageModelPolicy, env, n_steps=4, batch_size=8, policy_kwargs={"model": make_model()},
            rollout_buffer_class=EpisodeStore).learn(8)  # fmt: skip
    store = EpisodeStore(1, env.observation_space, env.action_space)
    with pytest.raises(ResetNeededError, match="empty"):
        next(store.get())
    with pytest.raises(ConfigError, match="0 episodes are no groups of 2"):
        store.fill([], 2)
