"""MaskObservation and CompactVocabulary, on single and on vector environments."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode

import textgym
from tests.env.text_games import byte_tokenizer, exact, letters
from textgym import TextGenerationEnv, TextGenerationVectorEnv
from textgym.errors import ConfigError, InvalidActionError
from textgym.wrappers import CompactVocabulary, CompletionAction, MaskObservation, RewardWrapper

TOKENIZER = byte_tokenizer()
A, B, C = (TOKENIZER.encode(letter)[0] for letter in "abc")
EOS = TOKENIZER.eos_token_id
ALLOWED = [B, A, EOS]  # actions 0, 1, 2
PAD, OTHER = 3, 4
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


def single(**options):
    return TextGenerationEnv(letters(), exact, TOKENIZER, **{"allowed_tokens": ALLOWED, **options})


def vector(num_envs=2, **options):
    return TextGenerationVectorEnv(num_envs, letters(), exact, TOKENIZER, **{"allowed_tokens": ALLOWED, **options})


@pytest.fixture
def registered():
    textgym.register("tests/Letters-v0", letters(), exact, tokenizer=TOKENIZER, allowed_tokens=ALLOWED)
    yield "tests/Letters-v0"
    del gymnasium.registry["tests/Letters-v0"]


# CompactVocabulary


def test_actions_and_observations_are_narrowed():
    env = CompactVocabulary(single(max_prompt_tokens=12, max_new_tokens=4))
    assert env.tokens.tolist() == ALLOWED
    assert env.action_space == gymnasium.spaces.Discrete(3)
    assert env.observation_space["input_ids"].high.max() == OTHER
    observation, _ = env.reset(options={"prompt_id": 0})  # "Write a:"
    prompt = [PAD] * 4 + [OTHER] * 6 + [1, OTHER]
    assert observation["input_ids"].tolist() == [*prompt, PAD, PAD, PAD, PAD]
    assert observation["input_ids"].dtype == np.int64
    observation, *_ = env.step(1)
    assert observation["input_ids"].tolist() == [*prompt, 1, PAD, PAD, PAD]
    assert observation["attention_mask"].tolist() == [0] * 4 + [1] * 9 + [0] * 3
    _, reward, terminated, _, info = env.step(np.int64(2))
    assert (reward, terminated, info["completion"]) == (1.0, True, "a")


def test_the_decoder_s_tokens_are_narrowed_too():
    env = CompactVocabulary(single(form="seq2seq", max_prompt_tokens=8, max_new_tokens=2))
    env.reset(options={"prompt_id": 1})
    observation = env.step(0)[0]
    assert observation["input_ids"].tolist() == [OTHER] * 6 + [0, OTHER]
    assert observation["decoder_input_ids"].tolist() == [OTHER, 0, PAD]  # the start token is none of the allowed
    assert env.observation_space.contains(observation)


def test_without_allowed_tokens_all_that_are_not_banned_are_numbered():
    env = CompactVocabulary(single(allowed_tokens=None, banned_tokens=[B]))
    assert env.tokens.tolist() == [token for token in range(len(TOKENIZER)) if token != B]


def test_padding_has_a_number_of_its_own_where_the_pad_token_is_legal():
    tokenizer = byte_tokenizer(pad=False)  # padded with the end token
    env = CompactVocabulary(TextGenerationEnv(letters(), exact, tokenizer, allowed_tokens=ALLOWED))
    observation, _ = env.reset(seed=0)
    assert observation["input_ids"][0] == PAD
    assert observation["input_ids"][-1] == PAD


def test_masks_and_completions_are_narrowed():
    env = CompactVocabulary(single(min_new_tokens=1))
    env.reset(seed=0)
    assert env.action_masks().tolist() == [1, 1, 0]
    assert env.action_masks().dtype == np.int8
    assert env.get_wrapper_attr("action_masks")().shape == (3,)  # sb3-contrib asks in this way
    assert env.encode_completion("ab") == [1, 0, 2]
    with pytest.raises(InvalidActionError, match=r"'abc' can't be written: token .* \('c'\)"):
        env.encode_completion("abc")
    envs = CompactVocabulary(vector(min_new_tokens=1))
    envs.reset(seed=0)
    envs.step([0, 1])
    assert envs.action_masks().tolist() == [[1, 1, 1]] * 2


@pytest.mark.parametrize("action", [-1, 3, 1.0, "a", None])
def test_other_actions_are_errors(action):
    for env, given in ((CompactVocabulary(single()), action), (CompactVocabulary(vector()), [0, action])):
        env.reset(seed=0)
        with pytest.raises(InvalidActionError):
            env.step(given)


@pytest.mark.parametrize("mode", MODES)
def test_the_vector_form_is_the_single_one_row_by_row(mode):
    options = {"max_prompt_tokens": 10, "max_new_tokens": 4}
    envs = CompactVocabulary(vector(3, autoreset_mode=mode, **options))
    theirs = gymnasium.vector.SyncVectorEnv([lambda: CompactVocabulary(single(**options))] * 3, autoreset_mode=mode)
    assert envs.single_observation_space == theirs.single_observation_space
    assert envs.observation_space == theirs.observation_space
    assert envs.action_space == theirs.action_space
    assert data_equivalence(envs.reset(seed=[1, 2, 3])[0], theirs.reset(seed=[1, 2, 3])[0])
    generator = np.random.default_rng(0)
    for _ in range(40):
        actions = generator.integers(3, size=3)
        ours, other = envs.step(actions), theirs.step(actions)
        assert data_equivalence(ours[:4], other[:4])
        if mode == AutoresetMode.SAME_STEP and "final_obs" in ours[4]:
            for one, two in zip(ours[4]["final_obs"], other[4]["final_obs"], strict=True):
                assert (one is None) == (two is None)
                assert one is None or data_equivalence(one, two)
        if mode == AutoresetMode.DISABLED and (done := ours[2]).any():
            ended = {"options": {"reset_mask": done}}
            assert data_equivalence(envs.reset(**ended)[0], theirs.reset(**ended)[0])


def test_the_action_of_a_row_that_waits_is_ignored():
    envs = CompactVocabulary(vector())
    envs.reset(seed=0)
    envs.step([2, 0])
    envs.step([99, 0])
    with pytest.raises(InvalidActionError, match="99"):
        envs.step([99, 0])


def test_it_is_the_innermost_wrapper_that_changes_spaces():
    for inner in (MaskObservation, CompletionAction, CompactVocabulary):
        for env in (single(), vector()):
            with pytest.raises(ConfigError, match="around the text environment itself"):
                CompactVocabulary(inner(env))
    for env in (single(), vector()):
        with pytest.raises(ConfigError, match="plays token ids"):
            CompletionAction(CompactVocabulary(env))


def test_reward_wrappers_go_inside_and_outside():
    class Double(RewardWrapper):
        def reward(self, sample, reward):
            return 2 * reward

    env = Double(CompactVocabulary(Double(single())))
    env.reset(options={"prompt_id": 0})
    env.step(1)
    assert env.step(2)[1] == 4.0


# MaskObservation


def test_the_mask_is_part_of_the_observation():
    env = MaskObservation(single(min_new_tokens=1, max_new_tokens=3))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert observation["action_mask"].nonzero()[0].tolist() == sorted([A, B])
    assert env.step(A)[0]["action_mask"].nonzero()[0].tolist() == sorted([A, B, EOS])
    observation["action_mask"][:] = 0  # a copy of its own, which torch.from_numpy takes without a warning
    assert MaskObservation(single(), key="mask").reset(seed=0)[0]["mask"].sum() == 3


def test_a_compact_mask():
    env = MaskObservation(CompactVocabulary(single(min_new_tokens=1)))
    observation, _ = env.reset(seed=0)
    assert observation["action_mask"].tolist() == [1, 1, 0]
    assert env.observation_space.contains(observation)


@pytest.mark.parametrize("compact", [False, True])
def test_masks_of_many_rows(compact):
    envs = vector(min_new_tokens=2, max_new_tokens=2, autoreset_mode=AutoresetMode.SAME_STEP)
    envs = MaskObservation(CompactVocabulary(envs) if compact else envs)
    actions = [0, 1] if compact else [A, B]
    observations, _ = envs.reset(seed=0)
    assert observations in envs.observation_space
    assert observations["action_mask"].sum(1).tolist() == [2, 2]
    envs.step(actions)
    observations, *_, infos = envs.step(actions)
    assert observations["action_mask"].sum(1).tolist() == [2, 2]  # of the new episodes
    assert all(one in envs.single_observation_space for one in infos["final_obs"])
    assert [one["action_mask"].sum() for one in infos["final_obs"]] == [3, 3]


def test_what_it_refuses():
    with pytest.raises(ConfigError, match="Discrete"):
        MaskObservation(CompletionAction(single()))
    with pytest.raises(ConfigError, match="'input_ids' already"):
        MaskObservation(single(), key="input_ids")
    for wrapper in (MaskObservation, CompactVocabulary):
        with pytest.raises(ConfigError, match="holds no text environment"):
            wrapper(gymnasium.make("CartPole-v1"))


# Both


@pytest.mark.parametrize("mode", MODES)
def test_vector_wrappers_say_what_becomes_of_rows_that_end(mode):
    """TorchRL's GymWrapper asks the outermost wrapper for ``autoreset_mode``."""
    for wrapper in (MaskObservation, CompactVocabulary, RewardWrapper, CompletionAction):
        envs = wrapper(vector(autoreset_mode=mode))
        assert envs.autoreset_mode is mode
        assert envs.metadata["autoreset_mode"] is mode


@pytest.mark.parametrize("wrapper", [MaskObservation, CompactVocabulary])
def test_sync_and_async_wrap_each_environment(registered, wrapper):
    for mode in ("sync", "async"):
        envs = gymnasium.make_vec(registered, num_envs=2, vectorization_mode=mode, wrappers=[wrapper])
        observations, _ = envs.reset(seed=0)
        assert observations in envs.observation_space
        with pytest.raises(ConfigError, match=rf"wrappers=\[{wrapper.__name__}\]"):
            wrapper(envs)
        envs.close()


@pytest.mark.parametrize("wrapper", [MaskObservation, CompactVocabulary])
def test_specs_pickles_and_copies(registered, wrapper):
    env = MaskObservation(gymnasium.make(registered), key="legal") if wrapper is MaskObservation else wrapper(single())
    env.reset(seed=0)
    expected = env.step(1 if wrapper is CompactVocabulary else A)
    env.reset(seed=0)
    for twin in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        assert type(twin) is type(env)
        assert data_equivalence(twin.step(1 if wrapper is CompactVocabulary else A), expected)
    again = gymnasium.make(wrapper(gymnasium.make(registered)).spec)
    assert isinstance(again, wrapper)


@pytest.mark.filterwarnings("ignore:.*(different from the unwrapped|not having a spec)")
def test_gymnasium_s_checker():
    check_env(CompactVocabulary(single()), skip_render_check=True)
    check_env(MaskObservation(CompactVocabulary(single())), skip_render_check=True)
