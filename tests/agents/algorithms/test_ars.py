"""ARS moves adapters alone, by sb3-contrib's update, and candidates differ by their weights alone."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from tests.agents.four_tokens import make_env, make_model
from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError, MissingExtraError
from textgym_agents import make
from textgym_agents.algorithms import load
from textgym_agents.algorithms.ars import ARS
from textgym_agents.algorithms.sb3_contrib import _Missing
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.evaluation import evaluate
from textgym_agents.policies import ars as black_box
from textgym_agents.policies.ars import ARSPolicy
from textgym_agents.policies.base import LanguageModelPolicy

ID = "textgym/Copy-v0"
SIZES = {"n_delta": 2, "n_eval_episodes": 3}


def small(kind="gpt2", **options):
    return make("ars", ID, tiny_model(kind), n_envs=2, seed=0, env_kwargs=SMALL, **{**SIZES, **options})


def vector(policy):
    return torch.nn.utils.parameters_to_vector(policy.parameters()).detach().clone()


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox", "bloom", "t5", "bart", "marian"])
def test_only_the_outer_halves_of_adapters_are_searched(kind):
    with nullcontext() if kind != "bloom" else pytest.warns(UserWarning, match="No key-value cache"):
        made = small(kind)
    named = dict(made.policy.named_parameters())
    before = {name: p.detach().clone() for name, p in named.items()}
    assert not vector(made.policy).any()  # the zero vector is the initial model
    made.learn(30)
    moved = {name for name, p in named.items() if not torch.equal(p, before[name])}
    assert moved
    assert all("lora_B" in name for name in moved)
    assert len(made.weights) == sum(named[name].numel() for name in moved)
    assert torch.equal(vector(made.policy), made.weights)
    searched = {name.split(".lora_B")[0].rsplit(".", 1)[1] for name in moved}
    assert searched <= {"c_proj", "o_proj", "dense", "o", "out_proj"}
    assert not [name for name in moved if "mlp" in name]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "bart"])
def test_a_number_is_the_share_of_a_layers_output_that_it_changes(kind):
    policy, generator = small(kind).policy, torch.Generator().manual_seed(0)
    layers = [layer for layer in policy.lm.modules() if len(getattr(layer, "lora_B", ()))]
    assert layers
    for layer in layers:
        inputs = torch.randn(4000, layer.in_features, generator=generator)
        with torch.no_grad():
            before = layer(inputs)
            bias = layer(torch.zeros(1, layer.in_features))
            for outer in layer.lora_B.values():
                outer.weight.fill_(0.3)
            change = layer(inputs) - before
        assert change.std().item() == pytest.approx(0.3 * (before - bias).std().item(), rel=0.05)


def test_a_model_with_other_names_is_searched_in_all_linear_layers(monkeypatch):
    few = small().n_params
    monkeypatch.setattr(black_box, "ATTENTION", {"r": 1, "target_modules": "no_such_name"})
    made = small()
    assert made.n_params > few
    made.learn(30)
    assert made.weights.any()
    with pytest.raises(ValueError, match="other_name"):
        small(lora={"r": 1, "target_modules": "other_name"})


@pytest.mark.parametrize("seq2seq", [False, True], ids=["causal", "seq2seq"])
def test_the_update_is_the_papers(seq2seq):
    """Every completion ends at once, with a return that follows from the weights, so the step can be worked out."""
    made = ARS(
        ARSPolicy, make_env(2, seq2seq=seq2seq), n_delta=4, n_top=2, learning_rate=0.3, delta_std=0.1, seed=0,
        policy_kwargs={"model": make_model(seq2seq)},
    )  # fmt: skip
    aim = torch.randn(made.n_params, generator=torch.Generator().manual_seed(0))
    tried = []

    def returns(weights, callback, async_eval):
        tried.append(weights)
        return weights @ aim

    made.evaluate_candidates = returns
    made._setup_learn(100)
    start = made.weights.clone()
    made._do_one_update(made._init_callback(None), None)
    plus, minus = (tried[0] - start).split(4)
    torch.testing.assert_close(plus, -minus)
    deltas, gains = plus / 0.1, tried[0] @ aim
    best = torch.maximum(gains[:4], gains[4:]).argsort(descending=True)[:2]
    kept = torch.cat([gains[:4][best], gains[4:][best]])
    step = ((gains[:4] - gains[4:])[best] @ deltas[best]) * 0.3 / (2 * kept.std())
    torch.testing.assert_close(made.weights, start + step, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(vector(made.policy), made.weights)


def test_equal_candidates_get_equal_returns():
    made = small("t5")
    made._setup_learn(1)
    callback = made._init_callback(None)
    weights = torch.randn(3, made.n_params, generator=torch.Generator().manual_seed(0))
    scores = [made.evaluate_candidates(weights[[0, 1, 0, 2]], callback) for _ in range(2)]
    assert scores[0][0] == scores[0][2]
    assert len(set(scores[0].tolist())) == 3
    assert not torch.equal(scores[0], scores[1])  # other prompts and other random numbers in the next update
    assert torch.equal(vector(made.policy), made.weights)


def test_loading_a_vector_empties_the_cache():
    """A candidate that read keys and values of another one's weights would be scored for a mixture of both."""
    policy = small().policy
    obs = policy.obs_to_tensor(small().env.reset())[0]
    with torch.no_grad():
        policy(obs)
        policy.load_from_vector(torch.full((len(vector(policy)),), 0.5))
        cached = policy._cached_hidden(obs)
        torch.testing.assert_close(
            cached, policy._packed_hidden(policy.lm, policy.form.sequences(obs)), rtol=1e-4, atol=1e-4
        )


def test_callbacks_see_every_token_of_the_candidates():
    made, log = small(), TextLogger()
    evaluations = EvaluateCallback(ID, every=1, num_prompts=2, env_kwargs=SMALL)
    made.learn(60, callback=[log, evaluations])
    assert sum(row["episodes"] for row in log.history) == 2 * 2 * 3 * len(log.history)
    counted = sum(row["episodes"] * row["text/num_tokens"] for row in log.history)
    assert made.num_timesteps == round(counted) >= 60
    assert len(evaluations.history) == len(log.history) + 1
    assert all(0 <= row["reward"] <= 1 for row in log.history)


def test_a_saved_search_goes_on_where_it_was(tmp_path):
    made = make("ars", ID, n_envs=2, seed=0, **SIZES)
    made.learn(30)
    made.save(tmp_path / "checkpoint.zip")
    again = load("ars", tmp_path / "checkpoint.zip", ID)
    assert torch.equal(again.weights, made.weights)
    assert torch.equal(vector(again.policy), made.weights)
    again.learn(30, reset_num_timesteps=False)
    assert again.num_timesteps > made.num_timesteps
    made.policy.save_pretrained(tmp_path / "policy")
    merged = make("zero_shot", ID, str(tmp_path / "policy"))
    rewards = [evaluate(one, ID, 4, deterministic=True).rewards for one in (made, merged)]
    np.testing.assert_allclose(*rewards)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ConfigError, match="expected ARSPolicy"):
        ARS(LanguageModelPolicy, make_env(2))
    with pytest.raises(ConfigError, match="n_eval_episodes is 0"):
        small(n_eval_episodes=0)
    with pytest.raises(ConfigError, match="one process"):
        small().learn(10, async_eval=object())


def test_without_sb3_contrib_it_names_the_extra():
    class Derived(_Missing("ARS")):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)

    for call in (Derived, Derived.load):
        with pytest.raises(MissingExtraError, match=r"ARS, which is sb3-contrib's, .*pip install 'sb3-contrib>="):
            call()


@pytest.mark.slow
def test_reviews_get_happier():
    """0.541 before, 0.664 after."""
    made = make("ars", "textgym/SentimentContinuation-v0", seed=0)
    made.learn(60_000)
    assert evaluate(made, "textgym/SentimentContinuation-v0").reward > 0.6
