"""Conformance of every built-in environment."""

import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import textgym
from textgym import registration
from textgym.checker import check_reward, check_task, check_text_env
from textgym.core import Sample
from textgym.tasks import CONVERSATIONS, OPT_IN, PROBES, TASKS

# tests/tasks/test_python_code.py has those that refuse without an argument, tests/tasks/test_probes.py the probes,
# tests/conversations/test_tasks.py those of several turns.
IDS = sorted(registration.env_id(name) for name in TASKS)


def test_the_table_the_tasks_and_the_registry_agree():
    every = [registration.env_id(name, version) for name in TASKS for version in registration.versions(name)]
    every += map(registration.env_id, [*OPT_IN, *CONVERSATIONS, *PROBES])
    assert {name for name in gymnasium.registry if name.startswith("textgym/")} == {*every}
    assert registration.text_ids()[: len(every)] == every
    assert all(task.name == name for name, task in TASKS.items())
    assert all(registration.task_of(registration.env_id(name)) is task for name, task in TASKS.items())


@pytest.fixture(params=IDS)
def env_id(request):
    return request.param


def full(env_id, **options):
    """With room for every reference."""
    return gymnasium.make(env_id, max_new_tokens=600, **options)


def episode(env, seed):
    """Thirty random tokens."""
    generator = np.random.default_rng(seed)
    said = [env.reset(seed=seed)]
    for _ in range(30):
        said.append(env.step(generator.integers(env.action_space.n)))
        if said[-1][2] or said[-1][3]:
            said.append(env.reset())
    return said


def test_gymnasium_and_sb3_find_nothing_to_warn_about(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(env_id)  # with its passive checker
        episode(env, 1)
        check_env(env.unwrapped)
        sb3_check_env(gymnasium.make(env_id).unwrapped, skip_render_check=False)


def test_the_same_seed_gives_the_same_episode(env_id):
    one, other = gymnasium.make(env_id), gymnasium.make(env_id)
    first = episode(one, 7)
    assert data_equivalence(first, episode(other, 7), exact=True)
    assert data_equivalence(first, episode(one, 7), exact=True)
    assert first[0][1]["prompt"] != episode(other, 8)[0][1]["prompt"]


def test_copies_and_pickles_go_on_like_the_original(env_id):
    env = gymnasium.make(env_id).unwrapped
    env.reset(seed=3)
    env.step(40)
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    expected = [env.step(41), env.step(env.tokenizer.eos_token_id), env.reset()]
    for twin in twins:
        got = [twin.step(41), twin.step(twin.tokenizer.eos_token_id), twin.reset()]
        assert data_equivalence(got, expected, exact=True)


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync", "async"])
def test_every_vector_form_gives_the_same_results(env_id, mode):
    envs = gymnasium.make_vec(env_id, num_envs=4, vectorization_mode=mode)
    single = gymnasium.make(env_id)
    try:
        observations, infos = envs.reset(seed=[5, 6, 7, 8])
        observation, info = single.reset(seed=7)
        assert infos["prompt"][2] == info["prompt"]
        for token in (40, 41, 42, single.unwrapped.tokenizer.eos_token_id):
            np.testing.assert_array_equal(observations["input_ids"][2], observation["input_ids"])
            observations, rewards, terminated, _, infos = envs.step(np.full(4, token))
            observation, reward, _, _, info = single.step(token)
        assert terminated.all()
        assert rewards[2] == pytest.approx(reward)
        assert infos["completion"][2] == info["completion"]
        assert infos["reward_components"].keys() >= info["reward_components"].keys()
    finally:
        envs.close()


def test_a_reference_gets_the_best_reward(env_id):
    env = textgym.wrappers.CompletionAction(full(env_id))
    generator = np.random.default_rng(0)
    earned = {"reference": [], "random": [], "empty": []}
    for prompt_id in range(5):
        reference = f" {env.unwrapped.task[prompt_id].references[0]}"
        length = len(env.unwrapped.encode_completion(reference)) - 1
        random = generator.integers(2, env.unwrapped.action_space.n, size=length).tolist()
        for name, action in (("reference", reference), ("random", random), ("empty", "")):
            env.reset(options={"prompt_id": prompt_id})
            earned[name].append(env.step(action)[1])
    assert np.mean(earned["reference"]) > np.mean(earned["random"]) + 0.1
    assert all(best >= other for best, other in zip(earned["reference"], earned["random"], strict=True))
    assert np.mean(earned["reference"]) >= np.mean(earned["empty"])


def test_the_shipped_checkers_pass(env_id):
    env = gymnasium.make(env_id, split="validation")
    check_task(env.unwrapped.task)
    task = env.unwrapped.task
    check_reward(
        env.unwrapped.reward,
        [
            Sample(one.text, text, one.references, (), "eos", one.metadata, i)
            for i in range(2)
            for one in (task[i],)
            for text in (f" {one.references[0]}", one.text, " 7")
        ],
    )
    check_text_env(env)


def test_prompts_and_references_fit_the_task_s_own_budgets(env_id):
    env = gymnasium.make(env_id).unwrapped
    if len(env.tokenizer) < 1000:
        pytest.skip("budgets are chosen for a tokenizer of about 4 characters a token, this one has one byte")
    rules = env.mdp.rules
    cut = [rules.encode_prompt(env.task[i].text)[1] > 0 for i in range(50)]
    long = [len(env.encode_completion(env.task[i].references[0])) > rules.max_new_tokens for i in range(50)]
    assert np.mean(cut) < 0.1
    assert np.mean(long) < 0.1
