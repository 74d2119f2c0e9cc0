"""What holds for every row of the table: environments, forms of model, saving, errors."""

import runpy
import sys
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.env_checker import check_env

from tests.agents.four_tokens import LOGGED_TALKS, TALKS, make_env, make_model
from tests.agents.saved_model import save_tiny_model
from textgym.errors import ConfigError, MissingExtraError
from textgym.tokenizer import BUILTIN_SEQ2SEQ, BUILTIN_TINY
from textgym_agents import ALGORITHMS, load, make
from textgym_agents.algorithms import find
from textgym_agents.buffers.offline import LoggedEpisode
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.evaluation.held_out import evaluate, load_policy
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.causal import CausalForm

ID = "textgym/Copy-v0"
FOUR = {"max_new_tokens": 4}
PAIRS = [(name, form) for name, row in ALGORITHMS.items() for form in row.policy.forms]


def small(name, **overrides):
    """Arguments of ``make`` for an algorithm, small."""
    return {**ALGORITHMS[name].small, **overrides}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A small model of each form: the built-in one, and a random T5 (the built-in one takes three times as long)."""
    return {"causal": BUILTIN_TINY, "seq2seq": save_tiny_model(tmp_path_factory.mktemp("t5"), "t5")}


def train(name, model):
    return make(name, ID, model, **small(name, n_envs=2, seed=3, env_kwargs=FOUR)).learn(16)


@pytest.fixture(scope="module")
def trained(request, models):
    """An algorithm's name, a model's form, and what the one trained of the other."""
    name, form = request.param
    return name, form, train(name, models[form])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_learns_in_an_environment_that_check_env_accepts(name):
    env = gymnasium.make(ID, tokenizer=BUILTIN_TINY, **FOUR)
    check_env(env.unwrapped, warn=True)
    made = make(name, env, BUILTIN_TINY, **small(name, seed=0))
    before = made.num_timesteps
    made.learn(16)
    assert made.num_timesteps > before or ALGORITHMS[name].family == "baseline"


@pytest.mark.parametrize("trained", PAIRS, indirect=True, ids="-".join)
def test_it_trains_every_form_that_its_row_names_and_is_saved_as_a_plain_model(trained, tmp_path):
    name, _, made = trained
    made.policy.save_pretrained(tmp_path)
    files = {path.suffix for path in tmp_path.iterdir()}
    assert files <= {".json", ".safetensors", ".jinja", ".txt", ".md"}, files
    loaded = load_policy(tmp_path, ID, env_kwargs=FOUR)
    here, there = (evaluate(one, ID, 4, deterministic=True, metrics=[], env_kwargs=FOUR) for one in (made, loaded))
    # Those that choose otherwise: the best of several, by values, within a mask that isn't saved, and evenly.
    if getattr(made.policy, "best_of", 1) == 1 and not hasattr(made.policy, "q_net") and name not in ("nlpo", "random"):
        assert [s.completion for s in here.samples] == [s.completion for s in there.samples]
    assert np.isfinite(here.rewards).all()


@pytest.mark.parametrize("trained", [pair for pair in PAIRS if pair[1] == "causal"], indirect=True, ids="-".join)
def test_a_seed_gives_the_same_run(trained, models):
    name, form, made = trained
    again = train(name, models[form])
    assert all(map(torch.equal, made.policy.parameters(), again.policy.parameters()))
    here, there = (evaluate(one, ID, 4, metrics=[], env_kwargs=FOUR) for one in (made, again))
    assert [sample.token_ids for sample in here.samples] == [sample.token_ids for sample in there.samples]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_takes_a_partner(name):
    """BC learns from logged conversations, since the task has no references."""
    log = {"episodes": [LoggedEpisode((), 0.0, 0, turns=turns) for turns in LOGGED_TALKS]} if name == "bc" else {}
    made = make(name, make_env(4, **TALKS), make_model(), **small(name, seed=0, **log))
    made.learn(40)
    assert all(bool(torch.isfinite(p).all()) for p in made.policy.parameters())


def test_a_form_that_an_algorithm_cannot_train_names_those_that_can(monkeypatch):
    from dataclasses import replace

    class DecoderOnly(LanguageModelPolicy):
        forms: ClassVar = {"causal": CausalForm}

    monkeypatch.setitem(ALGORITHMS, "narrow", replace(ALGORITHMS["ppo"], policy=DecoderOnly))
    with pytest.raises(ConfigError, match=r"'narrow' can't train encoder-decoder models. Those that can: ppo, a2c"):
        make("narrow", ID, BUILTIN_SEQ2SEQ)
    env = make_vec_env(ID, 1, model=BUILTIN_SEQ2SEQ)
    with pytest.raises(ConfigError, match="DecoderOnly takes models of the form causal"):
        DecoderOnly(env.observation_space, env.action_space, lambda _: 0.0, model=BUILTIN_SEQ2SEQ)


def test_an_algorithm_without_a_kl_penalty_names_those_with_one():
    without = [name for name, row in ALGORITHMS.items() if row.kl_coef is None]
    for name in without:
        with pytest.raises(ConfigError, match=rf"'{name}' takes no KL penalty \(kl_coef=0.1\). Those that do: ppo"):
            make(name, ID, kl_coef=0.1)
        assert make(name, ID, BUILTIN_TINY, n_envs=2, **small(name)) is not None


def test_an_unknown_algorithm_names_the_nearest():
    with pytest.raises(ConfigError, match="ppo"):
        find("pppo")


@pytest.mark.parametrize("name", [name for name, row in ALGORITHMS.items() if "sb3_contrib" in str(row.cls)])
def test_algorithms_of_sb3_contrib_are_an_extra(name):
    from textgym_agents.algorithms.sb3_contrib import _Missing

    with pytest.raises(MissingExtraError, match=r"pip install 'sb3-contrib"):
        _Missing(name)()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_swapping_the_algorithm_changes_no_other_line_of_the_example(name, monkeypatch, capsys):
    script = Path(__file__).parents[3] / "examples" / "swap_algorithm.py"
    sizes = {"model": BUILTIN_TINY, **small(name, n_envs=2)}
    monkeypatch.setattr("textgym_agents.make", lambda *args, **given: make(*args, **sizes, **given))
    arguments = ["--algo", name, "--env", ID, "--timesteps", "16", "--num-prompts", "2"]
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    runpy.run_path(str(script), run_name="__main__")
    assert f"tokens of {name}: " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["ppo", "grpo", "dqn"])
def test_sb3s_zip_goes_on(name, tmp_path):
    made = make(name, ID, BUILTIN_TINY, **small(name, n_envs=2, seed=0))
    made.learn(16)
    made.save(tmp_path / "made.zip")
    again = load(name, tmp_path / "made.zip", ID)
    before = again.num_timesteps
    assert again.learn(16, reset_num_timesteps=False).num_timesteps > before > 0
