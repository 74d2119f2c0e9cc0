"""TextGenerationEnv: observations, ends, infos, errors, seeds, rendering, copies."""

import contextlib
import copy
import itertools
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.vec_env import VecNormalize

import textgym
from tests.env.text_games import ListTask, byte_tokenizer, exact, letters, share, write
from textgym import Prompt, Sample, TextGenerationEnv
from textgym.errors import (
    ConfigError,
    InvalidActionError,
    PromptIdError,
    ResetNeededError,
    RewardError,
    SeedError,
    TokenizerError,
)
from textgym.mdp import text_env
from textgym.wrappers import CompletionAction
from textgym_agents.envs.vec_env import TextVecEnv


@pytest.fixture
def env():
    return TextGenerationEnv(letters(), exact)


def played(env, text, **options):
    env.reset(seed=0, options=options or None)
    return write(env, text)


def test_observation_holds_the_prompt_left_padded_then_the_tokens(env, tokenizer):
    observation, info = env.reset(options={"prompt_id": 2})
    prompt = tokenizer.encode("Write c:")
    pad = 24 - len(prompt)
    assert info == {"prompt": "Write c:", "prompt_id": 2, "prompt_truncated": 0}
    assert observation["input_ids"].tolist() == [tokenizer.pad_token_id] * pad + prompt + [tokenizer.pad_token_id] * 8
    assert observation["attention_mask"].tolist() == [0] * pad + [1] * len(prompt) + [0] * 8
    after = env.step(40)[0]
    assert after["input_ids"][24] == 40
    assert after["attention_mask"].sum() == len(prompt) + 1
    assert observation["attention_mask"].sum() == len(prompt), "an earlier observation must not change"
    assert {name: array.dtype for name, array in after.items()} == {"input_ids": np.int64, "attention_mask": np.int8}


def test_the_reference_gets_its_reward_and_the_info_is_complete(env):
    _, total, terminated, truncated, info = played(env, "b", prompt_id=1)
    assert (total, terminated, truncated) == (1.0, True, False)
    assert info == {
        "prompt": "Write b:",
        "prompt_id": 1,
        "metadata": {"index": 1},
        "completion": "b",
        "references": ("b",),
        "finish_reason": "eos",
        "num_tokens": 2,
        "reward_components": {"match": 1.0, "length": 1.0},
    }
    ids = tuple(env.encode_completion("b"))
    assert env.last_sample == Sample("Write b:", "b", ("b",), ids, "eos", {"index": 1}, 1)


@pytest.mark.parametrize(
    ("text", "options", "reason", "completion", "tokens"),
    [
        ("ab", {}, "eos", "ab", 3),
        ("", {}, "eos", "", 1),
        ("abcdefghijk", {}, "length", "abcdefgh", 8),
        ("abcdefg", {}, "eos", "abcdefg", 8),  # the end token is the last one in the budget
        ("ab\ncd", {"stop": "\n"}, "stop", "ab", 3),
        ("abENDc", {"stop": ["zz", "END"]}, "stop", "ab", 5),
        ("abcdeEND", {"stop": ["END"]}, "stop", "abcde", 8),  # a stop string wins over the budget
        ("\nab", {"stop": ("\n",)}, "stop", "", 1),
        ("aäb", {"stop": ("ä",)}, "stop", "a", 3),  # two bytes, two tokens
        ("a b", {"stop": (" ",)}, "stop", "a", 2),
        ("abcd", {"stop": ("c", "bc")}, "stop", "a", 3),  # the first of two that end together
    ],
)
def test_ends(text, options, reason, completion, tokens):
    env = TextGenerationEnv(letters(), exact, byte_tokenizer(), **options)
    _, _, terminated, truncated, info = played(env, text)
    assert (info["finish_reason"], info["completion"], info["num_tokens"]) == (reason, completion, tokens)
    assert (terminated, truncated) == (True, False)


def test_the_task_s_stop_strings_hold_unless_overridden():
    task = letters()
    task.stop = ("b",)
    assert played(TextGenerationEnv(task), "abc")[4]["completion"] == "a"
    assert played(TextGenerationEnv(task, stop=()), "abc")[4]["completion"] == "abc"


def test_length_is_truncation():
    env = TextGenerationEnv(letters(), exact, byte_tokenizer(), length_is_truncation=True)
    *_, terminated, truncated, info = played(env, "abcdefghijk")
    assert (terminated, truncated, info["finish_reason"]) == (False, True, "length")
    assert played(env, "ab")[2:4] == (True, False)


def test_more_end_tokens_than_the_tokenizer_s_own(tokenizer):
    other = tokenizer.encode("q")[0]
    env = TextGenerationEnv(letters(), exact, eos_token_ids=[other])
    _, _, terminated, _, info = played(env, "aq")
    assert (terminated, info["finish_reason"], info["completion"], info["num_tokens"]) == (True, "eos", "a", 2)
    assert env.observation_space.eos_token_ids == (tokenizer.eos_token_id, other)


def test_an_abstaining_reward_counts_as_zero_and_says_so():
    env = TextGenerationEnv(letters(), lambda samples: [None for _ in samples])
    _, total, _, _, info = played(env, "a")
    assert total == 0.0
    assert info["reward_abstained"] is True
    assert "reward_abstained" not in played(TextGenerationEnv(letters(), exact), "a")[4]


def test_a_reward_without_parts_is_its_own_component():
    def cheer(samples):
        return [None if s.completion == "b" else 0.5 for s in samples]

    env = TextGenerationEnv(letters(), cheer)
    assert played(env, "a")[4]["reward_components"] == {"cheer": 0.5}
    assert played(env, "b")[4]["reward_components"] == {}


def test_without_a_reward_every_return_is_zero():
    _, total, _, _, info = played(TextGenerationEnv(letters()), "a")
    assert (total, info["reward_components"]) == (0.0, {})


@pytest.mark.parametrize("bad", [lambda s: [float("nan")], lambda s: [1, 2], lambda s: 3.0, lambda s: ["high"]])
def test_a_broken_reward_is_an_error_that_names_it(bad):
    bad.__name__ = "broken"
    with pytest.raises(RewardError, match="broken"):
        played(TextGenerationEnv(letters(), bad), "a")


# Actions


@pytest.mark.parametrize("action", [np.int64(40), np.int32(40), np.uint8(40), np.array(40), 40])
def test_integers_of_every_kind_are_actions(env, action):
    env.reset(seed=0)
    assert env.step(action)[0]["input_ids"][24] == 40


@pytest.mark.parametrize(
    "action", [1.0, np.float32(1), True, np.bool_(True), "a", None, [3], np.array([3]), -1, 10**9, 2**70]
)
def test_anything_else_is_no_action_and_changes_nothing(env, action):
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="token id from 0 to"):
        env.step(action)
    assert env.step(40)[0]["attention_mask"][24:].tolist() == [1] + [0] * 7


@pytest.mark.parametrize(
    ("options", "token", "words"),
    [
        ({"min_new_tokens": 2}, "eos", ["min_new_tokens=2", "0 tokens", "endoftext"]),
        ({"banned_tokens": [50]}, 50, ["banned_tokens", "Token 50"]),
        ({"allowed_tokens": [50, 51]}, 52, ["allowed_tokens", "Token 52"]),
    ],
)
def test_a_masked_action_is_an_error_that_names_token_and_mask(tokenizer, options, token, words):
    env = TextGenerationEnv(letters(), **options)
    env.reset(seed=0)
    token = tokenizer.eos_token_id if token == "eos" else token
    assert not env.action_masks()[token]
    with pytest.raises(InvalidActionError) as error:
        env.step(token)
    for word in [*words, repr(tokenizer.decode([token]))]:
        assert word in str(error.value)


def test_action_masks_follow_the_number_of_tokens(tokenizer):
    env = TextGenerationEnv(letters(), min_new_tokens=2, banned_tokens=[50], eos_token_ids=[60])
    env.reset(seed=0)
    expected = np.ones(len(tokenizer), dtype=bool)
    expected[[50, 60, tokenizer.eos_token_id]] = False
    for _ in range(2):
        assert env.action_masks().dtype == np.int8
        np.testing.assert_array_equal(env.action_masks(), expected)
        env.step(40)
    expected[[60, tokenizer.eos_token_id]] = True
    np.testing.assert_array_equal(env.action_masks(), expected)


def test_action_masks_are_what_the_action_space_samples_with():
    env = TextGenerationEnv(letters(), allowed_tokens=[7, 9])
    env.reset(seed=0)
    assert {int(env.action_space.sample(mask=env.action_masks())) for _ in range(30)} == {7, 9}


def test_masks_cost_nothing_where_nothing_is_masked(env):
    env.reset(seed=0)
    assert env.action_masks() is not None
    assert np.shares_memory(env.action_masks(), env.action_masks())
    assert env.action_masks().all()


def test_step_needs_a_running_episode(env):
    with pytest.raises(ResetNeededError, match="reset"):
        env.step(3)
    played(env, "a")
    with pytest.raises(ResetNeededError, match="reset"):
        env.step(3)
    env.reset()
    env.step(40)


# Reset


def test_the_same_seed_draws_the_same_prompts(env):
    def prompts(seed):
        return [env.reset(seed=seed)[1]["prompt_id"], *(env.reset()[1]["prompt_id"] for _ in range(20))]

    assert prompts(3) == prompts(3)
    assert prompts(3) != prompts(4)
    assert set(prompts(3)) == set(range(5))


def test_sequential_sampling_plays_each_prompt_once_and_starts_over():
    env = TextGenerationEnv(letters(3), sampling="sequential")
    ids = [env.reset(seed=7)[1]["prompt_id"], *(env.reset()[1]["prompt_id"] for _ in range(4))]
    assert ids == [0, 1, 2, 0, 1]
    assert env.reset(seed=7)[1]["prompt_id"] == 0


def test_a_chosen_prompt_uses_no_randomness(env):
    first = [env.reset(seed=1)[1]["prompt_id"], env.reset()[1]["prompt_id"]]
    second = [env.reset(seed=1)[1]["prompt_id"]]
    assert env.reset(options={"prompt_id": np.int64(4)})[1]["prompt_id"] == 4
    assert [*second, env.reset()[1]["prompt_id"]] == first


def test_reset_reads_and_sets_no_global_random_state(env):
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    env.reset()
    env.reset(seed=4)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, [3]])
def test_bad_seeds(env, seed):
    with pytest.raises(SeedError, match="non-negative integer") as error:
        env.reset(seed=seed)
    assert repr(seed) in str(error.value)


@pytest.mark.parametrize("prompt_id", [5, -1, 1.0, "a", True])
def test_bad_prompt_ids(env, prompt_id):
    with pytest.raises(PromptIdError, match="0 to 4") as error:
        env.reset(options={"prompt_id": prompt_id})
    assert repr(prompt_id) in str(error.value)


def test_a_failed_reset_leaves_no_half_begun_episode(env):
    env.reset(seed=0)
    with pytest.raises(PromptIdError):
        env.reset(options={"prompt_id": 99})
    env.step(40)  # the running episode goes on


def test_unknown_reset_options(env):
    with pytest.raises(ConfigError, match=r"'promptid'.*Did you mean 'prompt_id'\?"):
        env.reset(options={"promptid": 1})


# Arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"max_prompt_tokens": 0}, "max_prompt_tokens=0"),
        ({"max_new_tokens": 2.5}, "max_new_tokens=2.5"),
        ({"min_new_tokens": -1}, "min_new_tokens=-1"),
        ({"min_new_tokens": 9}, "min_new_tokens=9 is more than max_new_tokens=8"),
        ({"banned_tokens": [10**6]}, "banned_tokens holds 1000000"),
        ({"allowed_tokens": []}, "No token is left"),
        ({"allowed_tokens": [5], "banned_tokens": [5]}, "No token is left"),
        ({"sampling": "randon"}, "Did you mean 'random'"),
        ({"form": "causall"}, "Did you mean 'causal'"),
        ({"stop": [""]}, "non-empty"),
        ({"stop": [3]}, "non-empty"),
        ({"render_mode": "rgb"}, "render_mode='rgb'"),
        ({"min_new_token": 3}, "Did you mean 'min_new_tokens'"),
        ({"decoder_start_token_id": -3}, "decoder_start_token_id"),
        ({"reward": "bleu"}, "gymnasium.make"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        TextGenerationEnv(letters(), **options)


@pytest.mark.parametrize("task", [ListTask(), 3, None])
def test_bad_tasks(task):
    with pytest.raises(ConfigError):
        TextGenerationEnv(task)


def test_a_plain_list_of_prompts_is_a_task_once_it_has_budgets():
    prompts = [Prompt("Say hi:", ("hi",))]
    with pytest.raises(ConfigError, match="max_prompt_tokens"):
        TextGenerationEnv(prompts)
    env = TextGenerationEnv(prompts, exact, max_prompt_tokens=16, max_new_tokens=4)
    assert played(env, "hi")[1] == 1.0
    with pytest.raises(ConfigError, match=r"expected a textgym\.Prompt"):
        TextGenerationEnv(["Say hi:"], max_prompt_tokens=16, max_new_tokens=4).reset()


def test_a_tokenizer_without_an_end_token_is_an_error():
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(TokenizerError, match="end token"):
        TextGenerationEnv(letters(), tokenizer=tokenizer)


def test_allowed_tokens_without_an_end_token_end_by_the_budget():
    env = TextGenerationEnv(letters(), allowed_tokens=[40])
    env.reset(seed=0)
    results = [env.step(40) for _ in range(8)]
    assert [r[2] for r in results] == [False] * 7 + [True]
    assert results[-1][4]["finish_reason"] == "length"


# The outside world


def test_gymnasium_and_sb3_find_nothing_to_warn_about(recwarn):
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message=".*not having a spec.*")
    for form in ("causal", "seq2seq"):
        env = TextGenerationEnv(letters(), exact, form=form)
        check_env(env)
        sb3_check_env(env)


def test_pickles_and_copies_go_on_like_the_original(env):
    env.reset(seed=5)
    env.step(40)
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    expected = [write(env, "abc"), env.reset()]
    for twin in twins:
        got = [write(twin, "abc"), twin.reset()]
        assert got[0][1:] == expected[0][1:]
        assert got[1][1] == expected[1][1]
        for name, array in expected[0][0].items():
            np.testing.assert_array_equal(got[0][0][name], array)
        assert twin.observation_space == env.observation_space


def test_gymnasium_s_own_wrappers_work():
    env = TextGenerationEnv(letters(), exact)
    env = gymnasium.wrappers.TransformReward(env, lambda reward: reward * 2)
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.wrappers.ClipReward(env, 0.0, 1.5))
    _, total, _, _, info = played(env, "a", prompt_id=0)
    assert total == 1.5
    assert (info["episode"]["r"], info["episode"]["l"]) == (1.5, 2)
    normal = gymnasium.wrappers.NormalizeReward(TextGenerationEnv(letters(), exact))
    assert np.isfinite(played(normal, "a")[1])
    limited = gymnasium.wrappers.TimeLimit(TextGenerationEnv(letters(), exact), 3)
    *_, terminated, truncated, info = played(limited, "abcdef")
    assert (terminated, truncated, info) == (False, True, {})


def test_ansi_rendering_shows_prompt_text_and_score():
    env = TextGenerationEnv(letters(), exact, render_mode="ansi")
    assert env.render() == ""
    env.reset(options={"prompt_id": 0})
    assert env.render() == "Prompt: Write a:\nText:   "
    env.step(env.encode_completion("a")[0])
    assert env.render() == "Prompt: Write a:\nText:   a"
    env.step(env.encode_completion("")[0])
    assert env.render() == "Prompt: Write a:\nText:   a\nScore:  1.000"


def test_rendering_says_where_there_is_no_score():
    env = TextGenerationEnv(letters(), lambda samples: [None for _ in samples], render_mode="ansi")
    env.reset(options={"prompt_id": 0})
    env.step(env.encode_completion("")[0])
    assert env.render().endswith("\nScore:  none, the reward abstained")


def test_human_rendering_prints_the_completion_as_it_grows(capsys):
    env = TextGenerationEnv(letters(), exact, byte_tokenizer(), render_mode="human")
    env.reset(options={"prompt_id": 0})
    assert capsys.readouterr().out == "Prompt: Write a:\nText:   "
    tokens = env.encode_completion("aä")
    pieces = []
    for token in tokens:
        env.step(token)
        pieces.append(capsys.readouterr().out)
    assert env.render() is None
    assert pieces == ["a", "", "ä", "\nScore:  -0.200 (eos)\n"]


def test_the_caller_s_tokenizer_is_not_edited():
    tokenizer = byte_tokenizer(pad=False)
    before = (dict(tokenizer.special_tokens_map), tokenizer.padding_side, len(tokenizer))
    env = TextGenerationEnv(letters(), share, tokenizer)
    played(env, "abc")
    assert (dict(tokenizer.special_tokens_map), tokenizer.padding_side, len(tokenizer)) == before
    assert tokenizer.pad_token_id is None
    assert env.tokenizer is tokenizer


def test_a_step_costs_microseconds():
    import time

    env = TextGenerationEnv(letters(), max_new_tokens=2000)
    env.reset(seed=0)
    start = time.perf_counter()
    for _ in range(1000):
        env.step(40)
    assert time.perf_counter() - start < 0.5  # 500 microseconds each; about 15 on an idle machine


def test_the_parts_are_public():
    for name in textgym.__all__:
        assert getattr(textgym, name) is not None


def test_the_text_environment_is_found_in_any_wrappers(env):
    wrapped = gymnasium.wrappers.TimeLimit(textgym.wrappers.RewardWrapper(env), 5)
    assert text_env(wrapped) is env
    assert text_env(env).mdp.task == letters()
    rows = textgym.TextGenerationVectorEnv(2, letters(), exact)
    assert text_env(gymnasium.wrappers.vector.RecordEpisodeStatistics(rows)) is rows


def test_the_text_environment_is_found_in_sb3_s_vectors():
    rows = textgym.TextGenerationVectorEnv(2, letters(), exact, autoreset_mode="SameStep")
    assert text_env(VecNormalize(TextVecEnv(rows), norm_obs=False)) is rows


def test_other_environments_hold_no_text_environment():
    with pytest.raises(ConfigError, match="holds no text environment"):
        text_env(gymnasium.make("CartPole-v1"))


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_reward_that_is_set_scores_and_one_that_cannot_be_called_is_refused(make):
    env = make("textgym/Copy-v0", reward="chrf").unwrapped
    env.reward = lambda samples: [0.75] * len(samples)
    env.reset(seed=0)
    one = env.action_space.shape == ()
    end = env.tokenizer.eos_token_id
    assert env.step(end if one else np.array([end]))[1] == 0.75
    assert env.mdp.reward is env.reward
    with pytest.raises(ConfigError, match="can't be called"):
        env.reward = "chrf"
    env.reward = None
    assert env.mdp.reward is None


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_the_completion_so_far_grows_to_the_completion(make):
    env = make("textgym/Copy-v0").unwrapped
    env.reset(seed=0)
    one, texts = env.action_space.shape == (), []
    for token in env.encode_completion(" lamp river"):
        env.step(token if one else np.array([token]))
        texts.append(env.completion_so_far if one else env.completion_so_far[0])
    assert texts[-1] == " lamp river"
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


class Flaky:
    """Pays the noise and the length, and fails at some of its calls, as a server may."""

    def __init__(self, fails):
        self.fails, self.calls = fails, 0

    def __call__(self, samples):
        self.calls += 1
        if self.calls in self.fails:
            raise ConnectionError("no answer")
        return paid(samples)


def paid(samples):
    return [sample.noise + len(sample.completion) for sample in samples]


class Noisy(ListTask):
    stochastic = True


def noisy(num_envs, reward, **options):
    task = Noisy(letters())
    if num_envs is None:
        return TextGenerationEnv(task, reward, byte_tokenizer(), **options)
    return textgym.TextGenerationVectorEnv(num_envs, task, reward, byte_tokenizer(), **options)


@pytest.mark.parametrize("mode", [None, *AutoresetMode])
def test_a_step_whose_reward_raised_can_be_tried_again(mode):
    """And then all goes on as if nothing had been: the same tokens, noise and prompts."""
    rows = None if mode is None else 3
    options = {"infos": "numbers", **({} if mode is None else {"autoreset_mode": mode})}
    env, twin = noisy(rows, Flaky({*range(1, 99, 2)}), **options), noisy(rows, paid, **options)
    letter, end = env.encode_completion("a")
    env.reset(seed=5), twin.reset(seed=5)
    for step in range(12):
        waits = step % 4 == 3  # episodes end at the second, the third or the fourth token, or wait
        action = end if step % 4 == 2 else letter
        if mode is not None:
            action = np.array([end if step % 4 == row else letter for row in range(3)])
        if waits and mode in (None, AutoresetMode.DISABLED):
            assert data_equivalence(env.reset(), twin.reset(), exact=True)
            continue
        expected, result = twin.step(action), None
        while result is None:
            with contextlib.suppress(ConnectionError):
                result = env.step(action)
        assert data_equivalence(result, expected, exact=True)
    assert env.reward.calls >= 6  # half of which failed


@pytest.mark.parametrize(("rows", "text"), [(None, "abc"), (2, ["abc", "d"])])
def test_a_completion_whose_reward_raised_can_be_written_again(rows, text):
    env, twin = (CompletionAction(noisy(rows, reward)) for reward in (Flaky({1, 3}), paid))
    env.reset(seed=3), twin.reset(seed=3)
    with pytest.raises(ConnectionError):
        env.step(text)
    if rows is not None:  # "d" is scored, and scored again
        with pytest.raises(ConnectionError):
            env.step(text)
    assert data_equivalence(env.step(text)[:4], twin.step(text)[:4], exact=True)
