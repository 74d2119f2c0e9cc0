"""Ids, arguments of gymnasium.make, a user's own tasks, and what an import costs."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import textgym
from tests.env.text_games import ListTask, exact, letters, write
from textgym import Prompt, registration
from textgym.errors import ConfigError
from textgym.tasks import TASKS, WorldTask, training_texts
from textgym.world import Rendered
from textgym.wrappers import CompactVocabulary

COPY = "textgym/Copy-v0"


@pytest.fixture(autouse=True)
def tidy_registry():
    before = set(gymnasium.registry)
    yield
    for name in set(gymnasium.registry) - before:
        del gymnasium.registry[name]


def run(code):
    root = Path(textgym.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout.strip()


def test_importing_textgym_imports_no_heavy_library():
    heavy = ("torch", "transformers", "stable_baselines3", "datasets", "evaluate", "scipy", "matplotlib", "openai")
    code = f"import sys, textgym; print([name for name in {heavy} if name in sys.modules])"
    assert run(code) == "[]"


def test_playing_a_built_in_task_imports_no_torch():
    code = (
        "import sys, gymnasium, textgym; env = gymnasium.make('textgym/Copy-v0'); env.reset(seed=0);"
        "env.step(env.unwrapped.tokenizer.eos_token_id);"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    assert run(code) == "[]"


def test_an_id_with_its_module_works_without_an_import():
    code = "import gymnasium; print(gymnasium.make('textgym:textgym/Copy-v0').reset(seed=0)[1]['prompt_id'] >= 0)"
    assert run(code) == "True"


def test_registering_twice_changes_nothing(recwarn):
    spec = gymnasium.spec(COPY)
    textgym.register_all()
    assert gymnasium.spec(COPY) is spec
    assert not recwarn.list


def test_specs_are_json():
    for name in TASKS:
        spec = gymnasium.spec(registration.env_id(name))
        version = {"version": 1} if TASKS[name].guarded_reward else {}
        assert json.loads(spec.to_json())["kwargs"] == {"task_name": name, **version}
    env = gymnasium.make(COPY, max_new_tokens=5)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.observation_space == env.observation_space


def test_an_unknown_id_names_the_closest():
    with pytest.raises(gymnasium.error.NameNotFound, match="Copy"):
        gymnasium.make("textgym/Copi-v0")


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_arguments_reach_task_and_environment(make):
    env = make(COPY, split="validation", seed=3, max_new_tokens=7, min_new_tokens=2, sampling="sequential").unwrapped
    assert len(env.task) == 1000
    assert env.mdp.rules.max_new_tokens == 7
    assert env.mdp.rules.min_new_tokens == 2
    other = make(COPY, split="validation", seed=4).unwrapped
    assert env.task[0] != other.task[0]


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_an_unknown_argument_names_the_closest_and_lists_all(make):
    with pytest.raises(
        ConfigError, match=r"'max_new_token'. Did you mean 'max_new_tokens'\? Valid.*load_kwargs.*split"
    ):
        make(COPY, max_new_token=3)
    with pytest.raises(ConfigError, match="Valid arguments") as error:
        make(COPY, xyzzy=3)
    assert not [name for name in ("num_envs", "autoreset_mode", "copy,") if name in str(error.value)]


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_an_unknown_argument_is_a_type_error_as_python_words_it(make):
    """TorchRL's GymEnv passes frameskip=1, and leaves it out after a TypeError with these words."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as error:
        make(COPY, frameskip=1)
    assert isinstance(error.value, ConfigError)
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        textgym.TextGenerationEnv(letters(), frameskip=1)


def test_load_kwargs_need_a_dataset():
    with pytest.raises(ConfigError, match="dataset"):
        gymnasium.make(COPY, load_kwargs={"revision": "main"})


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_rewards_by_default_by_name_by_function_and_off(make):
    def returned(env):
        env = env.unwrapped
        prompt = env.task[3]
        env.reset(options={"prompt_id": 3})
        for token in env.encode_completion(prompt.references[0]):
            step = env.step(token if env.action_space.shape == () else np.array([token]))
        return float(np.squeeze(step[1]))

    options = {"max_new_tokens": 200}
    assert returned(make(COPY, **options)) == pytest.approx(1.0)
    assert returned(make(COPY, reward="exact_match", **options)) == pytest.approx(1.0)
    assert returned(make(COPY, reward=lambda samples: [7.0] * len(samples), **options)) == 7.0
    assert returned(make(COPY, reward=None, **options)) == 0.0
    assert make(COPY, reward=None).unwrapped.reward is None


# A user's own tasks


class Greetings(ListTask):
    def __init__(self, split="train", names=("Ann", "Bob")):
        super().__init__(Prompt(f"Greet {name} ({split}):", (f"Hi {name}",)) for name in names)


def greetings(split="train"):
    return Greetings(split)


def test_register_joins_a_task_and_a_reward_in_one_line():
    textgym.register("mine/Letters-v0", letters(), exact)
    env = gymnasium.make("mine/Letters-v0")
    env.reset(options={"prompt_id": 1})
    assert write(env, "b")[1] == 1.0


@pytest.mark.parametrize("task", [Greetings, greetings])
def test_a_class_or_function_takes_its_arguments_from_make(task):
    textgym.register("mine/Greetings-v0", task, "exact_match", max_new_tokens=20)
    env = gymnasium.make("mine/Greetings-v0", split="test").unwrapped
    assert env.reset(options={"prompt_id": 0})[1]["prompt"] == "Greet Ann (test):"
    assert env.mdp.rules.max_new_tokens == 20
    assert gymnasium.make("mine/Greetings-v0", max_new_tokens=5).unwrapped.mdp.rules.max_new_tokens == 5
    with pytest.raises(ConfigError, match=r"'spli'\. Did you mean 'split'"):
        gymnasium.make("mine/Greetings-v0", spli="test")


def test_a_list_of_seeds_gives_the_same_prompts_in_every_vector_form():
    """One seed doesn't: make_vector_env's first line says so."""
    prompts = {}
    for mode, seed in (("vector_entry_point", [5, 6]), ("sync", 5), ("async", 5)):
        envs = gymnasium.make_vec(COPY, num_envs=2, vectorization_mode=mode)
        prompts[mode] = envs.reset(seed=seed)[1]["prompt"].tolist()
        envs.close()
    assert prompts["vector_entry_point"] == prompts["sync"] == prompts["async"]
    assert "other prompts" in registration.make_vector_env.__doc__.splitlines()[0]


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync", "async"])
def test_a_user_s_task_in_every_vector_form(mode):
    textgym.register("mine/Letters-v0", letters(), exact)
    envs = gymnasium.make_vec("mine/Letters-v0", num_envs=2, vectorization_mode=mode)
    try:
        observation, infos = envs.reset(seed=0, options={"prompt_id": 2})
        assert observation["input_ids"].shape == (2, 32)
        assert infos["prompt"].tolist() == ["Write c:"] * 2
    finally:
        envs.close()


def again(env):
    """The environment that the JSON of a spec makes."""
    return gymnasium.make(EnvSpec.from_json(env.spec.to_json()))


def test_the_spec_of_an_importable_task_and_reward_is_json():
    textgym.register("mine/Greetings-v0", Greetings, exact, max_new_tokens=20)
    env = CompactVocabulary(gymnasium.make("mine/Greetings-v0", split="test", allowed_tokens=[1, 5, 6]))
    twin = again(env)
    assert isinstance(twin, CompactVocabulary)
    assert twin.unwrapped.task[0] == env.unwrapped.task[0] == Greetings("test")[0]
    assert twin.unwrapped.reward is exact
    assert twin.observation_space == env.observation_space
    assert json.loads(gymnasium.spec("mine/Greetings-v0").to_json())["id"] == "mine/Greetings-v0"
    assert "mine/Greetings-v0" in registration.text_ids()
    assert registration.split_argument("mine/Greetings-v0", "test") == {"split": "test"}
    with pytest.raises(ConfigError, match=r"'spli'\. Did you mean 'split'"):
        gymnasium.make("mine/Greetings-v0", spli="test")


def test_a_reward_given_to_make_is_json_too():
    env = gymnasium.make(COPY, reward=exact)
    assert env.unwrapped.reward is exact
    assert env.spec.kwargs["reward"] == "tests.env.text_games:exact"
    assert again(env).unwrapped.reward is exact
    envs = gymnasium.make_vec(COPY, num_envs=2, reward=exact)
    assert json.loads(envs.spec.to_json())["kwargs"]["reward"] == "tests.env.text_games:exact"
    assert gymnasium.make_vec(COPY, reward="tests.env.text_games:exact").unwrapped.reward is exact


def test_a_spec_that_no_name_imports_is_still_what_makes_the_environment():
    textgym.register("mine/Letters-v0", letters(), lambda samples: [0.0] * len(samples))
    env = gymnasium.make("mine/Letters-v0", reward=lambda samples: [2.0] * len(samples))
    with pytest.raises((ValueError, TypeError)):
        env.spec.to_json()
    assert gymnasium.make(env.spec).unwrapped.reward is env.unwrapped.reward
    assert pickle.loads(pickle.dumps(gymnasium.make(COPY, reward=exact))).spec.kwargs["reward"].endswith(":exact")


@pytest.mark.parametrize("reward", ["no_such_module:exact", "tests.env.text_games:no_such_name"])
def test_a_reward_s_name_must_import_one(reward):
    with pytest.raises(ConfigError, match="no_such"):
        gymnasium.make(COPY, reward=reward)


def test_a_reward_can_be_replaced_in_make():
    textgym.register("mine/Letters-v0", letters(), exact)
    assert gymnasium.make("mine/Letters-v0", reward=None).unwrapped.reward is None
    assert gymnasium.make("mine/Letters-v0").unwrapped.reward is exact


def test_a_wrong_default_is_found_when_registering():
    with pytest.raises(ConfigError, match="Did you mean 'max_new_tokens'"):
        textgym.register("mine/Letters-v0", letters(), exact, max_new_tokns=3)


@pytest.mark.parametrize("mode", ["make", "make_vec"])
def test_the_default_reward_is_the_one_registered_or_else_the_task_s_own(mode):
    def made(id, **arguments):
        env = getattr(gymnasium, mode)(id, **arguments).unwrapped
        return repr(env.reward)

    class Rewarded(Greetings):
        default_reward = "rougeL"

    textgym.register("mine/Own-v0", Rewarded)
    textgym.register("mine/Given-v0", Rewarded, "2*bleu")
    textgym.register("mine/Off-v0", Rewarded, None)
    textgym.register("mine/Nothing-v0", Greetings)
    assert [made(f"mine/{name}-v0") for name in ("Own", "Given", "Off", "Nothing")] == [
        "ROUGE('L')",
        "2 * BLEU()",
        "None",
        "None",
    ]
    assert made("mine/Given-v0", reward="chrf") == made("mine/Off-v0", reward="chrf") == "ChrF()"
    assert made("mine/Own-v0", reward=None) == "None"
    assert repr(registration.default_reward("mine/Given-v0")) == "2 * BLEU()"


def test_registered_environments_are_listed_after_the_built_in_ones():
    textgym.register("mine/Letters-v0", letters(), exact)
    listed = [one for one in registration.text_ids() if not one.startswith("text/")]  # the benchmark's, once imported
    assert listed == [*(registration.env_id(*one) for one in registration.built_in_versions()), "mine/Letters-v0"]
    assert registration.task_of("mine/Letters-v0") == letters()
    assert registration.default_reward("mine/Letters-v0") is exact
    with pytest.raises(ConfigError, match=r"'mine/Leters-v0' is no text environment\. Did you mean 'mine/Letters-v0'"):
        registration.task_of("mine/Leters-v0")
    with pytest.raises(ConfigError, match="is no text environment"):
        registration.default_reward("CartPole-v1")


def test_a_built_in_id_stays_what_it_is():
    with pytest.raises(ConfigError, match=r"built-in environment\. Choose another id, such as 'mine/Copy-v0'"):
        textgym.register(COPY, letters(), exact)


def test_load_kwargs_mean_the_same_in_make_and_in_the_class(tmp_path):
    (tmp_path / "rows.csv").write_text("text;number\na b c;1\n")
    arguments = {"dataset": str(tmp_path / "rows.csv"), "load_kwargs": {"sep": ";"}}
    env = gymnasium.make(COPY, **arguments).unwrapped
    assert env.task[0] == TASKS["Copy"](**arguments)[0] == Prompt("Words: a b c\nCopy:", ("a b c",))


def test_the_folders_are_there_after_the_import():
    code = (
        "import textgym; print(textgym.rewards.BLEU.__name__, textgym.metrics.METRICS['bleu'].__name__,"
        " textgym.tasks.Copy.__name__, textgym.wrappers.RewardWrapper.__name__, textgym.world.Draw.__name__)"
    )
    assert run(code) == "BLEU CorpusBLEU Copy RewardWrapper Draw"
    assert {"metrics", "plugins", "rewards", "tasks", "world", "wrappers"} <= set(textgym.__all__)


class Shout(WorldTask):
    """Write a word in capitals."""

    name = "Shout"
    max_prompt_tokens, max_new_tokens, metrics, default_reward = 16, 16, ("exact_match",), "2*exact_match"
    template, columns = "Word: {prompt} Shout:", {"prompt": "text"}

    @staticmethod
    def grammar(draw, /):
        word = "".join(draw.pick("abcdefgh") for _ in range(8))
        return Rendered(word, (word.upper(),))


def test_a_row_in_the_table_is_all_that_a_task_of_the_package_needs(monkeypatch):
    monkeypatch.setitem(TASKS, "Shout", Shout)
    textgym.register_all()
    assert registration.text_ids()[-1] == "textgym/Shout-v0"
    env = gymnasium.make("textgym/Shout-v0", split="validation")
    textgym.checker.check_text_env(env)
    assert repr(env.unwrapped.reward) == "2 * ExactMatch()"
    assert len(gymnasium.make_vec("textgym/Shout-v0", num_envs=2, split="test").unwrapped.task) == 1000
    prompt, completion = next(training_texts("Shout", 1))
    assert prompt == f"Word:{completion.lower()} Shout:"
