"""Each warning is provoked by the mistake that it names; runs without a mistake are silent."""

import json
import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import DictRolloutBuffer
from torch import nn

from tests.agents.four_tokens import make_env, make_model
from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError, ModelError
from textgym_agents import ALGORITHMS, make
from textgym_agents.callbacks.health import HealthCheck, TrainingWarning
from textgym_agents.callbacks.noise_scale import NoiseScale
from textgym_agents.models.sampling import Sampling
from textgym_agents.policies.base import LanguageModelPolicy

ID = "textgym/Copy-v0"
ON_POLICY = ["ppo", "a2c", "trpo", "maskable_ppo", "nlpo", "reinforce", "scst", "rloo", "grpo"]
QUICK = ("ppo", "a2c", "rloo")


def small(algorithm="ppo", model=None, **options):
    """On Copy, with a random model unless another is given."""
    grouped = algorithm in ("reinforce", "scst", "rloo", "grpo")
    sizes = {"prompts_per_rollout": 2 if algorithm in ("rloo", "grpo") else 8} if grouped else {"n_steps": 16}
    sizes |= {"cg_max_steps": 2} if algorithm == "trpo" else {}
    sizes |= {"batch_size": 64} if algorithm in ("ppo", "trpo", "maskable_ppo", "nlpo") else {}
    options = {"n_envs": 8, "env_kwargs": SMALL, "seed": 0, **sizes, **options}
    return make(algorithm, ID, tiny_model("gpt2") if model is None else model, **options)


def four(algorithm="ppo", reward=None, **options):
    """On the language of four tokens, which is learnt within a few rollouts."""
    sizes = {"n_steps": 8, "batch_size": 64} if algorithm == "ppo" else {}
    env = make_env(8, **({} if reward is None else {"reward": reward}))
    return make(algorithm, env, make_model(), seed=0, **{**sizes, **options})


def causes(model, timesteps, check=None, **kwargs):
    """Train, and name the causes that were warned of, each warning once."""
    check = HealthCheck() if check is None else check
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.learn(timesteps, check, **kwargs)
    messages = [str(w.message) for w in caught if issubclass(w.category, TrainingWarning)]
    assert messages == [finding.message for finding in check.findings][-len(messages) or len(check.findings) :]
    return [finding.cause for finding in check.findings]


@pytest.mark.parametrize(
    "algorithm", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in ON_POLICY if name not in QUICK)]
)
def test_healthy_runs_are_silent(algorithm):
    """With the built-in model, which ends its completions."""
    check = HealthCheck(every=2)
    assert causes(small(algorithm, "textgym/small"), 768, check) == []
    assert check._rollouts >= 6


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("textgym/small", {"kl_coef": 0.0}),
        ("textgym/small", {"policy_kwargs": {"temperature": 0.7}}),
        ("textgym/small", {"lora": 2}),
        ("textgym/small-seq2seq", {"kl_coef": 0.0}),
        pytest.param("textgym/small-seq2seq", {"policy_kwargs": {"temperature": 0.7}}, marks=pytest.mark.slow),
        pytest.param("textgym/small-seq2seq", {"lora": 2}, marks=pytest.mark.slow),
    ],
)
def test_healthy_settings_are_silent(model, options):
    assert causes(small(model=model, **options), 640, HealthCheck(every=2)) == []


def test_checking_changes_no_training_run():
    plain, checked = small(kl_coef=0.1), small(kl_coef=0.1)
    plain.learn(512)
    checked.learn(512, HealthCheck(every=1))
    for a, b in zip(plain.policy.parameters(), checked.policy.parameters(), strict=True):
        assert torch.equal(a, b)


# ---------------------------------------------------------------------- the ratio at the first minibatch


class Unfiltered(LanguageModelPolicy):
    """Samples with top-p, and leaves it out when it computes log-probabilities for the update."""

    def forward(self, obs, deterministic=False):
        with top_p(self):
            results = super().forward(obs, deterministic)
        self.sampled_masks = None
        return results


class Narrowed(LanguageModelPolicy):
    """Gives tokens that have become improbable no probability in updates."""

    def evaluate_actions(self, obs, actions):
        values, log_probs, entropies = super().evaluate_actions(obs, actions)
        return values, log_probs.masked_fill(log_probs < -4, -torch.inf), entropies


@contextmanager
def top_p(policy):
    policy.sampling = Sampling(top_p=0.5)
    try:
        yield
    finally:
        policy.sampling = Sampling()


class Dropping(LanguageModelPolicy):
    """Has dropout on in updates."""

    def set_training_mode(self, mode):
        super().set_training_mode(mode)
        self.lm.train(mode)


@pytest.fixture
def with_policy(monkeypatch):
    def use(policy):
        monkeypatch.setitem(ALGORITHMS, "ppo", replace(ALGORITHMS["ppo"], policy=policy, kl_coef=0.0))

    return use


def test_top_p_in_rollouts_alone(with_policy):
    with_policy(Unfiltered)
    model = small()
    check = HealthCheck()
    assert causes(model, 256, check, log_interval=1000) == ["ratio"]
    assert "top-k or top-p" in check.findings[0].message
    assert check.findings[0].timesteps == 128
    assert model.logger.name_to_value["health/ratio_error"] > 0.01


def test_dropout(with_policy):
    with_policy(Dropping)
    check = HealthCheck()
    model = small(model=tiny_model("gpt2", resid_pdrop=0.3))
    state = torch.random.get_rng_state()
    with pytest.warns(TrainingWarning, match="dropout"):
        model.collect_rollouts(*rollout_arguments(model, check))
    assert [finding.cause for finding in check.findings] == ["ratio"]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not model.policy.training


def rollout_arguments(model, check):
    _, callback = model._setup_learn(10_000, check)
    callback.on_training_start({}, {})
    return model.env, callback, model.rollout_buffer, model.n_steps


@pytest.mark.parametrize(("policy", "expected"), [(LanguageModelPolicy, []), (Unfiltered, ["ratio"])])
def test_sb3_s_own_buffer_is_looked_at_too(with_policy, policy, expected):
    with_policy(policy)
    model = small(rollout_buffer_class=DictRolloutBuffer, kl_coef=0, n_steps=4, batch_size=32)
    assert causes(model, 32) == expected


def test_bfloat16_is_measured():
    model = small(policy_kwargs={"dtype": "bfloat16"}, kl_coef=0)
    check = HealthCheck(every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        model.learn(128, check, log_interval=1000)
    assert 1e-5 < model.logger.name_to_value["health/ratio_error"] < 0.5


# ---------------------------------------------------------------------- KL


class Flattened(LanguageModelPolicy):
    """Samples at its temperature, and reports log-probabilities at one and a half times that."""

    def forward(self, obs, deterministic=False):
        actions, values, _ = super().forward(obs, deterministic)
        return actions, values, self.evaluate_actions(obs, actions)[1]

    def evaluate_actions(self, obs, actions):
        kept, self.sampling = self.sampling, Sampling(1.5 * self.sampling.temperature)
        try:
            return super().evaluate_actions(obs, actions)
        finally:
            self.sampling = kept


def test_a_kl_below_zero(with_policy):
    with_policy(Flattened)
    model = small(model="textgym/small", kl_coef=0.01, learning_rate=0.0)
    check = HealthCheck()
    assert causes(model, 1024, check) == ["negative_kl"]
    assert "temperature" in check.findings[0].message
    assert check.findings[0].timesteps == 5 * 128
    assert model.rollout_buffer.stats["kl_per_token"] < -0.05


# ---------------------------------------------------------------------- entropy, groups, lengths


def test_a_learning_rate_that_makes_the_entropy_collapse():
    model = four(learning_rate=0.3, kl_coef=0, policy_kwargs={"optimizer_kwargs": {"eps": 1e-8}})
    check = HealthCheck(window=3)
    at = causes(model, 1280, check).index("entropy")
    assert "lower the learning rate" in check.findings[at].message


def test_a_reward_that_is_always_the_same():
    model = four("grpo", lambda samples: [0.25] * len(samples), prompts_per_rollout=4, group_size=4, kl_coef=0)
    check = HealthCheck()
    assert causes(model, 400, check) == ["zero_variance"]
    assert "100% of the groups" in check.findings[0].message
    assert "mean reward 0.25" in check.findings[0].message


def test_completions_that_never_end():
    """A random model with a vocabulary of thousands hardly ever writes the end token."""
    check = HealthCheck()
    assert causes(small(), 1024, check) == ["length"]
    assert "missing_eos_penalty" in check.findings[0].message


def test_completions_that_may_not_end_sooner():
    assert causes(small(env_kwargs={**SMALL, "min_new_tokens": 10}), 1024) == []


def test_rollouts_that_are_noise():
    """Rewards that have nothing to do with the completion; a warning only after 20 rollouts."""
    draw = np.random.default_rng(0)
    model = four("rloo", lambda samples: draw.random(len(samples)).tolist(), prompts_per_rollout=4, kl_coef=0)
    check = HealthCheck()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.learn(1600, [NoiseScale(), check])
    assert [finding.cause for finding in check.findings] == ["noise"]
    assert "a rollout has 16" in str(caught[-1].message)
    assert check.findings[0].timesteps > 20 * 16


def test_rollouts_with_a_signal():
    check = HealthCheck()
    four("rloo", prompts_per_rollout=16, kl_coef=0, learning_rate=0).learn(3200, [NoiseScale(), check])
    assert check._rollouts > 20
    assert check.findings == []


# ---------------------------------------------------------------------- numbers that are none


def test_weights_that_are_none_end_the_training():
    model = small()

    def broken():
        model.logger.record("train/loss", float("nan"))
        with torch.no_grad():
            model.policy.value_net.weight.fill_(float("nan"))

    model.train = broken
    with pytest.raises(ModelError, match=r"After 128 tokens train/loss is nan.*lower the learning rate"):
        model.learn(128, HealthCheck())


def test_a_loss_that_is_none_with_weights_that_are_numbers():
    model = small("grpo")
    learn = model.train

    def broken():
        learn()
        model.logger.record("train/grad_norm", float("inf"))

    model.train = broken
    assert "not_finite" in causes(model, 160)


# ---------------------------------------------------------------------- how warnings are given


class Driven:
    """A model whose buffer says what the test likes."""

    class Buffer:
        group_size = 2
        log_probs = None
        scored = np.ones((4, 2), dtype=bool)

    def __init__(self):
        self.rollout_buffer, self.num_timesteps = Driven.Buffer(), 0
        self.observation_space, self.policy = None, nn.Linear(1, 1)
        self.logger = type("Logger", (), {"name_to_value": {}, "record": lambda *_: None})()


def rollout(check, model, without_signal):
    model.rollout_buffer.scores = np.array([[0, 0]] * without_signal + [[0, 1]] * (4 - without_signal))
    check.on_rollout_start()
    check.on_rollout_end()
    model.num_timesteps += 1


def test_a_cause_is_named_once_and_again_only_after_it_went_away():
    check, model = HealthCheck(window=2), Driven()
    check.model = model
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for without_signal in (3, 3, 3, 4, 2, 4, 4, 4):
            rollout(check, model, without_signal)
    assert [finding.timesteps for finding in check.findings] == [1, 6]
    assert len(caught) == 2
    assert all(w.category is TrainingWarning for w in caught)


def test_a_check_goes_on_from_its_state():
    first, later, model = HealthCheck(window=2), HealthCheck(window=2), Driven()
    first.model = later.model = model
    rollout(first, model, 4)
    with pytest.warns(TrainingWarning):
        rollout(first, model, 4)
    later.set_state(json.loads(json.dumps(first.get_state())))
    assert later.findings == first.findings
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rollout(later, model, 4)


def test_what_is_not_sampled_from_the_policy_is_not_judged_as_if_it_were():
    model = small(policy_kwargs={"top_p": 0.5})
    model.samples_from_policy = False
    model.rollout_buffer.peek = None  # would fail if it were called
    assert {"ratio", "entropy", "negative_kl"} & set(causes(model, 256)) == set()


@pytest.mark.parametrize("name", ["q_learning", "sarsa", "ilql"])
def test_algorithms_that_do_not_sample_from_their_policy_say_so(name):
    check = HealthCheck()
    model = make(name, ID, n_envs=2, prompts_per_rollout=2, env_kwargs=SMALL, seed=0).learn(8, callback=check)
    assert check._rollouts == 1
    assert not check._entropies  # it is measured where tokens are samples of the policy
    assert not type(model).samples_from_policy


def test_tokens_that_the_update_drops(with_policy):
    """A token of the rollout to which the update gives no probability makes approx_kl infinite."""
    with_policy(Narrowed)
    assert "not_finite" in causes(small(learning_rate=0.05), 384)


@pytest.mark.parametrize("wrong", [{"window": 1}, {"every": 0}])
def test_wrong_arguments(wrong):
    with pytest.raises(ConfigError, match="expected at least"):
        HealthCheck(**wrong)
