"""A reward that compares the completions of a prompt reaches the algorithms that play them together, and no others."""

import re

import numpy as np
import pytest

from tests.agents.four_tokens import HORIZON, PROMPTS, make_env, make_model, tokenizer
from textgym import TextGenerationEnv
from textgym.core import Score
from textgym.errors import ConfigError
from textgym.rewards import GroupReward
from textgym.rewards.judge import JudgeReward, RankingJudge
from textgym.wrappers import RewardWrapper, ScaleReward
from textgym_agents import TextLogger, make
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.evaluation.held_out import evaluate


class Longer(GroupReward):
    """The share of the others that are shorter, by tokens. It remembers what it was asked."""

    name = "longer"

    def __init__(self, abstains_at=None):
        self.abstains_at, self.groups = abstains_at, []

    def score_group(self, samples):
        self.groups.append(list(samples))
        lengths = [len(sample.token_ids) for sample in samples]
        shares = [sum(other < length for other in lengths) / (len(lengths) - 1) for length in lengths]
        return [
            None if length == self.abstains_at else Score(share, {"longer_than": share, "tokens": length})
            for length, share in zip(lengths, shares, strict=True)
        ]


class Plus(RewardWrapper):
    def reward(self, sample, reward):
        return reward + len(sample.token_ids)


def single_envs(rows, reward):
    envs = [
        ScaleReward(TextGenerationEnv(PROMPTS, reward, tokenizer(), max_prompt_tokens=2, max_new_tokens=HORIZON), 3)
        for _ in range(rows)
    ]
    return TextVecEnv(SingleEnvs(envs))


@pytest.mark.parametrize("name", ["grpo", "rloo", "reinforce"])
def test_each_completion_is_scored_within_its_group(name):
    reward, log = Longer(), TextLogger(every=1)
    options = {"prompts_per_rollout": 4, "group_size": 3, "kl_coef": 0}
    model = make(name, make_env(5, reward), make_model(), seed=0, **options)
    model.learn(1, [log])
    store = model.rollout_buffer
    assert len(reward.groups) == 4  # once each, when all had ended
    for group, ids, scores in zip(reward.groups, model.prompt_ids.reshape(4, 3), store.scores, strict=True):
        assert {sample.prompt_id for sample in group} == set(ids.tolist())
        assert scores.tolist() == pytest.approx([score.value for score in Longer().score_group(group)])
    assert [len(sample.token_ids) for group in reward.groups for sample in group] == store.lengths.tolist()
    assert len({sample.group for group in reward.groups for sample in group}) == 4
    assert store.scored.all()
    assert sorted(one["r"] for one in model.ep_info_buffer) == pytest.approx(sorted(store.scores.ravel()), abs=1e-6)
    assert sorted(one["l"] for one in model.ep_info_buffer) == sorted(store.lengths.tolist())
    (row,) = log.history
    assert row["episodes"] == 12
    assert row["text/abstained"] == 0
    assert row["reward"] == pytest.approx(store.scores.mean(), abs=1e-6)
    assert row["text/reward_longer_than"] == pytest.approx(store.scores.mean())
    assert "text/untransformed_reward" not in row  # there is no reward wrapper
    assert row["text/reward_tokens"] == row["text/num_tokens"] == store.lengths.mean()


def test_reward_wrappers_change_what_comes_late():
    options = {"prompts_per_rollout": 4, "group_size": 3, "kl_coef": 0, "seed": 0}
    vector, log = make_env(5, Longer()), TextLogger(every=1)
    model = make("rloo", TextVecEnv(Plus(ScaleReward(vector.env, 2))), make_model(), **options)
    model.learn(1, [log])
    store = model.rollout_buffer
    (scores, lengths), groups = (store.scores, store.lengths.reshape(4, 3)), vector.env.reward.groups
    plain = [[score.value for score in Longer().score_group(group)] for group in groups]
    assert scores == pytest.approx(2 * np.array(plain) + lengths)
    assert log.history[0]["text/untransformed_reward"] == pytest.approx(np.mean(plain))
    reward = Longer()
    model = make("rloo", single_envs(5, reward), make_model(), **options)
    model.learn(1)
    plain = [[score.value for score in Longer().score_group(group)] for group in reward.groups]
    assert model.rollout_buffer.scores == pytest.approx(3 * np.array(plain))


def test_a_completion_of_which_the_group_says_nothing_is_left_out():
    log = TextLogger(every=1)
    options = {"prompts_per_rollout": 8, "group_size": 3, "kl_coef": 0, "seed": 0}
    model = make("rloo", make_env(5, Longer(abstains_at=1)), make_model(), **options)
    model.learn(1, [log])
    store = model.rollout_buffer
    assert (store.scored.ravel() == (store.lengths > 1)).all()
    assert log.history[0]["text/abstained"] == np.mean(store.lengths == 1) > 0
    assert len(model.ep_info_buffer) == (store.lengths > 1).sum()


@pytest.mark.parametrize("name", ["ppo", "scst", "vineppo", "q_learning"])
def test_algorithms_that_play_one_of_each_refuse_it(name):
    with pytest.raises(ConfigError, match=r"'longer' compares completions of one prompt, and \w+ plays one of each"):
        make(name, make_env(4, Longer()), make_model(), seed=0)


def test_a_group_of_one_is_refused_and_imitation_needs_no_group():
    with pytest.raises(ConfigError, match="REINFORCE plays one of each"):
        make("reinforce", make_env(4, Longer()), make_model(), group_size=1)
    make("zero_shot", make_env(4, Longer()), make_model())


def test_a_reward_that_is_set_later_and_compares_is_never_a_zero():
    env = make_env(4)
    model = make("ppo", env, make_model(), seed=0, n_steps=8, kl_coef=0)
    env.set_attr("reward", Longer())
    with pytest.warns(UserWarning, match="the reward abstained for all"):
        model.learn(32)
    assert not model.ep_info_buffer


@pytest.mark.parametrize("how", [{}, {"deterministic": True}, {"best_of": 3}])
def test_an_evaluation_plays_groups_and_reports_one_completion_of_each(how):
    reward = Longer()
    env = make_env(2, reward, sampling="sequential")
    policy = make("zero_shot", make_env(2), make_model(), seed=0)
    found = evaluate(policy, TextVecEnv(ScaleReward(env.env, 2)), 3, metrics=(), group_size=4, **how)
    assert len(reward.groups) == 3
    assert all(len(group) == 4 for group in reward.groups)
    plain = np.array([[score.value for score in Longer().score_group(group)] for group in reward.groups])
    expected = plain[:, :3].max(1) if how == {"best_of": 3} else plain[:, 0]
    assert found.rewards.tolist() == pytest.approx((2 * expected).tolist())
    assert [sample.prompt_id for sample in found.samples] == [0, 1, 2]
    assert found.components["longer_than"] == pytest.approx(expected.mean())
    with pytest.raises(ConfigError, match="group_size is 1"):
        evaluate(policy, env, 3, group_size=1)


def test_what_a_reward_counts_itself_is_logged():
    panel = JudgeReward({"one": lambda samples: [len(s.token_ids) / 3 for s in samples], "two": Milder()})
    log = TextLogger(every=1)
    make("rloo", make_env(4, 0.5 * panel + 1), make_model(), seed=0, kl_coef=0).learn(1, [log])
    assert log.history[0]["text/reward_judges_alpha"] == panel.agreement().alpha
    assert log.history[0]["text/reward_judges_spread"] > 0


class Milder:
    """Longer texts are better, but less so than "one" finds."""

    def __call__(self, samples):
        return [0.2 + len(sample.token_ids) / 9 for sample in samples]


@pytest.mark.learning
def test_a_ranking_by_a_judge_teaches_what_the_judge_prefers():
    """In three of three seeds, 3,000 tokens suffice for the best of all completions, which has three times "a"."""

    def backend(chat):
        texts = re.findall(r"<<TEXT [A-Z] [0-9a-f]+>>\n(.*?)\n<<END", chat[1]["content"], flags=re.DOTALL)
        one, other = (text.split().count("a") for text in texts)
        return f"Score {chat.code}: {1 if one > other else 5 if other > one else 3}"

    judge = RankingJudge("Which has more of the letter a?", backend, max_concurrency=1)
    options = {"prompts_per_rollout": 8, "group_size": 4, "learning_rate": 3e-3, "kl_coef": 0}
    model = make("rloo", make_env(16, judge), make_model(), seed=0, **options)
    before = evaluate(model, make_env(4, judge, sampling="sequential"), 3, metrics=())
    model.learn(3000)
    after = evaluate(model, make_env(4, judge, sampling="sequential"), 3, metrics=())
    assert [sample.completion for sample in after.samples] == ["a a a"] * 3 != [s.completion for s in before.samples]
