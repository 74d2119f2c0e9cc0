"""A reward that waits is asked while the rollout goes on. What is learned is what a run learns that waits for it."""

import threading
import time

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from tests.agents import dialogues
from tests.agents.four_tokens import HORIZON, PROMPTS, RETURNS, make_env, make_model, tokenizer
from tests.agents.tiny_models import tiny_model
from textgym import TextGenerationEnv
from textgym.core import Score
from textgym.errors import RewardError
from textgym.rewards import BatchReward, Fallback
from textgym.wrappers import ClipReward, LengthPenalty, ScaleReward, WhitenReward
from textgym_agents import TextLogger, evaluate, make
from textgym_agents.algorithms import ALGORITHMS
from textgym_agents.callbacks import HealthCheck
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.envs.vec_env import TextVecEnv


class Judge(BatchReward):
    """A number of its own for each completion, after a while that is longer for earlier batches. Some have none."""

    name = "judge"

    def __init__(self, background, seconds=0.002):
        self.background, self.seconds = background, seconds
        self.threads, self.batches = set(), 0
        self.lock = threading.Lock()

    def __call__(self, samples):
        with self.lock:
            self.batches += 1
            self.threads.add(threading.current_thread())
            late = self.seconds * (self.batches % 4 == 1)
        time.sleep(late)
        return [
            None
            if sample.token_ids == (1, 2, 0)
            else Score(RETURNS[sample.token_ids], {"tokens": len(sample.token_ids)})
            for sample in samples
        ]


def wrapped(env):
    return TextVecEnv(WhitenReward(LengthPenalty(env.env, 0.1)))


RUNS = {
    "ppo": {**ALGORITHMS["ppo"].small, "batch_size": 10, "kl_coef": 0.1},
    "rloo": {"prompts_per_rollout": 6, "group_size": 2, "kl_coef": 0.1},
    "vineppo": ALGORITHMS["vineppo"].small,
    "dqn": {**ALGORITHMS["dqn"].small, "num_candidates": 3, "train_freq": 3},
    "ars": ALGORITHMS["ars"].small,
}


def trained(name, env, tokens=60, callbacks=()):
    log = TextLogger(every=1)
    model = make(name, env, make_model(), seed=0, **RUNS[name])
    model.learn(tokens, [log, HealthCheck(), *callbacks])
    return model, [{name: value for name, value in row.items() if not name.startswith("time/")} for row in log.history]


def text_vec_env(model):
    env = model.get_env()
    return getattr(env, "venv", env)


class NothingToCome(BaseCallback):
    """Where a checkpoint is saved, each reward has come."""

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        env = text_vec_env(self.model)
        assert not env.late.pending
        assert not env.late.take_infos()


@pytest.mark.parametrize(
    "name", ["ppo", "rloo", "dqn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vineppo", "ars"))]
)
def test_a_run_learns_what_one_learns_that_waits_for_each_reward(name):
    now, late = Judge(0), Judge(8)
    one, log = trained(name, wrapped(make_env(4, now)))
    other, late_log = trained(name, wrapped(make_env(4, late)), callbacks=[NothingToCome()])
    assert now.threads == {threading.main_thread()}
    assert threading.main_thread() not in late.threads
    assert now.batches == late.batches
    for ours, theirs in zip(one.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert log == late_log
    assert [(e["r"], e["l"]) for e in one.ep_info_buffer] == [(e["r"], e["l"]) for e in other.ep_info_buffer]
    assert text_vec_env(one).env.get_state() == text_vec_env(other).env.get_state()  # WhitenReward's running mean
    assert not text_vec_env(other).late.pending
    for array in ("rewards", "advantages") if getattr(one, "rollout_buffer", None) else ():
        ours, theirs = (getattr(model.rollout_buffer, array) for model in (one, other))
        assert np.array_equal(ours, theirs, equal_nan=True), array


class Episodes(BaseCallback):
    """The usual way of Stable-Baselines3 to count episodes."""

    def __init__(self):
        super().__init__()
        self.returns, self.pending = [], 0

    def _on_step(self):
        infos = self.locals["infos"]
        assert all("episode" not in info or "completion" in info for info in infos)
        self.returns += [info["episode"]["r"] for info in infos if "episode" in info]
        self.pending += sum("reward_pending" in info for info in infos)
        return True


def test_callbacks_see_each_episode_when_its_reward_has_come():
    now, late = Episodes(), Episodes()
    trained("ppo", make_env(4, Judge(0)), callbacks=[now])
    trained("ppo", make_env(4, Judge(8)), callbacks=[late])
    assert now.pending == 0 < len(late.returns) <= late.pending  # what abstained was pending too
    assert now.returns == late.returns


def test_rows_of_their_own_wrappers_and_an_environment_that_is_stepped_by_hand_afterwards():
    def rows(reward):
        env = {"max_prompt_tokens": 2, "max_new_tokens": HORIZON}
        return TextVecEnv(
            SingleEnvs([ScaleReward(TextGenerationEnv(PROMPTS, reward, tokenizer(), **env), 3) for _ in range(3)])
        )

    late = Judge(8)
    (_, log), (other, late_log) = trained("ppo", rows(Judge(0))), trained("ppo", rows(late))
    assert log == late_log
    assert threading.main_thread() not in late.threads
    _, rewards, dones, infos = other.get_env().step(np.zeros(3, dtype=np.int64))  # the end token
    assert dones.all()
    assert len(infos) == 3
    assert [info["episode"]["r"] for info in infos] == pytest.approx(rewards.tolist(), abs=1e-5)


class Silent(gymnasium.vector.VectorWrapper):
    """Reads no reward, and can't be known not to."""

    def step(self, actions):
        return self.env.step(actions)


def test_what_reads_rewards_as_they_come_has_them_asked_in_the_foreground_and_says_so_once(monkeypatch):
    for wrap in (lambda env: TextVecEnv(Silent(env.env)), VecMonitor):
        judge = Judge(8)
        with pytest.warns(UserWarning, match=r"(Silent|VecMonitor) sees each reward as it comes, so 'judge'") as caught:
            trained("ppo", wrap(make_env(4, judge)))
        assert len([one for one in caught if "as it comes" in str(one.message)]) == 1
        assert judge.threads == {threading.main_thread()}
    monkeypatch.setattr(Silent, "takes_late_rewards", True, raising=False)
    judge = Judge(8)
    trained("ppo", TextVecEnv(Silent(make_env(4, judge).env)))
    assert threading.main_thread() not in judge.threads


class Bonus(gymnasium.vector.VectorWrapper):
    """A reward for each step, as a partner in a conversation gives."""

    takes_late_rewards = True

    def step(self, actions):
        observations, rewards, *rest = self.env.step(actions)
        return observations, rewards + 0.3, *rest


def test_reward_wrappers_see_what_comes_late_with_what_its_step_had():
    (_, log), (_, late_log) = (
        trained("ppo", TextVecEnv(ClipReward(Bonus(make_env(4, Judge(background)).env), 0, 0.9)))
        for background in (0, 8)
    )
    assert log == late_log
    assert log[-1]["text/untransformed_reward"] > 0.3


def test_vectors_of_single_environments():
    def single(judge):
        return lambda: TextGenerationEnv(PROMPTS, judge, tokenizer(), max_prompt_tokens=2, max_new_tokens=HORIZON)

    now, late, plain = Judge(0), Judge(8), Judge(8)
    same_step = gymnasium.vector.AutoresetMode.SAME_STEP
    histories = []
    for judge in (now, late):
        rows = gymnasium.vector.SyncVectorEnv([single(judge)] * 2, autoreset_mode=same_step)
        histories.append(trained("ppo", TextVecEnv(rows))[1])
    assert histories[0] == histories[1]
    assert threading.main_thread() not in late.threads
    with pytest.warns(
        UserWarning, match="DummyVecEnv has rewards come with their steps, so 'judge' is asked at the end"
    ):
        trained("ppo", DummyVecEnv([single(plain)] * 2))
    assert plain.threads == {threading.main_thread()}


@pytest.mark.parametrize("name", ["ppo", "rloo"])
def test_a_failure_ends_the_training_or_abstains_as_its_policy_says(name):
    class Down(Judge):
        def __call__(self, samples):
            super().__call__(samples)
            raise RewardError("no reply")

    with pytest.raises(RewardError, match="no reply"):
        trained(name, make_env(4, Down(8)))
    with pytest.warns(RuntimeWarning, match="no reply"):
        model, log = trained(name, make_env(4, Fallback(Down(8), 0.5)))
    assert {one["r"] for one in model.ep_info_buffer} == {0.5}
    assert log[-1]["text/failed"] == 1


def test_a_buffer_that_is_saved_has_no_reward_to_come():
    env = make_env(4, Judge(8, seconds=0.01))
    model = make("dqn", env, make_model(), seed=0, **{**RUNS["dqn"], "learning_starts": 1000, "train_freq": 3})
    model.learn(24)
    buffer = model.replay_buffer
    env.late.open()
    for _ in range(HORIZON):
        before = model._last_obs
        after, rewards, _, infos = model.env.step(np.zeros(4, dtype=np.int64))
        buffer.add(before, after, np.zeros((4, 1)), rewards, np.ones(4), infos)
        model._last_obs = after
    assert buffer._ended
    assert len(buffer.get_state()["numbers"]) == len(buffer.episodes) > 4
    assert not buffer._ended


def test_an_evaluation_asks_in_the_background_too():
    results = []
    for judge in (Judge(0), Judge(8)):
        env = make_env(2, judge, sampling="sequential")
        model = make("zero_shot", env, make_model(), seed=0)
        results.append(evaluate(model, TextVecEnv(LengthPenalty(env.env, 0.1)), num_prompts=3, deterministic=False))
        assert (threading.main_thread() in judge.threads) == (judge.background == 0)
    now, late = results
    assert np.array_equal(now.rewards, late.rewards, equal_nan=True)
    assert now.components == late.components


class Listener(Judge):
    """A hundredth for each character of a conversation's completion, after a while. Some have no reward."""

    def __call__(self, samples):
        with self.lock:
            self.batches += 1
            self.threads.add(threading.current_thread())
            late = self.seconds * (self.batches % 4 == 1)
        time.sleep(late)
        values = [len(sample.completion) for sample in samples]
        return [None if value % 5 == 0 else Score(0.01 * value, {"length": value}) for value in values]


@pytest.mark.parametrize("name", ["ppo", "rloo", "dqn"])
def test_a_conversations_turns_are_paid_at_once_and_the_whole_of_it_later(name):
    sizes = {
        "ppo": {"n_steps": 12, "batch_size": 48, "n_epochs": 1, "kl_coef": 0.1},
        "rloo": {"prompts_per_rollout": 2, "kl_coef": 0.1},
        "dqn": RUNS["dqn"],
    }[name]
    results, judges = [], [Listener(0), Listener(8)]
    for judge in judges:
        log = TextLogger(every=1)
        model = make(name, dialogues.made(4, reward=judge), tiny_model("gpt2"), seed=3, **sizes)
        model.learn(96, [log, HealthCheck()])
        rows = [{key: value for key, value in row.items() if "time/" not in key} for row in log.history]
        results.append((rows, [(one["r"], one["l"]) for one in model.ep_info_buffer]))
        weights = model.policy.lm.state_dict().values()
        results[-1] = (*results[-1], [weight.clone() for weight in weights])
    (now, paid, weights), (late, paid_late, weights_late) = results
    assert now == late
    assert paid == paid_late
    assert all(torch.equal(one, other) for one, other in zip(weights, weights_late, strict=True))
    assert [threading.main_thread() in judge.threads for judge in judges] == [True, False]
    assert any(abs(100 * value - round(100 * value)) > 1e-6 for value, _ in paid)  # what turns gave is in it
