"""What holds for every probe at every level: two known policies, one-word tokens, rewards that follow the seed."""

import itertools
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import textgym
from tests.env.text_games import byte_tokenizer
from textgym import registration
from textgym.checker import check_task
from textgym.core import Task
from textgym.errors import ConfigError, SeedError, TokenizerError
from textgym.tasks import PROBES, TASKS
from textgym.tasks.probes import SUITE
from textgym.tasks.probes.base import MOST_COMPLETIONS, WORDS
from textgym.tokenizer import BUILTIN_MODELS, builtin_folder, builtin_tokenizer

LEVELS = [(name, level) for name, probe in PROBES.items() for level in probe.levels]
every_probe = pytest.mark.parametrize("name", PROBES)
every_level = pytest.mark.parametrize(("name", "level"), LEVELS)


def made(name, split="test", level=None, **arguments):
    probe = PROBES[name]
    return probe(split, **({} if level is None else {probe.scale: level}), **arguments)


def scored(task, completions):
    """Rewards of one completion for each of the first prompts."""
    rewards = []
    for index, completion in enumerate(completions):
        prompt = task[index]
        sample = textgym.Sample(prompt.text, f" {completion}", prompt.references, metadata=prompt.metadata)
        rewards.append(textgym.score_samples(task.default_reward, [sample])[0].value)
    return rewards


@every_level
def test_the_best_completions_score_one(name, level):
    for seed in (0, 1, 2):
        task = made(name, level=level, seed=seed)
        rewards = scored(task, [task[index].references[0] for index in range(8)])
        assert task.score(np.mean(rewards)) == pytest.approx(1)
        assert np.mean(rewards) == pytest.approx(task.best_reward())


@every_level
def test_random_words_score_nothing(name, level):
    task = made(name, level=level)
    generator = np.random.default_rng(0)
    count = 2000
    completions = generator.choice(task.vocabulary, (count, task.length)).tolist()
    facts = [task[index].metadata for index in range(8)]
    rewards = [task.value(words, facts[index % 8]) for index, words in enumerate(completions)]
    deviation = np.std(rewards) / np.sqrt(count)
    assert np.mean(rewards) == pytest.approx(task.random_reward(), abs=4 * deviation + 1e-3 * task.best_reward())
    assert task.score(np.mean(rewards)) <= 0.05
    assert task.score(task.random_reward()) == 0


@every_level
def test_the_stated_value_of_the_random_policy_is_that_of_all_completions(name, level):
    task = made(name, level=level)
    if len(task.vocabulary) ** task.length > min(MOST_COMPLETIONS, 5000):
        pytest.skip("too many to enumerate in a test; the levels before have the same formula")
    completions = list(itertools.product(task.vocabulary, repeat=task.length))
    values = [task.value(words, prompt.metadata) for words in completions for prompt in task.held_out()]
    assert task.random_reward() == pytest.approx(np.mean(values), abs=1e-12)
    assert max(values) <= max(task.value(one.references[0].split(), one.metadata) for one in task.held_out())


@every_level
def test_no_completion_is_better_than_the_reference(name, level):
    task = made(name, level=level)
    for prompt in task.held_out():
        best = task.value(prompt.references[0].split(), prompt.metadata)
        generator = np.random.default_rng(1)
        others = generator.choice(task.vocabulary, (200, task.length)).tolist()
        assert max(task.value(words, prompt.metadata) for words in others) <= best


@every_probe
def test_a_probe_is_a_task_with_tags_and_levels(name):
    probe, task = PROBES[name], PROBES[name]()
    assert isinstance(task, Task)
    assert task.name == name
    assert probe.tags
    assert all(tag == tag.lower() for tag in probe.tags)
    assert len(probe.levels) >= 3
    assert (len(task), len(made(name)), len(made(name, "validation"))) == (1_000_000, 1_000, 1_000)
    assert task[-1] == task[999_999]
    assert task[np.int64(17)] == made(name, "train")[17]
    with pytest.raises(IndexError, match="1000000 prompts"):
        task[1_000_000]
    check_task(task)


@every_probe
def test_gymnasium_and_sb3_find_nothing_to_warn_about(name):
    env_id = registration.env_id(name)
    every = range(len(builtin_tokenizer()))  # since the checkers ask for no mask
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id, allowed_tokens=every).unwrapped)
        sb3_check_env(gymnasium.make(env_id, allowed_tokens=every).unwrapped, skip_render_check=False)


@every_probe
@pytest.mark.parametrize("model", BUILTIN_MODELS)
def test_legal_tokens_are_the_words_alone_and_a_completion_has_them_all(name, model):
    env = gymnasium.make(registration.env_id(name), tokenizer=model, split="test").unwrapped
    tokenizer, rules = builtin_tokenizer(model), env.mdp.rules
    assert [tokenizer.decode([token]).strip() for token in rules.allowed_tokens] == list(env.task.vocabulary)
    assert set(env.task.vocabulary) <= set(WORDS)
    assert rules.max_new_tokens == env.task.length
    for index in range(20):
        _, info = env.reset(options={"prompt_id": index})
        assert info["prompt_truncated"] == 0
    for token in env.encode_completion(f" {env.task[19].references[0]}")[:-1]:
        _, reward, terminated, _, info = env.step(token)
    assert terminated
    assert info["finish_reason"] == "length"
    assert reward == pytest.approx(env.task.value(env.task[19].references[0].split(), env.task[19].metadata))


@every_probe
@pytest.mark.parametrize("mode", ["vector_entry_point", "sync"])
def test_every_vector_form_gives_the_same_rewards(name, mode):
    envs = gymnasium.make_vec(registration.env_id(name), num_envs=2, vectorization_mode=mode)
    single = gymnasium.make(registration.env_id(name))
    envs.reset(seed=[3, 4])
    single.reset(seed=4)
    words = itertools.cycle(single.unwrapped.mdp.rules.allowed_tokens)
    terminated = [False]
    while not terminated[0]:
        token = next(words)
        _, rewards, terminated, _, _ = envs.step(np.full(2, token))
        _, reward, _, _, _ = single.step(token)
    assert rewards[1] == pytest.approx(reward)
    envs.close()


@every_probe
def test_tasks_and_rewards_can_be_pickled(name):
    task = made(name, seed=2)
    twin, reward = pickle.loads(pickle.dumps((task, task.default_reward)))
    assert [twin[index] for index in range(5)] == [task[index] for index in range(5)]
    assert reward == registration.default_reward(registration.env_id(name)) == task.default_reward
    assert repr(reward) == f"{name}.default_reward"


@every_probe
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split": "dev"}, ConfigError, "'dev' is no split of a probe"),
        ({"seed": -1}, SeedError, "seed=-1"),
        ({"levle": 1}, TypeError, "unexpected keyword argument 'levle'"),
    ],
)
def test_arguments_that_make_no_sense(name, arguments, error, message):
    with pytest.raises(error, match=message):
        PROBES[name](**arguments)


@every_probe
def test_a_scale_that_makes_no_sense(name):
    for value in (-1, "2", None, True, float("nan")):
        with pytest.raises(ConfigError, match=rf"{PROBES[name].scale}="):
            PROBES[name](**{PROBES[name].scale: value})


def test_words_of_several_tokens_are_refused():
    with pytest.raises(TokenizerError, match="needs each of its words as one token"):
        gymnasium.make("textgym/Bandit-v0", tokenizer=byte_tokenizer())


def test_probes_are_in_the_registry_and_not_in_what_built_in_models_learn():
    assert not set(PROBES) & set(TASKS)
    ids = [*(registration.env_id(*one) for one in registration.built_in_versions())]
    assert registration.text_ids()[: len(ids)] == ids
    with pytest.raises(ConfigError, match="is a built-in environment"):
        textgym.register("textgym/Bandit-v0", [textgym.Prompt("x:")])


# What is particular to one of them


def episodes(env, seed, token, count=50):
    """Rewards of episodes that repeat one word."""
    rewards = []
    env.reset(seed=seed)
    while len(rewards) < count:
        _, reward, terminated, _, _ = env.step(token)
        if terminated:
            rewards.append(reward)
            env.reset()
    return rewards


@pytest.mark.parametrize(("name", "word"), [("Noise", 0), ("Stochastic", 1)])
def test_random_rewards_follow_the_seed_and_their_mean_is_the_held_out_reward(name, word):
    train, test = (gymnasium.make(f"textgym/{name}-v0", split=split).unwrapped for split in ("train", "test"))
    token = train.mdp.rules.allowed_tokens[word]
    rewards = episodes(train, 1, token, 4000)
    assert rewards[:50] == episodes(train, 1, token) != episodes(train, 2, token)
    assert len(set(rewards)) > 1
    (mean,) = set(episodes(test, 1, token))
    assert np.mean(rewards) == pytest.approx(mean, abs=4 * np.std(rewards) / np.sqrt(4000))


def test_noise_has_the_standard_deviation_that_is_asked_for():
    env = gymnasium.make("textgym/Noise-v0", sigma=3.0).unwrapped
    assert np.std(episodes(env, 0, env.mdp.rules.allowed_tokens[0], 2000)) == pytest.approx(3, rel=0.1)
    assert not PROBES["Noise"](sigma=0.0).stochastic


def test_a_larger_unit_changes_no_score():
    for factor in (0.01, 100.0):
        task = PROBES["RewardScale"]("test", factor=factor)
        assert task.score(0.75 * factor) == pytest.approx(0.5)


def test_the_second_best_arm_is_nearer_the_more_there_are():
    gaps = []
    for arms in PROBES["Bandit"].levels:
        task = PROBES["Bandit"]("test", arms=arms)
        values = sorted(task[0].metadata["values"].values())
        assert (values[0], values[-1]) == (0, 1)
        gaps.append(values[-1] - values[-2])
    assert gaps == sorted(gaps, reverse=True)


def test_a_step_out_of_the_trap_costs_something():
    task = PROBES["Deceptive"]("test")
    facts = task[0].metadata
    best, other = facts["best"].split(), facts["other"].split()
    trapped = [task.value(best[:n] + other[n:], facts) for n in range(4)]
    assert trapped == pytest.approx([0.6, 0.4, 0.2, 1.0])


def test_a_control_differs_in_training_alone_and_is_scored_as_the_other():
    dense, sparse = (PROBES["Sparse"]("train", dense=dense)[0] for dense in (True, False))
    half = [*dense.references[0].split()[:2], *sparse.references[0].split()[:2]]
    assert [PROBES["Sparse"].value(half, one.metadata) for one in (dense, sparse)] == [0.5, 0.0]
    assert PROBES["Sparse"]("test", dense=True)[0].metadata["dense"] is False
    late = PROBES["Credit"]("test", at_end=True)
    facts = late[0].metadata
    other = late.vocabulary[1]
    assert late.value([other, other, facts["right"]], facts) == 1
    assert PROBES["Credit"].value([other, other, facts["right"]], {**facts, "place": 0}) == 0


def test_means_of_prompts_differ_by_the_spread():
    task = PROBES["Heterogeneous"]("test", spread=3.0)
    worst = [prompt.metadata["offset"] for prompt in task.held_out()]
    assert max(worst) - min(worst) == pytest.approx(3)
    assert sum(worst) == pytest.approx(0)
    assert len({prompt.text for prompt in task.held_out()}) == 4


def test_prompts_to_train_on_are_limited_and_no_other_split_has_them():
    train = {PROBES["Generalization"]("train", prompts=8)[index].text for index in range(200)}
    assert len(train) <= 8
    held_out = {PROBES["Generalization"]("test")[index].text for index in range(200)}
    assert len(held_out) > 20
    assert not {PROBES["Generalization"]("train", prompts=256)[index].text for index in range(256)} & held_out


def test_the_distance_in_the_prompt_is_what_is_asked_for():
    for distance in PROBES["Memory"].levels:
        prompt = PROBES["Memory"]("test", distance=distance)[0]
        assert len(prompt.text.split()) == 2 + distance
        assert prompt.text.split()[1] == prompt.references[0]


def test_proxy_and_gold_are_parts_of_the_reward_and_the_split_says_which_counts():
    rewards = {}
    for split in ("train", "test"):
        env = gymnasium.make("textgym/Proxy-v0", split=split).unwrapped
        env.reset(seed=0)
        for _ in range(4):
            _, rewards[split], _, _, info = env.step(env.mdp.rules.allowed_tokens[0])
        assert info["reward_components"] == {"proxy": 1.0, "gold": 0.0}
    assert rewards == {"train": 1.0, "test": 0.0}


def test_the_suite_names_probes_and_levels_that_exist():
    from textgym_agents.benchmark.composites import base, own_arguments

    assert {base(variant) for variant in SUITE} == set(PROBES)
    for variant, tokens in SUITE.items():
        task = PROBES[base(variant)]("test", **own_arguments(variant))
        assert 200 % task.kinds == 0  # held-out prompts of an evaluation
        assert tokens >= 1000


@pytest.mark.parametrize("model", ["textgym/small", "textgym/tiny"])
def test_built_in_models_take_no_word_rarely_and_none_nearly_always(model):
    import torch
    from transformers import AutoModelForCausalLM

    env = gymnasium.make("textgym/Bandit-v0", arms=8, tokenizer=model)
    observation, _ = env.reset(seed=0)
    prompt = torch.tensor(observation["input_ids"][:2][None])
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(builtin_folder(model))(prompt).logits[0, -1]
    shares = torch.softmax(logits[list(env.unwrapped.mdp.rules.allowed_tokens)], 0)
    assert shares.min() > 0.02
    assert shares.max() < 0.4
