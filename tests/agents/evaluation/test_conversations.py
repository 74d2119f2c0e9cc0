"""Evaluations of conversations: each prompt has its partner, returns have the rewards of turns, and turns are shown."""

import numpy as np
import pytest

import textgym
from tests.agents.dialogues import ALLOWED, LENGTHS, PROMPTS, length, made, poisoned
from tests.agents.tiny_models import tiny_model
from textgym.vector import TextGenerationVectorEnv
from textgym_agents import LanguageModelPolicy, TextVecEnv, evaluate, make
from textgym_agents.callbacks import HealthCheck, TextLogger
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.runs.report import as_plain

TWELVE = PROMPTS * 3


def environment(rows, single=False, reward=length):
    options = {
        "partner": poisoned,
        "allowed_tokens": ALLOWED,
        "sampling": "sequential",
        **LENGTHS,
        "max_turn_tokens": 6,
    }
    if single:
        return TextVecEnv(SingleEnvs([textgym.TextGenerationEnv(TWELVE, reward, **options) for _ in range(rows)]))
    return TextVecEnv(TextGenerationVectorEnv(rows, TWELVE, reward, autoreset_mode="SameStep", **options))


def policy():
    one = environment(1)
    return LanguageModelPolicy(one.observation_space, one.action_space, lambda _: 0.0, model=tiny_model("gpt2"))


def test_returns_have_the_rewards_of_turns_and_each_prompt_its_own_partner():
    """However many rows play, and in both forms of the environment; greedy, so that the policy does the same."""
    results = [evaluate(policy(), environment(*how), 12, deterministic=True) for how in ((1,), (5,), (3, True))]
    for result in results:
        for sample, reward in zip(result.samples, result.rewards, strict=True):
            of_turns = sum(turn.reward for turn in sample.turns)
            assert reward == pytest.approx(0.01 * len(sample.completion) + of_turns, abs=1e-5)
        assert [sample.prompt_id for sample in result.samples] == list(range(12))
        assert [sample.turns for sample in result.samples] == [sample.turns for sample in results[0].samples]
    assert any(len(sample.turns) > 2 for sample in result.samples)
    replies = {sample.turns[1].text for sample in result.samples if len(sample.turns) > 1}
    assert len(replies) > 1
    assert np.isfinite(result.rewards).all()


def test_samples_of_a_prompt_meet_the_same_partner():
    """The best of several is the best against one partner: never worse than the first alone."""
    first, best = (evaluate(policy(), environment(4), 12, best_of=n, seed=5) for n in (1, 3))
    assert (best.rewards >= first.rewards - 1e-9).all()
    assert best.reward > first.reward


def test_a_reward_that_compares_completions_comes_beside_those_of_turns():
    @textgym.rewards.group_reward
    def longest(samples):
        most = max(len(sample.token_ids) for sample in samples)
        return [float(len(sample.token_ids) == most) for sample in samples]

    result = evaluate(policy(), environment(4, reward=longest), 12, group_size=2, seed=5)
    of_turns = np.array([sum(turn.reward for turn in sample.turns) for sample in result.samples])
    own = result.rewards - of_turns
    assert set(own.round(6).tolist()) <= {0.0, 1.0}
    assert np.abs(of_turns).max() > 0.1


def test_both_sides_are_shown():
    result = evaluate(policy(), environment(4), 4, deterministic=True)
    shown = max((one["completion"] for one in as_plain(result)), key=len)
    assert shown.startswith("policy: ")
    assert "\npartner: " in shown


def test_callbacks_count_turns_and_the_ways_that_conversations_end():
    logger, health = TextLogger(), HealthCheck()
    make("ppo", made(4), tiny_model("gpt2"), n_steps=24, kl_coef=0, seed=3).learn(2 * 96, callback=[logger, health])
    row = logger.history[-1]
    assert sum(value for name, value in row.items() if name.startswith("text/finished_")) == pytest.approx(1)
    assert row["text/turns"] > 1
    assert {"text/finished_done", "text/finished_full"} <= row.keys()
    assert row["text/reward_partner"] + row["text/reward_length"] == pytest.approx(row["reward"], abs=1e-4)
    assert not health.findings
