"""A policy is made again with the arguments that it had, whatever a subclass adds."""

import copy
import pickle

import pytest

from tests.agents.tiny_models import SMALL, tiny_model
from textgym_agents import ALGORITHMS, make_vec_env
from textgym_agents.policies.base import LanguageModelPolicy


class Patient(LanguageModelPolicy):
    """With an argument of its own, which nothing but its signature mentions."""

    def __init__(self, *args, patience=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.patience = patience


@pytest.fixture
def spaces():
    env = make_vec_env("textgym/Copy-v0", 2, **SMALL)
    return env.observation_space, env.action_space


def test_an_argument_of_a_subclass_comes_back(spaces, tmp_path):
    policy = Patient(*spaces, lambda _: 1e-3, model=tiny_model("gpt2"), patience=7, temperature=0.5)
    policy.save(tmp_path / "policy.pt")
    loaded = Patient.load(tmp_path / "policy.pt")
    assert (loaded.patience, loaded.sampling.temperature) == (7, 0.5)
    loaded.save(tmp_path / "again.pt")
    assert Patient.load(tmp_path / "again.pt").patience == 7


@pytest.mark.parametrize("again", [copy.deepcopy, lambda policy: pickle.loads(pickle.dumps(policy))])
def test_copies_keep_the_arguments(spaces, again):
    policy = Patient(*spaces, lr_schedule=float, model=tiny_model("gpt2"), patience=7)
    assert again(policy).init_arguments["patience"] == 7


def test_every_algorithms_policy_keeps_its_arguments():
    for row in ALGORITHMS.values():
        assert row.policy.__new__(row.policy, None, anything=3).init_arguments["anything"] == 3
