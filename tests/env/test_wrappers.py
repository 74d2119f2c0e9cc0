"""RewardWrapper and CompletionAction, on single and on vector environments."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv

import textgym
from tests.env.text_games import ListTask, byte_tokenizer, exact, letters, write
from textgym import Prompt, TextGenerationEnv, TextGenerationVectorEnv
from textgym.errors import ConfigError, InvalidActionError, ResetNeededError, RewardError
from textgym.wrappers import CompletionAction, RewardWrapper

TOKENIZER = byte_tokenizer()
A, B = TOKENIZER.encode("a")[0], TOKENIZER.encode("b")[0]
EOS = TOKENIZER.eos_token_id


class Doubled(RewardWrapper):
    """Twice the reward, plus the number of tokens, times a factor."""

    def __init__(self, env, factor=1.0):
        super().__init__(env)
        self.factor = factor

    def reward(self, sample, reward):
        return self.factor * (2 * reward + len(sample.token_ids))


class Bad(RewardWrapper):
    value: object = float("nan")

    def reward(self, sample, reward):
        return self.value


def single(**options):
    return TextGenerationEnv(letters(), exact, TOKENIZER, **options)


def vector(num_envs=3, **options):
    return TextGenerationVectorEnv(num_envs, letters(), exact, TOKENIZER, **options)


@pytest.fixture
def registered():
    textgym.register("tests/Letters-v0", letters(), exact, tokenizer=TOKENIZER)
    yield "tests/Letters-v0"
    del gymnasium.registry["tests/Letters-v0"]


# RewardWrapper


def test_a_reward_wrapper_sees_the_finished_sample_of_a_single_environment():
    env = Doubled(single())
    assert isinstance(env, Doubled)
    assert isinstance(env, gymnasium.Wrapper)
    assert not isinstance(env, VectorEnv)
    env.reset(options={"prompt_id": 0})
    assert env.step(A)[1] == 0.0
    assert env.step(EOS)[1] == 2 * 1.0 + 2


def test_a_reward_wrapper_serves_a_vector_environment_alike():
    envs = Doubled(vector(), factor=10)
    assert isinstance(envs, Doubled)
    assert isinstance(envs, gymnasium.vector.VectorWrapper)
    assert not isinstance(envs, gymnasium.Env)
    assert envs.observation_space["input_ids"].shape == (3, 32)
    envs.reset(options={"prompt_id": [0, 1, 2]})
    assert envs.step([A, A, A])[1].tolist() == [0, 0, 0]
    assert envs.step([EOS, EOS, A])[1].tolist() == [40.0, 10 * (2 * -0.1 + 2), 0.0]


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync", "async"])
@pytest.mark.parametrize("autoreset", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_reward_wrapper_serves_every_kind_of_vector_environment(registered, mode, autoreset):
    how = {"autoreset_mode": autoreset}
    how = how if mode == "vector_entry_point" else {"vector_kwargs": how}
    envs = Doubled(gymnasium.make_vec(registered, num_envs=2, vectorization_mode=mode, sampling="sequential", **how))
    try:
        for _ in range(2):
            envs.reset(seed=0, options={"prompt_id": 0})
            assert envs.step(np.array([A, A]))[1].tolist() == [0, 0]
            assert envs.step(np.array([EOS, B]))[1].tolist() == [4.0, 0.0]
            assert envs.step(np.array([A, EOS]))[1].tolist() == [0.0, 2 * -0.2 + 3]
    finally:
        envs.close()


def test_reward_wrappers_stack_with_each_other_and_with_gymnasium_s(registered):
    env = gymnasium.wrappers.ClipReward(Doubled(Doubled(gymnasium.make(registered))), max_reward=9.5)
    env.reset(options={"prompt_id": 0})
    env.step(A)
    assert env.step(EOS)[1] == 9.5  # (2 * (2 * 1 + 2)) + 2 = 10, clipped
    assert env.get_wrapper_attr("action_masks")().all()


def test_a_reward_that_is_set_through_a_wrapper_is_what_the_wrapper_changes(registered):
    env = Doubled(gymnasium.make(registered))
    env.set_wrapper_attr("reward", lambda samples: [10.0])
    env.set_wrapper_attr("factor", 2)
    env.reset(seed=0)
    assert env.step(EOS)[1] == 2 * (2 * 10 + 1)


def test_an_exception_of_a_wrapper_says_whose_it_is():
    class Divides(RewardWrapper):
        def reward(self, sample, reward):
            return reward / len(sample.completion)

    env = Divides(single())
    env.reset(seed=0)
    with pytest.raises(ZeroDivisionError) as caught:
        env.step(EOS)
    assert caught.value.__notes__[0].startswith("Raised by the reward 'Divides', scoring the sample of prompt_id ")


def test_a_reward_wrapper_leaves_alone_an_episode_that_a_time_limit_cut():
    env = Doubled(gymnasium.wrappers.TimeLimit(single(), 2))
    env.reset(seed=0)
    env.step(A)
    _, reward, terminated, truncated, _ = env.step(A)
    assert (reward, terminated, truncated) == (0.0, False, True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "high"])
@pytest.mark.parametrize("make", [single, vector])
def test_what_a_reward_wrapper_returns_must_be_a_finite_number(make, value):
    env = Bad(make())
    env.value = value
    env.reset(seed=0)
    with pytest.raises(RewardError, match=r"Bad\.reward returned"):
        env.step(EOS if make is single else [EOS] * 3)


@pytest.mark.parametrize("make", [single, vector])
def test_reward_wrappers_pickle_and_copy(make):
    env = Doubled(make(), factor=3)
    env.reset(seed=1)
    action = EOS if make is single else np.array([EOS] * 3)
    twins = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    expected = env.step(action)
    for twin in twins:
        assert type(twin) is type(env)
        assert data_equivalence(twin.step(action), expected, exact=True)


def test_the_spec_can_make_a_reward_wrapper_again(registered):
    env = Doubled(gymnasium.make(registered), factor=5.0)
    again = gymnasium.make(env.spec)
    assert isinstance(again, Doubled)
    assert again.factor == 5.0


def test_wrappers_say_what_they_wrap():
    with pytest.raises(TypeError, match="wraps an Env, a VectorEnv or a TextVecEnv, got int"):
        Doubled(3)
    for wrapper in (Doubled, CompletionAction):
        with pytest.raises(ConfigError, match="text environment"):
            wrapper(gymnasium.make("CartPole-v1"))
    env = RewardWrapper(single())
    env.reset()
    with pytest.raises(NotImplementedError, match="reward"):
        env.step(EOS)


# CompletionAction


@pytest.mark.parametrize("text", ["a", "", "abc", "äb", "abcdefghijklm"])
def test_completions_and_tokens_as_actions_give_the_same_episode(text):
    tokens, whole = Doubled(single()), CompletionAction(Doubled(single()))
    tokens.reset(options={"prompt_id": 0})
    whole.reset(options={"prompt_id": 0})
    assert data_equivalence(write(tokens, text), whole.step(text), exact=True)


@pytest.mark.parametrize(
    ("action", "completion", "tokens"),
    [
        ([A, B], "ab", 3),
        ([A, EOS], "a", 2),
        ((A,), "a", 2),
        (np.array([A, B]), "ab", 3),
        ([], "", 1),
        ([A, EOS, B], "a", 2),
    ],
)
def test_a_completion_can_be_token_ids(action, completion, tokens):
    env = CompletionAction(single())
    env.reset(seed=0)
    info = env.step(action)[4]
    assert (info["completion"], info["num_tokens"]) == (completion, tokens)


@pytest.mark.parametrize("action", [3, None, b"abc", [1.5], ["a"]])
def test_anything_else_is_no_completion(action):
    for env, wrong in ((CompletionAction(single()), action), (CompletionAction(vector(2)), ["a", action])):
        env.reset(seed=0)
        with pytest.raises(InvalidActionError):
            env.step(wrong)


def test_masks_hold_for_whole_completions_too():
    env = CompletionAction(single(min_new_tokens=3))
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="min_new_tokens=3"):
        env.step("a")


def test_completion_actions_in_gymnasium():
    env = CompletionAction(single())
    assert "anything at all, 世界" in env.action_space
    env.action_space.seed(0)
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[2]
    with pytest.raises(ResetNeededError):
        env.step("a")


def test_a_time_limit_cuts_a_completion():
    env = CompletionAction(gymnasium.wrappers.TimeLimit(single(), 2))
    env.reset(seed=0)
    assert env.step("abcd")[1:] == (0.0, False, True, {})


def slow_vector(mode=AutoresetMode.NEXT_STEP, **options):
    return CompletionAction(Doubled(vector(autoreset_mode=mode, sampling="sequential", **options)))


def slow_sync(mode):
    def make():
        return CompletionAction(Doubled(single()))

    return gymnasium.vector.SyncVectorEnv([make] * 3, autoreset_mode=mode)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_completion_actions_of_a_vector_environment_are_those_of_single_ones(mode):
    envs = CompletionAction(Doubled(vector(autoreset_mode=mode)))
    theirs = slow_sync(mode)
    assert envs.metadata["autoreset_mode"] is mode
    assert envs.single_action_space == theirs.single_action_space
    assert data_equivalence(envs.reset(seed=[1, 2, 3]), theirs.reset(seed=[1, 2, 3]), exact=True)
    generator = np.random.default_rng(0)
    for _ in range(20):
        texts = ["".join(generator.choice(list("abc"), size=generator.integers(11))) for _ in range(3)]
        one, other = envs.step(texts), theirs.step(tuple(texts))
        assert data_equivalence(one[:4], other[:4], exact=True)
        infos = [dict(sorted(result[4].items())) for result in (one, other)]
        assert data_equivalence(*infos, exact=True)


def test_next_step_autoreset_resets_all_rows_and_ignores_the_completions():
    envs = slow_vector()
    envs.reset(seed=0)
    _, rewards, terminated, _, infos = envs.step(["a", "abc", ""])
    assert terminated.all()
    assert rewards.tolist() == [4.0, 2 * -0.3 + 4, 1.0]
    assert infos["completion"].tolist() == ["a", "abc", ""]
    assert infos["num_tokens"].tolist() == [2, 4, 1]
    _, rewards, terminated, _, infos = envs.step([None, 3, ""])
    assert not terminated.any()
    assert not rewards.any()
    assert infos["prompt"].tolist() == ["Write d:", "Write e:", "Write a:"]


def test_completion_actions_without_autoreset_wait():
    envs = slow_vector(AutoresetMode.DISABLED)
    with pytest.raises(ResetNeededError):
        envs.step(["a"] * 3)
    envs.reset(seed=0)
    envs.step(["a"] * 3)
    with pytest.raises(ResetNeededError):
        envs.step(["a"] * 3)
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    _, rewards, terminated, _, infos = envs.step([None, "d", None])
    assert terminated.tolist() == [False, True, False]
    assert infos["_completion"].tolist() == [False, True, False]
    assert rewards.tolist() == [0, 4.0, 0]


def test_a_wrong_number_of_completions():
    envs = slow_vector()
    envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match="2 completions for 3"):
        envs.step(["a", "b"])


def test_completion_actions_of_foreign_vector_environments_are_inside(registered):
    envs = gymnasium.make_vec(registered, num_envs=2, vectorization_mode="sync")
    with pytest.raises(ConfigError, match=r"wrappers=\[CompletionAction\]"):
        CompletionAction(envs)
    envs = gymnasium.make_vec(registered, num_envs=2, vectorization_mode="sync", wrappers=[CompletionAction])
    envs.reset(seed=0, options={"prompt_id": 1})
    assert envs.step(("b", "c"))[1].tolist() == [1.0, -0.1]


def test_completion_actions_with_a_task_of_one_prompt():
    task = ListTask([Prompt("p", ("a",))])
    env = CompletionAction(TextGenerationEnv(task, exact, TOKENIZER))
    env.reset()
    assert env.step("a")[1] == 1.0
    assert env.unwrapped.last_sample.completion == "a"
