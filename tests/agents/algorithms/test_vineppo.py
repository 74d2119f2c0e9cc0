"""VinePPO's values and gradients through real rollouts of a language that can be listed."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import CallbackList
from torch.nn.functional import cosine_similarity

from tests.agents import dialogues
from tests.agents.four_tokens import RETURNS, make_env, make_model, per_completion
from tests.agents.tiny_models import tiny_model
from textgym import TextGenerationEnv
from textgym.errors import ConfigError
from textgym_agents.algorithms.vineppo import VinePPO
from textgym_agents.envs.prompt_queue import PromptQueue
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.envs.vec_env import TextVecEnv, make_vec_env
from textgym_agents.models.packing import TokenSequence
from textgym_agents.objectives.advantages import segment_starts
from textgym_agents.policies.base import LanguageModelPolicy


def build(seq2seq=False, rows=16, **options):
    """With a learning rate of 0."""
    made = VinePPO(
        LanguageModelPolicy,
        make_env(rows, seq2seq=seq2seq),
        **{
            "learning_rate": 0.0,
            "max_grad_norm": 1e9,
            "seed": 0,
            "stride": 1,
            "batch_size": None,
            "n_epochs": 1,
            "normalize_advantage": False,
            "policy_kwargs": {"model": make_model(seq2seq)},
            "rollout_buffer_kwargs": {"loss_reduction": "sum"},
            **options,
        },
    )
    made._setup_learn(10**6)
    return made


def collect(made):
    callback = CallbackList([])
    callback.init_callback(made)
    callback.on_training_start({}, {})
    assert made.collect_rollouts(made.env, callback, made.rollout_buffer, 1)
    return made.rollout_buffer


@pytest.mark.parametrize("single", [False, True])
def test_branches_go_on_with_the_dialogue_and_the_partner_of_their_state(single):
    env = dialogues.made(6)
    if single:
        options = {**dialogues.LENGTHS, "partner": dialogues.poisoned, "allowed_tokens": dialogues.ALLOWED}
        rows = [TextGenerationEnv(dialogues.PROMPTS, dialogues.length, **options) for _ in range(6)]
        env = TextVecEnv(SingleEnvs(rows))
    sizes = {"prompts_per_rollout": 3, "group_size": 2, "branches": 2, "stride": 5}
    made = VinePPO(LanguageModelPolicy, env, seed=0, policy_kwargs={"model": tiny_model("gpt2")}, **sizes)
    made._setup_learn(10**6)
    played, play = [], made._play

    def watched(env, callback, prompt_ids, **how):
        episodes = play(env, callback, prompt_ids, **how)
        played.append((how.get("beginnings"), how["partner_seeds"], episodes))
        return episodes

    made._play = watched
    collect(made)
    (_, seeds, completions), (beginnings, again, branches) = played
    turns = 0
    for beginning, seed, branch in zip(beginnings, again, branches, strict=True):
        states = []
        for one in (one for one, own in zip(completions, seeds, strict=True) if own == seed):
            if np.array_equal(one.actions[: len(beginning)], beginning) and len(one.actions) > len(beginning):
                tokens, before = TokenSequence(one.context, one.actions, one.prompt, one.inserted).after_context()
                states.append(np.concatenate([one.context, tokens[: before[len(beginning)]]]))
        assert any(np.array_equal(branch.context, state) for state in states)
        turns += any(one.after <= len(beginning) for whole in completions for one in whole.inserted)
    assert turns > 5
    made.train()


@pytest.fixture(scope="module")
def listed():
    return per_completion()


def states(made):
    """Prompt and tokens of each state whose value was sampled."""
    segments = made.rollout_buffer.segments()
    for number, starts in enumerate(segment_starts(made.rollout_buffer.lengths, made.stride)):
        one = segments[number]
        tokens = made.rollout_buffer.actions[one.start : one.stop, 0]
        for start in starts:
            yield int(made.prompt_ids[number]), tuple(tokens[:start].tolist())


@pytest.mark.parametrize(("group_size", "stride"), [(1, 1), (1, 2), (3, 1)])
def test_values_are_expected_returns(group_size, stride, listed):
    """The squared error of each value over its variance is 1 on average, and the errors' mean is about 0."""
    made = build(prompts_per_rollout=24 // group_size, group_size=group_size, branches=16, stride=stride)
    collect(made)
    _, p, named = listed
    errors, seen = [], 0
    for value, (prompt, tokens) in zip(made.state_values, states(made), strict=True):
        seen += 1
        inside = [i for i, (number, c) in enumerate(named) if number == prompt and c[: len(tokens)] == tokens]
        weights = p[inside].numpy() / p[inside].sum().item()
        returns = np.array([RETURNS[named[i][1]] for i in inside])
        expected = (weights * returns).sum()
        deviation = (weights * (returns - expected) ** 2).sum() ** 0.5
        samples = group_size - 1 if group_size > 1 and not tokens else 16
        errors.append((value - expected) / (deviation / samples**0.5))
    assert seen == len(made.state_values) > 24
    assert abs(np.mean(errors)) < 3 / seen**0.5
    assert 0.5 < np.mean(np.square(errors)) < 1.6


def test_the_gradient_is_that_of_the_expected_return(listed):
    rows, p, _ = listed
    true = (p[:, None] * rows).sum(0)
    made = build(rows=64, prompts_per_rollout=384, group_size=2, branches=2)
    total = torch.zeros_like(true)
    for _ in range(3):
        collect(made)
        made.train()
        total += torch.cat([weight.grad.flatten() for weight in made.policy.lm.parameters()])
    assert cosine_similarity(total, true, dim=0) > 0.97
    assert total.norm() / 3 == pytest.approx(float(true.norm()), rel=0.15)


def test_branches_count_as_timesteps_and_stay_out_of_the_statistics():
    made = build(prompts_per_rollout=8, group_size=2, branches=2)
    store = collect(made)
    completions = int(store.lengths.sum())
    assert made.num_timesteps > 2 * completions
    assert made.logger.name_to_value["rollout/branch_share"] == 1 - completions / made.num_timesteps
    assert sorted(one["l"] for one in made.ep_info_buffer) == sorted(store.lengths)


def test_completions_without_a_second_segment_need_no_branches():
    made = build(prompts_per_rollout=8, group_size=2, stride=3)
    store = collect(made)
    assert made.num_timesteps == store.lengths.sum()
    assert made.state_values == pytest.approx(store.scores[:, ::-1].reshape(-1))


def single_envs(rows, seq2seq):
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    return TextVecEnv(SingleEnvs([gym.make("textgym/Copy-v0", **form) for _ in range(rows)]))


def vector_env(rows, seq2seq):
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    return make_vec_env("textgym/Copy-v0", rows, **form)


@pytest.mark.parametrize("kind", [vector_env, single_envs])
@pytest.mark.parametrize("seq2seq", [False, True], ids=["causal", "seq2seq"])
def test_an_episode_that_begins_in_the_middle_is_one_that_was_played_until_there(kind, seq2seq):
    tokens = np.array([40, 41, 42, 43, 1])  # the last one ends the completion
    one, other = kind(2, seq2seq), kind(2, seq2seq)
    with one.rows_wait(), other.rows_wait():
        played, begun = PromptQueue(one, np.array([7, 7])), PromptQueue(other, np.array([7, 7]), [tokens[:3]] * 2)
        played.advance()
        begun.advance()
        for token in tokens[:3]:
            played.step(np.full(2, token))
        for token in tokens[3:]:
            for name, array in played.observations.items():
                assert np.array_equal(array, begun.observations[name])
            (rewards, dones, infos), (same, ends, others) = (q.step(np.full(2, token)) for q in (played, begun))
            assert np.array_equal(rewards, same)
            assert np.array_equal(dones, ends)
    assert dones.all()
    assert [info["completion"] for info in infos] == [info["completion"] for info in others]
    assert infos[0]["episode"]["l"] == others[0]["episode"]["l"] == 5


@pytest.mark.parametrize("options", [{"branches": 0}, {"stride": 0}, {"n_epochs": 0}])
def test_wrong_arguments(options):
    with pytest.raises(ConfigError, match="expected an integer of at least 1"):
        build(**options)
