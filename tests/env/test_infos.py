"""infos="numbers" and "none": what libraries need that stack infos of many steps."""

import pickle

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import NumpyToTorch

import textgym
from tests.env.text_games import byte_tokenizer, exact, letters
from textgym import TextGenerationEnv, TextGenerationVectorEnv
from textgym.errors import ConfigError
from textgym.wrappers import CompletionAction, RewardWrapper

TOKENIZER = byte_tokenizer()
A, EOS = TOKENIZER.encode("a")[0], TOKENIZER.eos_token_id
KEYS = {"prompt_id", "prompt_truncated", "num_tokens", "finish_code", "reward_abstained"}
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


class PlusTokens(RewardWrapper):
    def reward(self, sample, reward):
        return reward + len(sample.token_ids)


def single(**options):
    return TextGenerationEnv(letters(), exact, TOKENIZER, **{"infos": "numbers", **options})


def vector(num_envs=2, **options):
    return TextGenerationVectorEnv(num_envs, letters(), exact, TOKENIZER, **{"infos": "numbers", **options})


def plain(infos):
    return {name: value.tolist() for name, value in infos.items() if not name.startswith("_")}


def test_numbers_are_the_same_keys_at_every_step():
    env = single(max_prompt_tokens=5, max_new_tokens=3)
    infos = [env.reset(seed=0, options={"prompt_id": 2})[1]]
    infos += [env.step(A)[4], env.step(A)[4], env.step(A)[4]]
    assert all({*info} == KEYS for info in infos)
    assert all(type(value) is np.int64 for info in infos for value in info.values())
    assert [int(info["num_tokens"]) for info in infos] == [0, 1, 2, 3]
    assert [int(info["finish_code"]) for info in infos] == [0, 0, 0, 3]
    assert {int(info["prompt_id"]) for info in infos} == {2}
    assert {int(info["prompt_truncated"]) for info in infos} == {len("Write c:") - 5}
    assert env.reset(seed=0)[1]["finish_code"] == 0


@pytest.mark.parametrize(("stop", "tokens", "code"), [((), [A, EOS], 1), (("a",), [A], 2), ((), [A] * 8, 3)])
def test_finish_codes(stop, tokens, code):
    env = single(stop=stop)
    env.reset(seed=0)
    assert [int(env.step(token)[4]["finish_code"]) for token in tokens] == [0] * (len(tokens) - 1) + [code]


def test_an_abstention_is_a_number():
    env = TextGenerationEnv(letters(), lambda samples: [None] * len(samples), TOKENIZER, infos="numbers")
    env.reset(seed=0)
    assert env.step(EOS)[4]["reward_abstained"] == 1
    assert env.reset()[1]["reward_abstained"] == 0


def test_the_numbers_of_many_rows():
    envs = vector(autoreset_mode=AutoresetMode.DISABLED)
    _, infos = envs.reset(seed=0, options={"prompt_id": [1, 2]})
    assert {*infos} == KEYS | {f"_{key}" for key in KEYS}
    infos = [envs.step(actions)[4] for actions in ([A, A], [EOS, A], [A, EOS])]
    assert plain(infos[-1]) == {
        "prompt_id": [1, 2], "prompt_truncated": [0, 0], "num_tokens": [2, 3], "finish_code": [1, 1],
        "reward_abstained": [0, 0],
    }  # fmt: skip
    assert [one["finish_code"].tolist() for one in infos] == [[0, 0], [1, 0], [1, 1]]
    _, after = envs.reset(options={"reset_mask": np.array([True, False])})
    assert after["finish_code"].tolist() == [0, 1]
    assert all(values.all() for name, values in after.items() if name.startswith("_"))


def test_the_end_keeps_its_numbers_with_same_step():
    envs = vector(autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0, options={"prompt_id": 3})
    infos = envs.step([EOS, A])[4]
    assert infos["num_tokens"].tolist() == [0, 1]
    final = infos["final_info"]
    assert final["num_tokens"].dtype == np.int64
    assert (final["prompt_id"][0], final["num_tokens"][0], final["finish_code"][0]) == (3, 1, 1)
    assert final["_num_tokens"].tolist() == [True, False]


def test_no_infos():
    env = single(infos="none")
    assert env.reset(seed=0)[1] == {}
    assert env.step(EOS)[4] == {}
    envs = vector(infos="none")
    assert envs.reset(seed=0)[1] == {}
    assert envs.step([A, EOS])[4] == {}
    with pytest.raises(ConfigError, match="infos='some' is unknown"):
        single(infos="some")


@pytest.mark.parametrize("infos", ["all", "numbers", "none"])
@pytest.mark.parametrize("slow", [False, True])
def test_reward_wrappers_need_no_infos(infos, slow):
    wrap = CompletionAction if slow else lambda env: env
    env = PlusTokens(wrap(single(infos=infos)))
    env.reset(options={"prompt_id": 0})
    if slow:
        assert env.step("a")[1] == 3.0
    else:
        assert [float(env.step(token)[1]) for token in (A, EOS)] == [0.0, 3.0]


@pytest.mark.parametrize("infos", ["all", "numbers", "none"])
def test_reward_wrappers_leave_a_cut_episode_alone(infos):
    env = PlusTokens(gymnasium.wrappers.TimeLimit(single(infos=infos), 2))
    env.reset(seed=0)
    env.step(A)
    assert env.step(A)[1:4] == (0.0, False, True)


@pytest.fixture
def registered():
    textgym.register("tests/Letters-v0", letters(), exact, tokenizer=TOKENIZER)
    yield "tests/Letters-v0"
    del gymnasium.registry["tests/Letters-v0"]


@pytest.mark.parametrize("infos", ["numbers", "none"])
@pytest.mark.parametrize("autoreset", MODES)
@pytest.mark.parametrize("mode", ["vector_entry_point", "sync", "async"])
def test_reward_wrappers_of_vector_environments_need_no_infos(registered, infos, autoreset, mode):
    how = {"autoreset_mode": autoreset}
    how = how if mode == "vector_entry_point" else {"vector_kwargs": how}
    envs = PlusTokens(gymnasium.make_vec(registered, num_envs=2, vectorization_mode=mode, infos=infos, **how))
    try:
        for _ in range(2):
            envs.reset(seed=0, options={"prompt_id": 0})
            assert envs.step(np.array([A, A]))[1].tolist() == [0, 0]
            assert envs.step(np.array([EOS, A]))[1].tolist() == [3.0, 0.0]
            assert envs.step(np.array([A, EOS]))[1].tolist() == [0.0, 3 - 0.2]
    finally:
        envs.close()


@pytest.mark.parametrize("infos", ["numbers", "none"])
@pytest.mark.parametrize("autoreset", MODES)
def test_reward_wrappers_of_whole_completions_need_no_infos(infos, autoreset):
    envs = PlusTokens(CompletionAction(vector(infos=infos, autoreset_mode=autoreset)))
    envs.reset(options={"prompt_id": 0})
    assert envs.step(["a", "aa"])[1].tolist() == [3.0, 3 - 0.2]


def test_gymnasium_s_numpy_to_torch():
    """With SAME_STEP it refuses every environment: Gymnasium's own ``final_obs`` is an array of objects."""
    envs = NumpyToTorch(vector())
    _, infos = envs.reset(seed=0)
    assert isinstance(infos["prompt_id"], torch.Tensor)
    envs.step(torch.tensor([EOS, A]))
    infos = envs.step(torch.tensor([A, A]))[4]
    assert infos["finish_code"].tolist() == [0, 0]


@pytest.mark.parametrize("make", [single, vector])
def test_states_and_pickles_keep_the_numbers(make):
    env = make()
    env.reset(seed=0)
    action = A if make is single else [A, EOS]
    env.step(action)
    twin = make()
    twin.set_state(env.get_state())
    for other in (twin, pickle.loads(pickle.dumps(env))):
        expected = {name: np.asarray(value).tolist() for name, value in env.step(action)[4].items()}
        env.set_state(twin.get_state()) if other is twin else None
        assert {name: np.asarray(value).tolist() for name, value in other.step(action)[4].items()} == expected
