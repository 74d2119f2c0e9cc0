"""A completion whose reward abstained teaches nothing: whatever the algorithm, it counts as if it had not been played.

The reward is 5 for every completion, and 30 % abstain as when a server fails. A zero from an outage would be seen in
any mean, advantage or replayed episode.
"""

import random

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from tests.agents.four_tokens import PROMPTS, make_env, make_model, tokenizer
from textgym import Score, TextGenerationEnv
from textgym.vector import TextGenerationVectorEnv
from textgym.wrappers import RewardWrapper, WhitenReward, transform_reward
from textgym_agents import ALGORITHMS, HealthCheck, LanguageModelPolicy, TextLogger, make
from textgym_agents.algorithms.binding import bind_policy
from textgym_agents.buffers.episodes import EpisodeStore
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.envs.abstained import abstained_rows
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.evaluation.held_out import evaluate

QUICK = ("ppo", "rloo", "q_learning")  # one for each kind of buffer
REWARDED = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name, row in ALGORITHMS.items()
    if row.family not in ("baseline", "supervised")
]


class Failing:
    """Gives 5, or abstains for a share of the completions."""

    def __init__(self, share=0.3, value=5.0, seed=0):
        self.share, self.value, self.random = share, value, random.Random(seed)
        self.abstained = self.calls = 0

    def __call__(self, samples):
        failed = [self.random.random() < self.share for _ in samples]
        self.calls, self.abstained = self.calls + len(failed), self.abstained + sum(failed)
        return [None if one else self.value for one in failed]


@pytest.mark.parametrize("name", REWARDED)
def test_no_zero_from_an_outage_reaches_an_algorithm(name):
    reward, log = Failing(), TextLogger(every=1)
    row = ALGORITHMS[name]
    small = {**row.small, **({"kl_coef": 0} if row.kl_coef is not None else {})}
    model = make(name, make_env(4, reward), make_model(), seed=0, **small)
    model.learn(200, [log, HealthCheck()])
    shares = [(row["text/abstained"], row["episodes"]) for row in log.history if row["episodes"]]
    if name != "vineppo" and name != "scst":  # whose branches and greedy completions are no training episodes
        assert sum(share * n for share, n in shares) == pytest.approx(reward.abstained)
    assert sum(share * n for share, n in shares) > 3
    assert {row["reward"] for row in log.history if "reward" in row} == {5.0}
    assert {one["r"] for one in model.ep_info_buffer or []} <= {5.0}
    replay = getattr(model, "replay_buffer", None)
    buffer = getattr(model, "rollout_buffer", None)
    if replay is not None:
        assert {float(one.rewards.sum()) for one in replay.episodes.values()} == {5.0}
    elif isinstance(buffer, EpisodeStore):
        assert set(buffer.scores[buffer.scored].tolist()) <= {5.0}
        assert not buffer.scored.all() or len(log.history) > 3
        for batch in buffer.get():
            advantages = batch.advantages.cpu().numpy()
            assert np.allclose(advantages[np.isfinite(advantages)], 0, atol=1e-4)
        assert model.policy.value_net.mean.item() == pytest.approx(5.0)
    elif isinstance(buffer, EpisodeRolloutBuffer):
        if not buffer.idle:
            returns = [float(buffer.rewards[s.start : s.stop].sum()) for s in buffer.segments()]
            assert returns == [5.0] * len(returns)
        assert model.policy.value_net.mean.item() == pytest.approx(5.0)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in ("ppo", "grpo", "rloo", "reinforce", "vineppo", "scst", "ars")
    ],
)
def test_training_through_an_outage_of_everything_changes_no_weight(name):
    row = ALGORITHMS[name]
    small = {**row.small, **({"kl_coef": 0} if row.kl_coef is not None else {})}
    model = make(name, make_env(4, Failing(1.0)), make_model(), seed=0, **small)
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    if name == "ppo":
        with pytest.warns(UserWarning, match="the reward abstained for all"):
            model.learn(60)
    else:
        model.learn(60)
    assert all(bool((old == new).all()) for old, new in zip(before, model.policy.parameters(), strict=True))


@pytest.mark.parametrize("kind", [DummyVecEnv, pytest.param(SubprocVecEnv, marks=pytest.mark.slow)])
def test_vectors_of_sb3_say_which_rewards_abstained(kind):
    def single():
        task = [gymnasium.make("textgym/Copy-v0").unwrapped.task[0]]
        return TextGenerationEnv(task, Failing(0.5), max_prompt_tokens=16, max_new_tokens=3)

    env = kind([single, single])
    options = {"n_steps": 24, "batch_size": 48, "n_epochs": 1, "rollout_buffer_class": EpisodeRolloutBuffer}
    model = PPO(LanguageModelPolicy, env, policy_kwargs={"model": "textgym/small"}, seed=0, **options)
    bind_policy(model)
    model.learn(48)
    buffer = model.rollout_buffer
    returns = [float(buffer.rewards[s.start : s.stop].sum()) for s in buffer.segments()]
    assert 0 < len(returns) < 16
    assert returns == [5.0] * len(returns)
    env.close()


class Plus(RewardWrapper):
    def reward(self, sample, reward):
        return reward + 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_reward_wrappers_leave_it_out_around_whatever_there_is(share):
    def single():
        return TextGenerationEnv(PROMPTS, Failing(share), tokenizer(), max_prompt_tokens=2, max_new_tokens=3)

    around = [DummyVecEnv([single]), make_env(1, Failing(share)), single()]
    for env in map(Plus, around):
        env.reset()
        _, reward, _, *more = env.step(np.array([0]) if hasattr(env, "num_envs") else 0)
        assert float(np.squeeze(reward)) == (0.0 if share else 6.0), type(env)
        info = more[-1] if isinstance(more[-1], dict) else more[-1][0]
        assert ("untransformed_reward" in info) == (not share)


@pytest.mark.slow
def test_no_environment_of_textgym_abstains():
    env = SubprocVecEnv([lambda: gymnasium.make("CartPole-v1")])
    assert abstained_rows(env).tolist() == [False]
    assert env.reset().shape == (1, 4)  # its process is still there
    env.close()


def test_running_means_of_reward_transforms_leave_it_out():
    env = TextVecEnv(transform_reward(make_env(4, Failing()).env, "length_penalty=0.1, whiten"))
    log = TextLogger()
    make("rloo", env, make_model(), prompts_per_rollout=16, group_size=2, seed=0, kl_coef=0).learn(100, log)
    assert isinstance(env.env, WhitenReward)
    assert 4.5 < env.env.mean < 5.0  # minus 0.1 a token
    scored = [row["episodes"] * (1 - row["text/abstained"]) for row in log.history]
    assert env.env.count == pytest.approx(sum(scored))
    assert {row["text/untransformed_reward"] for row in log.history} == {5.0}


class Letters:
    """Rewards in [0, 1], of which a share is lost."""

    def __init__(self, share):
        self.share, self.random = share, random.Random(1)

    def __call__(self, samples):
        values = [sum(token == 1 for token in one.token_ids) / 3 for one in samples]
        lost = [self.random.random() < self.share for _ in values]
        # Parts of a lost one must be in no mean either.
        return [Score(None, {"a": 9.0}) if one else Score(v, {"a": v}) for one, v in zip(lost, values, strict=True)]


class Uniform:
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def predict(self, observations, deterministic=False):
        return self.rng.integers(0, 4, len(observations["input_ids"])), None


def test_the_mean_of_an_evaluation_with_30_percent_faults_is_that_without():
    def found(share):
        env = TextVecEnv(
            TextGenerationVectorEnv(
                16,
                PROMPTS * 400,
                Letters(share),
                tokenizer(),
                max_prompt_tokens=2,
                max_new_tokens=3,
                autoreset_mode="SameStep",
                sampling="sequential",
            )
        )
        return evaluate(Uniform(), env, 1000, metrics=())

    truth, lossy = found(0.0), found(0.3)
    assert truth.abstained == 0
    assert "abstained" not in truth.summary()
    assert lossy.summary()["abstained"] == pytest.approx(0.3, abs=0.03)
    assert lossy.reward == pytest.approx(truth.reward, abs=0.01)
    assert lossy.components == {"a": pytest.approx(lossy.reward)}
    kept = ~np.isnan(lossy.rewards)
    assert np.array_equal(lossy.rewards[kept], truth.rewards[kept])  # none wrong
