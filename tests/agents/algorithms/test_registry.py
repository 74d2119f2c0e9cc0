"""The table of algorithms: where defaults lie, what make and the command line accept, and rows from outside."""

import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest
import torch
from typer.testing import CliRunner

import textgym_agents
from textgym.errors import ConfigError
from textgym.wrappers import CompletionAction
from textgym_agents import ALGORITHMS, Algorithm, make, register_algorithm
from textgym_agents.algorithms.options import PPOOptions, arguments
from textgym_agents.algorithms.row import is_of_sb3
from textgym_agents.cli.app import app

ID, MODEL = "textgym/Copy-v0", "textgym/tiny"
OWN = [name for name, row in ALGORITHMS.items() if not is_of_sb3(row.cls)]


def test_defaults_of_our_own_classes_are_in_their_signatures_alone():
    assert len(OWN) == 15
    assert {name: dict(ALGORITHMS[name].defaults) for name in OWN} == {name: {} for name in OWN}
    for row in ALGORITHMS.values():
        settings = row.settings()
        assert settings | row.defaults | row.wrap_defaults == settings
        assert settings.get("kl_coef") == row.kl_coef


@pytest.mark.parametrize("name", OWN)
def test_make_and_the_class_by_hand_are_the_same_algorithm(name):
    row = ALGORITHMS[name]
    rows = 64 if name == "nlpo" else 32  # so that the default minibatch is no larger than a rollout
    made = make(name, ID, MODEL, seed=0, n_envs=rows)
    kwargs = {"model": MODEL, "lora": None, "reference": bool(row.kl_coef)}
    by_hand = row.cls(row.policy, textgym_agents.make_vec_env(ID, rows, model=MODEL), policy_kwargs=kwargs, seed=0)
    differs = {"rollout_buffer_kwargs", "policy_kwargs"}  # with the KL coefficient; with the spaces of the environment
    for argument in arguments(row.cls).keys() - differs:
        ours, theirs = (vars(one).get(argument) for one in (made, by_hand))
        assert type(ours) is type(theirs)
        if isinstance(ours, int | float | str):
            assert ours == theirs, argument


def test_the_options_that_nlpo_passes_on_are_those_of_ppo():
    from stable_baselines3 import PPO

    passed_on = {*PPOOptions.__annotations__}
    named = {"n_steps", "batch_size", "n_epochs", "learning_rate", "gamma", "gae_lambda", "vf_coef", "max_grad_norm"}
    assert passed_on | named | {"policy", "env"} == arguments(PPO).keys()


@pytest.mark.parametrize(
    ("name", "argument", "message"),
    [
        ("sarsa", "normalize_advantage", "Those that do: .*reinforce, scst, rloo, grpo"),
        ("q_learning", "skip_without_signal", "Those that do: reinforce, scst, rloo, grpo"),
        ("ppo", "group_size", "Those that do: reinforce, scst"),
        ("dqn", "num_candidate", "Did you mean 'num_candidates'"),
        ("grpo", "clip_rang", "Did you mean 'clip_range'"),
    ],
)
def test_an_argument_that_an_algorithm_does_not_take_names_those_that_do(name, argument, message):
    with pytest.raises(ConfigError, match=f"'{name}' takes no argument '{argument}'.*{message}"):
        make(name, ID, **{argument: 1})
    assert CliRunner().invoke(app, ["train", "Copy", "--algo", name, "--algo-kwarg", f"{argument}=1"]).exit_code != 0


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_tests_of_a_row_exist_and_run_it(name):
    folder = Path(__file__).parents[1]
    files = [folder / file for file in ALGORITHMS[name].tests]
    cls = ALGORITHMS[name].cls.__name__
    assert files
    assert all(f'"{name}"' in file.read_text() or cls in file.read_text() for file in files)


# ---------------------------------------------------------------------- from outside


class Pairs(textgym_agents.RLOO):
    """Two completions a prompt."""

    def __init__(self, policy, env, *, group_size=2, **options):
        super().__init__(policy, env, group_size=group_size, **options)


PAIRS = replace(ALGORITHMS["rloo"], cls=Pairs, paper="none, an example")


@pytest.fixture
def pairs():
    register_algorithm("pairs", PAIRS)
    yield "pairs"
    del ALGORITHMS["pairs"]


def test_a_registered_algorithm_is_one_like_the_others(pairs):
    register_algorithm(pairs, replace(PAIRS))  # an equal row once more
    made = make(pairs, ID, n_envs=4, prompts_per_rollout=2)
    assert made.group_size == 2
    assert ALGORITHMS[pairs].settings()["group_size"] == 2
    assert pairs in CliRunner().invoke(app, ["list", "--algorithms"]).output
    with pytest.raises(ConfigError, match="Did you mean 'group_size'"):
        make(pairs, ID, group_sizes=2)


def nothing():
    """Takes no policy."""


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("ppo", PAIRS, "There is an algorithm 'ppo' already"),
        ("bc+ppo", PAIRS, "can't name an algorithm"),
        ("", PAIRS, "can't name an algorithm"),
        ("mine", Pairs, r"expected a row: textgym_agents\.Algorithm"),
        ("mine", Algorithm(3, ""), "expected a BaseAlgorithm"),
        ("mine", Algorithm(nothing, ""), "takes no argument 'policy'"),
        ("mine", replace(PAIRS, policy=dict), "no LanguageModelPolicy"),
        ("mine", replace(PAIRS, defaults={"group": 2}), "takes no argument 'group'"),
        ("mine", replace(PAIRS, wrap_defaults={"k": 2}), "wrap_defaults and no wrap"),
    ],
)
def test_rows_that_make_no_sense_are_refused(name, row, message):
    before = dict(ALGORITHMS)
    with pytest.raises(ConfigError, match=message):
        register_algorithm(name, row)
    assert before == ALGORITHMS


@pytest.mark.parametrize("algo", ["ppo", "nlpo"])
@pytest.mark.parametrize(
    ("n_envs", "n_steps", "expected"),
    [(32, 64, 1024), (64, 16, 1024), (2, 16, 32), (3, 40, 120), (20, 64, 640), (4, 64, 256), (1, 2062, 1024)],
)
def test_the_default_minibatch_divides_the_rollout(algo, n_envs, n_steps, expected):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make(algo, ID, MODEL, n_envs=n_envs, n_steps=n_steps)
    assert made.batch_size == expected
    warned = any("mini-batch size" in str(w.message) for w in caught)
    assert warned == (n_envs * n_steps % expected > 0)  # 2062 is twice a prime


@pytest.mark.parametrize("algo", ["ppo", "a2c", "trpo", "maskable_ppo", "nlpo"])
def test_a_rollout_is_as_long_as_the_longest_completion(algo):
    for options, expected in (({}, 48), ({"env_kwargs": {"max_new_tokens": 7}}, 7), ({"n_steps": 5}, 5)):
        assert make(algo, ID, MODEL, n_envs=2, **options).n_steps == expected
    assert make(algo, ID, MODEL, n_envs=2, n_steps=None).n_steps == 48


def test_a_given_minibatch_stays():
    with pytest.warns(UserWarning, match="mini-batch size of 256"):
        assert make("ppo", ID, MODEL, n_envs=2, n_steps=16, batch_size=256).batch_size == 256


def test_a_minibatch_of_the_whole_rollout_trains_as_a_larger_one():
    runs = []
    for options in ({}, {"batch_size": 256}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runs.append(make("ppo", ID, MODEL, n_envs=2, n_steps=16, seed=0, **options).learn(64))
    for one, other in zip(*(run.policy.parameters() for run in runs), strict=True):
        assert torch.equal(one, other)


def test_an_environment_whose_actions_are_texts_is_refused():
    env = CompletionAction(gymnasium.make("textgym/Copy-v1"))
    with pytest.raises(ConfigError, match=r"expected tokens, Discrete\(V\). Leave out wrappers.*CompletionAction"):
        make("rloo", env, "textgym/tiny")
