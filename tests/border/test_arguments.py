"""Arguments that make no sense, argument by value: each is an error of ours that names the argument."""

import math
import pickle
import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import textgym
from textgym.errors import TextGymError
from textgym_agents import evaluate, make
from textgym_agents.policies.limits import LIMITS, check_values


def shown(value):
    """A value as the name of a test, the same in every process."""
    return re.sub(" at 0x[0-9a-f]+", "", str(value))


ID = "textgym/Copy-v0"
MODEL = "textgym/tiny"  # so that an argument that is looked at late costs little
NAN, INF = math.nan, math.inf

# argument of the environment -> values that make no sense
ENVIRONMENT = {
    "max_new_tokens": [0, -1, 2.5, "8", True, 10**13, [8], NAN],
    "max_prompt_tokens": [0, -1, 2.5, "8", False, 10**13, NAN],
    "min_new_tokens": [-1, 2.5, "1", None, 17, True],
    "stop": [5, [5], [""], "", b"x", {"a": 1}, [None], 0.5],
    "banned_tokens": [5, None, "ab", [-1], [10**6], [0.5], [True], {"a": 1}, [None]],
    "allowed_tokens": [5, "ab", [], [-1], [10**6], ["a"]],
    "eos_token_ids": [7, None, "ab", [-1], [10**6], [0.5]],
    "length_is_truncation": ["no", "yes", 1, 0, None],
    "sampling": ["sometimes", 5, None, True, ["random"]],
    "infos": ["some", 5, None, True],
    "chat": ["yes", 1, None, True],
    "form": ["decoder", 5, None],
    "decoder_start_token_id": [-1, 10**6, "a", 0.5],
    "render_mode": [5, "rgb_array", "Human", True],
    "tokenizer": [5, "nosuch/folder/tokenizer", ["a"], {}, "textgym/none"],
    "reward": [5, "blue", "", "1", "bleu+", "1e999*", "١*bleu", "bleu bleu", True, ["bleu"], "default2"],
    "split": ["dev", 5, None, "Train", ["train"], ""],
    "seed": [-1, 0.5, "a", None, True],
    "template": ["no place", "{prompt}{prompt}", 5, "", ["{prompt}"]],
    "columns": [{"prompt": "a"}, {"x": "a"}],
    "dataset": [5, "nosuch.csv", "./nosuch", ["a"], True],
    "load_kwargs": [{"a": 1}],
    "nosuch": [1],
    "temperature": [1.0],
}
VECTOR = {
    "num_envs": [0, -1, 2.5, "2", True, None],
    "autoreset_mode": ["soon", 5, None],
    "render_mode": ["human", 5],
}
RESET = [
    *({"seed": seed} for seed in (-1, 0.5, "a", True, [1, 2], {})),
    *({"options": {"prompt_id": value}} for value in (-1, 10**9, 0.5, "a", True, [1], {})),
    *({"options": value} for value in ({"nosuch": 1}, {5: 1}, 5, "prompt_id", [1])),
]
VECTOR_RESET = [
    *({"seed": seed} for seed in (-1, 0.5, "a", True, [1], [1, -1], np.array(5.5), np.array([1, 2, 3]), {})),
    *({"options": {"prompt_id": value}} for value in (-1, 10**9, 0.5, "a", [1], [1, 10**9], [[1], [2]])),
    *(
        {"options": {"reset_mask": value}}
        for value in (5, [True, False], np.array([1, 0]), np.zeros(2, bool), np.ones(3, bool))
    ),
    *({"options": value} for value in ({"nosuch": 1}, 5, "reset_mask")),
]
ACTIONS = [-1, 10**6, 0.5, "a", None, True, [1], [1, 2], {}, np.array([1, 2]), np.float64(1), object()]
VECTOR_ACTIONS = [5, [1], [1, 2, 3], [1, [2, 3]], ["a", "b"], [0.5, 1.0], None, [True, False], [1, -1], [1, 10**6], {}]

# argument of make -> values that make no sense
NUMBERS = ["x", None, NAN, -1, [1], {}, True, "0.5", 1j]
COUNTS = [0, -1, 2.5, "4", NAN, [4], {}, True, 1j, 3.0]
SHARES = [-0.1, 1.1, 2, *NUMBERS]
MAKE = {
    "n_envs": COUNTS,
    "seed": [-1, 2**32, 2**64, 0.5, "a", NAN, [1], True],
    "kl_coef": [-0.1, NAN, INF, "x", [1], {}],
    "lora": [-1, 0, 1.5, "8", NAN, [8]],
    "env_kwargs": [5, "x", [1], {"num_envs": 3}, {"autoreset_mode": "Disabled"}],
    "policy_kwargs": [5, "x", [1], {"nope": 1}],
    "learning_rate": [INF, 1e300, *NUMBERS],
    "n_steps": COUNTS,
    "batch_size": [*COUNTS, 1],
    "n_epochs": COUNTS,
    "gamma": SHARES,
    "gae_lambda": SHARES,
    "clip_range": [0, INF, *NUMBERS],
    "clip_range_vf": [0, -1, NAN, "x", [1]],
    "ent_coef": [INF, NAN, "auto2", None, [1]],
    "vf_coef": NUMBERS,
    "max_grad_norm": [0, *NUMBERS],
    "target_kl": [0, -1, NAN, "x"],
    "normalize_advantage": ["no", 1, None],
    "device": ["nope", "cuda", 5.5, None, [1], "cpu:x", ""],
    "verbose": [-1, "x", 0.5],
    "stats_window_size": [0, "x", 0.5],
    "tensorboard_log": [5, [1]],
    "rollout_buffer_class": ["x", 5, [1]],
    "rollout_buffer_kwargs": [5, "x", {"rollout_buffer_kwargs": 1}],
    "nosuch": [1],
    "use_sde": [True],
}
OTHERS = {
    "dqn": {
        "buffer_size": COUNTS,
        "learning_starts": [-1, 0.5, "x"],
        "train_freq": [0, -1, "x", (0, "step"), (1, "day"), 0.5],
        "exploration_fraction": SHARES,
        "num_candidates": [0, 1, 10**6, "8", 2.5],
        "replay_buffer_class": ["x", 5],
        "target_update_interval": [0, "x"],
        "kl_coef": [0.1],
    },
    "rloo": {"prompts_per_rollout": COUNTS, "group_size": [*COUNTS, 1], "batch_size": COUNTS, "max_grad_norm": [0, -1]},
    "grpo": {"n_epochs": COUNTS, "clip_range": [0, -1, NAN, "x"]},
    "q_learning": {"beta": [0, -1, NAN, "x"], "td_lambda": SHARES, "traces": ["x", 5], "vf_coef": [-1, NAN]},
    "ilql": {"tau": [0, 1, -1, NAN, "x"], "cql_coef": [-1, NAN, "x"], "beta": [0, -1]},
    "bc": {"references_per_rollout": COUNTS},
    "nlpo": {"mask_top_p": [0, 1.1, NAN, "x"], "refresh_every": [0, -1, 0.5, "x"]},
    "ars": {"n_delta": COUNTS, "n_top": [0, -1, "x"], "delta_std": [0, -1, NAN, "x"], "n_eval_episodes": COUNTS},
    "best_of_n": {"n": COUNTS},
}
POLICY = {
    "temperature": [0, -1, NAN, INF, "hot", None, True],
    "top_k": [-1, 2.5, "a", None, True],
    "top_p": [0, -1, 1.1, NAN, "a", None],
    "dtype": ["float8", 5, None],
    "max_logits": [0, -1, 0.5, "x"],
    "max_cache_bytes": [-1, 0.5, "x"],
    "use_cache": ["no", 1],
    "optimizer_class": ["x", 5, dict],
    "optimizer_kwargs": [5, "x", {"x": 1}, {"lr": 1}],
    "model": [5, {}, ["a"]],
}


def pairs(table):
    return [pytest.param(name, value, id=f"{name}={value!r}"[:60]) for name in table for value in table[name]]


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize(("name", "value"), pairs(ENVIRONMENT))
def test_arguments_of_the_environment(name, value, vector):
    if vector and name == "render_mode":
        pytest.skip("another table")
    made = gym.make_vec if vector else gym.make
    how = {"vectorization_mode": "vector_entry_point"} if vector else {}
    with pytest.raises(TextGymError) as caught:
        made(ID, **how, **{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), pairs(VECTOR))
def test_arguments_of_the_vector_environment(name, value):
    task = [textgym.Prompt("a")]
    with pytest.raises(TextGymError):
        textgym.TextGenerationVectorEnv(
            **{"num_envs": 2, "task": task, "max_prompt_tokens": 8, "max_new_tokens": 4, name: value}
        )


@pytest.mark.parametrize("task", [5, None, [], "", {}, ["text"], [None], [("a", ("b",))], {"a": 1}, iter([])])
def test_what_is_no_task(task):
    with pytest.raises(TextGymError):
        textgym.TextGenerationEnv(task, max_prompt_tokens=8, max_new_tokens=4).reset()


@pytest.fixture(scope="module")
def single():
    env = gym.make(ID, disable_env_checker=True)
    env.reset(seed=0)
    return env


@pytest.fixture(scope="module")
def pair():
    env = textgym.TextGenerationVectorEnv(
        2, textgym.registration.TASKS["Copy"](), autoreset_mode=AutoresetMode.SAME_STEP
    )
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("arguments", RESET, ids=shown)
def test_arguments_of_reset(single, arguments):
    with pytest.raises(TextGymError):
        single.reset(**arguments)
    single.reset(seed=0)


@pytest.mark.parametrize("arguments", VECTOR_RESET, ids=shown)
def test_arguments_of_the_vector_reset(pair, arguments):
    with pytest.raises(TextGymError):
        pair.reset(**arguments)
    pair.reset(seed=0)


@pytest.mark.parametrize("action", ACTIONS, ids=shown)
def test_actions(single, action):
    with pytest.raises(TextGymError):
        single.step(action)


@pytest.mark.parametrize("actions", VECTOR_ACTIONS, ids=shown)
def test_vector_actions(pair, actions):
    with pytest.raises(TextGymError):
        pair.step(actions)


@pytest.mark.parametrize("state", [{}, None, 5, {"shape": {}}, {"prompt_id": 0}, {"prompt_ids": 5}, []], ids=shown)
def test_states(single, pair, state):
    for env in (single.unwrapped, pair):
        with pytest.raises(TextGymError):
            env.set_state(state)


@pytest.mark.parametrize(("name", "value"), pairs(MAKE))
def test_arguments_of_make(name, value):
    with pytest.raises(TextGymError) as caught:
        make("ppo", ID, MODEL, **{"n_envs": 2, "n_steps": 4, "batch_size": 8, name: value})
    assert name in str(caught.value) or "nope" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "name", "value"),
    [
        pytest.param(algorithm, *param.values, id=f"{algorithm}-{param.id}")
        for algorithm, table in OTHERS.items()
        for param in pairs(table)
    ],
)
def test_arguments_of_the_other_algorithms(algorithm, name, value):
    with pytest.raises(TextGymError) as caught:
        make(algorithm, ID, MODEL, n_envs=2, **{name: value})
    assert name in str(caught.value)


@pytest.fixture(scope="module", params=["ppo", "dqn", "rloo"])
def algorithm(request):
    return make(request.param, ID, MODEL, n_envs=2)


@pytest.mark.parametrize("value", [NAN, INF, -5, 3.5, 10**30, "8", None, [8], True, {}], ids=shown)
def test_tokens_to_learn_from(algorithm, value):
    with pytest.raises(TextGymError, match="total_timesteps"):
        algorithm.learn(value)
    algorithm.env.reset()


def test_an_evaluation_in_a_longer_environment(algorithm):
    with pytest.raises(TextGymError, match="the same max_prompt_tokens and max_new_tokens"):
        evaluate(algorithm, ID, 2, env_kwargs={"max_new_tokens": 30})


def test_whole_numbers_of_tokens_in_any_type():
    algorithm = make("ppo", ID, MODEL, n_envs=2, n_steps=4)
    for value in (0, np.int64(8), 8.0):
        assert algorithm.learn(value).num_timesteps == value
    assert pickle.loads(pickle.dumps(algorithm.env.before_reset)) is None


@pytest.mark.parametrize(("name", "value"), pairs(POLICY))
def test_arguments_of_the_policy(name, value):
    with pytest.raises(TextGymError):
        make("zero_shot", ID, None if name == "model" else MODEL, n_envs=1, policy_kwargs={name: value})


@pytest.mark.parametrize("algorithm", ["PPO", "", "ppo2", 5, None, "bc+ppo", ["ppo"]])
def test_what_is_no_algorithm(algorithm):
    with pytest.raises(TextGymError):
        make(algorithm, ID)


@pytest.mark.parametrize("env", [5, None, [], {}, object(), gym.spaces.Discrete(2)], ids=shown)
def test_what_is_no_environment(env):
    with pytest.raises(TextGymError):
        make("ppo", env)


@pytest.mark.parametrize("model", [5, [], {}, object(), "", "nosuch/folder/model", "x.gguf", "textgym/none"], ids=shown)
def test_what_is_no_model(model):
    with pytest.raises(TextGymError):
        make("ppo", ID, model)


def test_every_rule_of_the_table_refuses_something():
    odd = [object(), -1.5, "odd", NAN]
    for name, rule in LIMITS.items():
        assert any(rule(value) for value in odd), name
    check_values({"gamma": 1, "n_steps": np.int64(3), "learning_rate": lambda left: left, "unknown": -1})


# What other libraries refuse by themselves, with messages of their own that say enough.
OTHERS_RAISE = {
    "an id without such a name": (gym.error.NameNotFound, lambda: make("ppo", "textgym/Nosuch-v0")),
    "an id without such a namespace": (gym.error.NamespaceNotFound, lambda: make("ppo", "nosuch/Copy-v0")),
    "an id without such a version": (gym.error.VersionNotFound, lambda: make("ppo", "textgym/Copy-v7")),
    "text that is no id": (gym.error.Error, lambda: make("ppo", "a b")),
}


@pytest.mark.parametrize("case", OTHERS_RAISE)
def test_exceptions_of_other_libraries_are_these_alone(case):
    kind, call = OTHERS_RAISE[case]
    with pytest.raises(kind):
        call()
    assert len(OTHERS_RAISE) <= 10
