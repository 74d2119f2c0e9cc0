"""TextGenerationVectorEnv: the same episodes as single environments, in Gymnasium's vector conventions."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.env.text_games import ListTask, byte_tokenizer, exact, letters
from textgym import Prompt, TextGenerationEnv, TextGenerationVectorEnv
from textgym.errors import ConfigError, InvalidActionError, PromptIdError, ResetNeededError, RewardError, SeedError

TOKENIZER = byte_tokenizer()
LETTERS = [TOKENIZER.encode(c, add_special_tokens=False)[0] for c in "abcd"]
EOS = TOKENIZER.eos_token_id


def vector(num_envs=3, task=None, reward=exact, **options):
    return TextGenerationVectorEnv(num_envs, letters() if task is None else task, reward, TOKENIZER, **options)


def sync(num_envs=3, autoreset_mode=AutoresetMode.NEXT_STEP, **options):
    def make():
        return TextGenerationEnv(letters(), exact, TOKENIZER, **options)

    return SyncVectorEnv([make] * num_envs, autoreset_mode=autoreset_mode)


def assert_same(one, other):
    assert data_equivalence(one, other, exact=True), f"{one}\n!=\n{other}"


# The same results as Gymnasium's own vector environment of single environments


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stop": ("b", "cd")},
        {"min_new_tokens": 2, "max_new_tokens": 4},
        {"length_is_truncation": True, "max_new_tokens": 3},
        {"form": "seq2seq", "max_new_tokens": 5},
        {"infos": "numbers"},
        {"infos": "none"},
    ],
)
def test_it_does_what_single_environments_do(mode, options):
    ours, theirs = vector(autoreset_mode=mode, **options), sync(autoreset_mode=mode, **options)
    seeds = [11, 5, 8]
    assert_same(ours.reset(seed=seeds), theirs.reset(seed=seeds))
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"]
    generator = np.random.default_rng(0)
    ends = 0
    for _ in range(120):
        legal = ours.action_masks().astype(bool)
        choices = np.array([*LETTERS, EOS])
        actions = np.array([generator.choice(choices[legal[row, choices]]) for row in range(3)])
        one, other = ours.step(actions), theirs.step(actions)
        assert_same(one[:4], other[:4])
        assert_same(*(_sorted(result[4]) for result in (one, other)))
        samples = theirs.get_attr("last_sample")
        assert list(samples) == ours.last_samples
        ends += int((one[2] | one[3]).sum())
    assert ends > 30


def _sorted(infos):
    return {key: _sorted(value) if isinstance(value, dict) else value for key, value in sorted(infos.items())}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 258), min_size=2, max_size=2), min_size=1, max_size=25), st.booleans())
def test_any_actions_give_the_same_results(steps, same_step):
    mode = AutoresetMode.SAME_STEP if same_step else AutoresetMode.NEXT_STEP
    options = {"stop": ("a",), "max_new_tokens": 6}
    ours, theirs = vector(2, autoreset_mode=mode, **options), sync(2, mode, **options)
    assert_same(ours.reset(seed=[1, 2]), theirs.reset(seed=[1, 2]))
    for actions in steps:
        one, other = ours.step(np.array(actions)), theirs.step(np.array(actions))
        assert_same(one[:4], other[:4])


# Rewards


def test_completions_that_end_together_are_scored_in_one_call():
    calls = []

    def reward(samples):
        calls.append([sample.completion for sample in samples])
        return [float(len(sample.completion)) for sample in samples]

    envs = vector(reward=reward)
    envs.reset(seed=0)
    a, b = LETTERS[:2]
    rewards = [envs.step(actions)[1].tolist() for actions in ([a, b, a], [EOS, EOS, b], [a, a, EOS])]
    assert calls == [["a", "b"], ["ab"]]
    assert rewards == [[0, 0, 0], [1, 1, 0], [0, 0, 2]]


def test_without_a_reward_every_return_is_zero():
    envs = vector(reward=None)
    envs.reset(seed=0)
    _, rewards, terminated, _, infos = envs.step([EOS] * 3)
    assert terminated.all()
    assert rewards.tolist() == [0, 0, 0]
    assert infos["completion"].tolist() == ["", "", ""]


def test_an_abstaining_reward_says_so_in_its_row():
    envs = vector(reward=lambda samples: [None if s.completion else 1.0 for s in samples])
    envs.reset(seed=0)
    envs.step([LETTERS[0], EOS, LETTERS[0]])
    _, rewards, _, _, infos = envs.step([EOS, EOS, LETTERS[0]])
    assert rewards.tolist() == [0, 0, 0]
    assert infos["reward_abstained"].tolist() == [True, False, False]


def test_a_broken_reward_is_an_error():
    envs = vector(reward=lambda samples: [1.0])
    envs.reset(seed=0)
    with pytest.raises(RewardError, match="1 values for 3 samples"):
        envs.step([EOS] * 3)


# Autoreset


def test_next_step_ignores_the_action_that_resets():
    envs = vector()
    envs.reset(seed=0)
    envs.step([EOS, LETTERS[0], LETTERS[0]])
    assert envs.ended.tolist() == [True, False, False]
    observation, rewards, terminated, _, infos = envs.step([10**9, EOS, LETTERS[0]])
    assert terminated.tolist() == [False, True, False]
    assert infos["_prompt_truncated"].tolist() == [True, False, False]
    assert infos["_prompt"].tolist() == [True, True, False]
    assert observation["attention_mask"][:, 24:].sum(axis=1).tolist() == [0, 2, 2]
    assert rewards[0] == 0


def test_same_step_keeps_the_end_of_the_episode():
    envs = vector(autoreset_mode="SameStep", sampling="sequential")
    envs.reset(seed=0)
    envs.step([LETTERS[0]] * 3)
    observation, rewards, terminated, _, infos = envs.step([EOS, LETTERS[0], LETTERS[0]])
    assert terminated.tolist() == [True, False, False]
    assert rewards[0] == 1.0
    assert infos["final_info"]["completion"][0] == "a"
    assert infos["final_info"]["reward_components"]["match"][0] == 1.0
    assert infos["final_obs"][0]["input_ids"][24:26].tolist() == [LETTERS[0], EOS]
    assert infos["_final_obs"].tolist() == [True, False, False]
    assert infos["prompt"][0] == "Write d:"
    assert observation["attention_mask"][0, 24:].sum() == 0
    assert envs.last_samples[0].completion == "a"
    assert envs.last_samples[1] is None


def test_disabled_autoreset_waits_for_a_masked_reset():
    envs = vector(autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0)
    envs.step([EOS, LETTERS[0], EOS])
    before, rewards, terminated, _, infos = envs.step([5, LETTERS[0], 5])
    assert (rewards.any(), terminated.any(), infos) == (False, False, {})
    mask = np.array([True, False, False])
    options = {"reset_mask": mask, "prompt_id": 4}
    observation, infos = envs.reset(options=options)
    assert options == {"reset_mask": mask, "prompt_id": 4}, "the caller's options are not touched"
    assert infos["_prompt"].tolist() == [True, False, False]
    assert infos["prompt_id"][0] == 4
    assert_same({k: v[1:] for k, v in observation.items()}, {k: v[1:] for k, v in before.items()})
    envs.step([EOS, EOS, 5])
    with pytest.raises(ResetNeededError, match="Every row"):
        envs.step([EOS] * 3)


def test_a_bad_autoreset_mode():
    with pytest.raises(ConfigError, match="Did you mean 'SameStep'"):
        vector(autoreset_mode="SamStep")


# Seeds and prompts


def drawn(envs, seed, resets=12):
    ids = [envs.reset(seed=seed)[1]["prompt_id"]] + [envs.reset()[1]["prompt_id"] for _ in range(resets)]
    return np.array(ids)


def test_one_seed_gives_every_row_a_stream_of_its_own():
    task = letters(26)
    envs = vector(4, task)
    ids = drawn(envs, 3)
    np.testing.assert_array_equal(ids, drawn(envs, 3))
    np.testing.assert_array_equal(ids, drawn(vector(4, task), 3))
    assert len({tuple(column) for column in ids.T}) == 4
    # With seed + index, row 1 of seed 3 would be row 0 of seed 4.
    other = drawn(envs, 4)
    assert not {tuple(column) for column in ids.T} & {tuple(column) for column in other.T}


def test_a_list_of_seeds_gives_each_row_the_stream_of_a_single_environment():
    envs = vector(3, letters(26))
    ids = drawn(envs, [7, 8, 7], resets=5)
    single = TextGenerationEnv(letters(26), exact, TOKENIZER)
    expected = [single.reset(seed=7)[1]["prompt_id"]] + [single.reset()[1]["prompt_id"] for _ in range(5)]
    assert ids[:, 0].tolist() == expected == ids[:, 2].tolist()
    envs.reset(seed=[7, 8, 9])
    kept = [envs.reset(seed=[None, 3, None])[1]["prompt_id"][0], envs.reset()[1]["prompt_id"][0]]
    assert kept == expected[1:3], "None keeps a row's stream"


def test_sequential_rows_share_one_counter():
    envs = vector(3, letters(7), sampling="sequential", max_new_tokens=1)
    played = envs.reset(seed=1)[1]["prompt_id"].tolist()
    for _ in range(2):
        envs.step(LETTERS[:1] * 3)
        played += envs.step(LETTERS[:1] * 3)[4]["prompt_id"].tolist()
    assert played == [0, 1, 2, 3, 4, 5, 6, 0, 1]


def test_prompt_ids_for_all_rows_or_row_by_row():
    envs = vector(3)
    assert envs.reset(options={"prompt_id": 2})[1]["prompt_id"].tolist() == [2, 2, 2]
    for ids in ([4, 0, 1], np.array([4, 0, 1])):
        assert envs.reset(options={"prompt_id": ids})[1]["prompt_id"].tolist() == [4, 0, 1]
    mixed = envs.reset(seed=0, options={"prompt_id": [None, 3, None]})[1]["prompt_id"]
    assert mixed[1] == 3
    assert mixed[0] == envs.reset(seed=0)[1]["prompt_id"][0]


# Errors


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"seed": -1}, SeedError, "seed=-1"),
        ({"seed": [1, 2]}, ConfigError, "2 entries"),
        ({"seed": [1, 2, -3]}, SeedError, "seed=-3"),
        ({"seed": "x"}, SeedError, "seed='x'"),
        ({"options": {"prompt_id": 9}}, PromptIdError, "0 to 4"),
        ({"options": {"prompt_id": [1, 2]}}, ConfigError, "2 entries"),
        ({"options": {"prompts": 9}}, ConfigError, "Did you mean 'prompt_id'"),
        ({"options": {"reset_mask": [True] * 3}}, ConfigError, "numpy array of 3 booleans"),
        ({"options": {"reset_mask": np.zeros(3, dtype=bool)}}, ConfigError, "selects no row"),
    ],
)
def test_bad_resets(arguments, error, words):
    with pytest.raises(error, match=words):
        vector().reset(**arguments)


@pytest.mark.parametrize(
    "actions",
    [
        [1.0, 2.0, 3.0],
        [1, 2],
        [[1], [2], [3]],
        ["a", "b", "c"],
        3,
        [True, False, True],
        None,
        [5, 10**6, 5],
        [5, 5, -1],
    ],
)
def test_bad_actions_change_nothing(actions):
    envs = vector()
    envs.reset(seed=0)
    with pytest.raises(InvalidActionError):
        envs.step(actions)
    assert envs.step([5, 5, 5])[0]["attention_mask"][:, 24:].sum() == 3


def test_a_masked_action_is_an_error_that_names_row_token_and_mask():
    envs = vector(min_new_tokens=2, banned_tokens=[50])
    envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"Token 50 .* of environment 1 .*banned_tokens"):
        envs.step([5, 50, 5])
    with pytest.raises(InvalidActionError, match=r"environment 2 .*min_new_tokens=2"):
        envs.step([5, 5, EOS])
    envs = vector()
    envs.reset(seed=0)
    envs.step([EOS, 5, 5])
    with pytest.raises(InvalidActionError, match="environment 2 is outside"):
        envs.step([5, 5, 999])


def test_step_before_reset():
    with pytest.raises(ResetNeededError):
        vector().step([5, 5, 5])


@pytest.mark.parametrize("num_envs", [0, -1, 1.5, True])
def test_bad_numbers_of_environments(num_envs):
    with pytest.raises(ConfigError, match="num_envs"):
        vector(num_envs)


# Masks, copies, rendering, speed


def test_action_masks_row_by_row():
    envs = vector(min_new_tokens=1)
    envs.reset(seed=0)
    assert not envs.action_masks()[:, EOS].any()
    envs.step(LETTERS[:3])
    assert envs.action_masks().all()
    envs.step([EOS, LETTERS[0], LETTERS[0]])
    envs.step(LETTERS[:3])  # row 0 begins again
    assert envs.action_masks()[:, EOS].tolist() == [0, 1, 1]
    assert envs.action_masks().shape == (3, 259)


def test_action_masks_are_what_the_action_space_samples_with():
    envs = vector(allowed_tokens=LETTERS[:2])
    envs.reset(seed=0)
    sampled = np.array([envs.action_space.sample(mask=tuple(envs.action_masks())) for _ in range(30)])
    assert {*sampled.ravel().tolist()} == {*LETTERS[:2]}


def test_masks_cost_nothing_where_nothing_is_masked():
    envs = vector(64)
    envs.reset(seed=0)
    assert envs.action_masks().strides[0] == 0
    assert envs.action_masks().all()


def test_observations_are_copies_unless_views_are_asked_for():
    for asked in (True, False):
        envs = vector(copy=asked)
        first, _ = envs.reset(seed=0)
        second = envs.step([5, 6, 7])[0]
        assert np.shares_memory(first["input_ids"], second["input_ids"]) is not asked
        assert (first["input_ids"][0, 24] == 5) is not asked


def test_copies_and_pickles_go_on_like_the_original():
    envs = vector()
    envs.reset(seed=0)
    envs.step([5, EOS, 6])
    twins = [copy.deepcopy(envs), pickle.loads(pickle.dumps(envs))]
    expected = [envs.step([EOS, 5, 6]), envs.step([5, 6, 7])]
    for twin in twins:
        for one, other in zip(expected, [twin.step([EOS, 5, 6]), twin.step([5, 6, 7])], strict=True):
            assert_same(one, other)


def test_rendering():
    envs = vector(2, render_mode="ansi")
    envs.reset(options={"prompt_id": [0, 1]})
    envs.step(LETTERS[:2])
    assert envs.render() == ("Prompt: Write a:\nText:   a", "Prompt: Write b:\nText:   b")
    assert vector().render() is None
    with pytest.raises(ConfigError, match="render_mode"):
        vector(render_mode="rgb_array")


def test_gymnasium_s_own_vector_wrappers_work():
    wrappers = gymnasium.wrappers.vector
    envs = wrappers.TransformReward(vector(task=ListTask([Prompt("p", ("a",))])), lambda rewards: rewards * 3)
    envs = wrappers.RecordEpisodeStatistics(wrappers.ClipReward(envs, -0.2, 2.0))
    envs.reset(seed=0)
    envs.step([LETTERS[0], LETTERS[1], LETTERS[0]])
    infos = envs.step([EOS, EOS, LETTERS[0]])[4]
    assert infos["episode"]["r"].tolist() == [2.0, -0.2, 0.0]
    assert infos["episode"]["l"].tolist() == [2, 2, 0]
    normal = wrappers.NormalizeReward(vector())
    normal.reset(seed=0)
    assert np.isfinite(normal.step([EOS] * 3)[1]).all()
    listed = wrappers.DictInfoToList(vector())
    infos = listed.reset(seed=0)[1]
    assert [set(info) for info in infos] == [{"prompt", "prompt_id", "prompt_truncated"}] * 3


def test_a_completion_is_decoded_when_it_ends_and_not_before(monkeypatch):
    decoded = []
    envs = vector(3, task=ListTask([Prompt("p", ("a",))]), max_new_tokens=4)
    rules = envs.mdp.rules
    monkeypatch.setattr(rules, "decode_completion", lambda ids: decoded.append(list(ids)) or "x")
    envs.reset(seed=0)
    a, b = LETTERS[:2]
    steps = [[a, b, a], [a, EOS, a], [b, b, a], [b, b, b]]
    counts = [envs.step(actions) and len(decoded) for actions in steps]
    assert counts == [0, 1, 1, 3]
    assert decoded == [[b, EOS], [a, a, b, b], [a, a, a, b]]


def test_rows_reset_at_different_times_each_get_their_whole_budget():
    envs = vector(4, autoreset_mode=AutoresetMode.DISABLED, max_new_tokens=5)
    envs.reset(seed=0)
    lengths, ages = [], np.zeros(4, dtype=int)
    generator = np.random.default_rng(1)
    for _ in range(200):
        running = ~envs.ended
        _, _, terminated, _, infos = envs.step(LETTERS)
        ages[running] += 1
        assert not terminated[~running].any()
        lengths += ages[terminated].tolist()
        if terminated.any():
            assert infos["num_tokens"][terminated].tolist() == ages[terminated].tolist()
        again = generator.random(4) < 0.2  # ended or not
        again |= envs.ended.all()
        if again.any():
            envs.reset(options={"reset_mask": again})
            ages[again] = 0
    assert len(lengths) > 20
    assert set(lengths) == {5}


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_actions_of_any_integer_type(dtype):
    envs = vector()
    envs.reset(seed=0)
    observation = envs.step(np.array([5, 127, 6], dtype=dtype))[0]
    assert observation["input_ids"][:, 24].tolist() == [5, 127, 6]
    if dtype == np.uint64:
        with pytest.raises(InvalidActionError, match="environment 1 is outside"):
            envs.step(np.array([5, 2**64 - 1, 6], dtype=dtype))


@pytest.mark.parametrize("token", [-1, -(2**63), 2**63 - 1, 259, -260, -519])
def test_no_token_outside_the_vocabulary_gets_in(token):
    envs = vector()
    before, _ = envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match=f"Action {token} of environment 2 is outside"):
        envs.step(np.array([5, 5, token]))
    after = envs.step([5, 6, 7])[0]
    assert (after["input_ids"] != before["input_ids"]).sum() == 3


class Noisy(ListTask):
    stochastic = True


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_stochastic_task_gives_each_episode_a_number_that_follows_the_seed(mode):
    def noise(samples):
        return [sample.noise for sample in samples]

    def drawn(envs, seed, episodes=6):
        end, out = envs.tokenizer.eos_token_id, []
        envs.reset(seed=seed)
        while len(out) < episodes:
            _, rewards, terminated, _, _ = envs.step(np.full(2, end))
            out += [rewards.tolist()] * bool(terminated.all())
        return out

    task = Noisy(letters())
    one, again, other = (drawn(vector(2, task, noise, autoreset_mode=mode), seed) for seed in (3, 3, 4))
    assert one == again != other
    assert len({number for row in one for number in row}) == 12
    single = TextGenerationEnv(task, noise)
    single.reset(seed=8)
    alone = [single.step(single.tokenizer.eos_token_id)[1], single.reset() and single.step(1)[1]]
    assert np.array(drawn(vector(2, task, noise, autoreset_mode=mode), [7, 8], 2))[:, 1].tolist() == alone
    assert drawn(vector(2, letters(), noise, autoreset_mode=mode), 3) == [[0.0, 0.0]] * 6


def test_a_saved_environment_goes_on_with_the_same_noise():
    def noise(samples):
        return [sample.noise for sample in samples]

    one, other = (vector(2, Noisy(letters()), noise) for _ in range(2))
    one.reset(seed=3)
    other.set_state(one.get_state())
    end = np.full(2, one.tokenizer.eos_token_id)
    assert one.step(end)[1].tolist() == other.step(end)[1].tolist() != [0.0, 0.0]
