"""KL estimators and controllers by hand-computed numbers."""

import numpy as np
import pytest
import torch

from tests.agents.four_tokens import make_env, make_model
from textgym.errors import ConfigError
from textgym_agents import make
from textgym_agents.buffers.episodes import Episode, EpisodeStore
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.objectives.kl import AdaptiveKL, FixedKL, ScheduledKL, as_controller, estimator, k1, k3


def test_estimators_agree_in_expectation_with_the_exact_kl():
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.25, 0.25])
    log_ratio = np.log(p / q)
    exact = float((p * log_ratio).sum())
    assert exact == pytest.approx(0.09928, abs=1e-4)
    assert float((p * k1(log_ratio)).sum()) == pytest.approx(exact)
    assert float((p * k3(log_ratio)).sum()) == pytest.approx(exact)
    assert (k3(log_ratio) >= 0).all()
    assert (k1(log_ratio) < 0).any()


@pytest.mark.parametrize(("kl", "expected"), [(6.0, 0.1), (12.0, 0.102), (0.0, 0.098), (6.6, 0.101)])
def test_adaptive_step(kl, expected):
    """coef * (1 + clip(kl / 6 - 1, -0.2, 0.2) * 10 / 100)."""
    controller = AdaptiveKL(0.1, target=6.0, horizon=100)
    controller.update(kl, 10)
    assert controller.coef == pytest.approx(expected)


def test_a_damped_controller_sets_in_near_its_target_and_pushes_back_beyond_it():
    """Target 6, horizon 100, ten episodes a rollout: the average moves by a tenth towards each KL."""
    controller = AdaptiveKL(0.1, target=6.0, horizon=100, damping=2)
    before = [2.0, 2.0, 2.1, 2.1 + 0.95 * -1.1]
    reached = 0.098 * 1.01
    expected = [
        (2.0, 10, 0.1, 0.1 * (2 / 6) ** 2),  # on its way: the integral waits
        (3.0, 10, 0.1, 0.1 * (3 / 6 * 3 / before[1]) ** 2),  # it rises: more than at rest
        (1.0, 95, 0.1, 0.1 * (1 / 6 * 1 / before[2]) ** 2),  # no new maximum, for fewer episodes than the horizon
        (2.0, 10, 0.098, 0.098 * (2 / 6 * 2 / before[3]) ** 2),  # for more: the coefficient is too large to get there
    ]
    for kl, episodes, integral, coef in expected:
        controller.update(kl, episodes)
        assert (controller.integral, controller.coef) == (pytest.approx(integral), pytest.approx(coef))
    average = controller.average
    controller.update(6.6, 10)
    assert controller.coef == pytest.approx(reached * (1.1 * 3) ** 2)  # no factor counts as more than 3
    assert controller.average == pytest.approx(average + 0.1 * (6.6 - average))
    for _ in range(200):
        controller.update(6.6, 10)
    assert controller.coef == pytest.approx(controller.integral * 1.1**2)  # at rest
    controller.update(3.0, 10)
    assert controller.coef == pytest.approx(controller.integral * (3 / 6 * 3 / 6.6) ** 2)
    controller.update(-0.5, 10)  # an estimate can be negative
    assert controller.coef == 0


@pytest.mark.parametrize("damping", [0.0, 1.0])
def test_an_adaptive_controller_goes_on_from_its_state(damping):
    one, two = (AdaptiveKL(0.1, target=6.0, horizon=100, damping=damping) for _ in range(2))
    for kl in (2.0, 7.0, 5.0):
        one.update(kl, 10)
    two.set_state(one.get_state())
    for controller in (one, two):
        controller.update(8.0, 10)
    assert one.coef == two.coef
    assert one.get_state() == two.get_state()


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_a_damped_controller_holds_what_an_integral_one_overshoots(momentum):
    """A policy whose KL grows by up to a fifth a rollout, the faster the further the coefficient is below 0.2 / KL."""

    def highest_and_last(controller):
        kl, rate = [0.05], 0.0
        for _ in range(60):
            coef = max(controller.coef, 1e-9)  # of this rollout's update; the next one's is from this rollout's KL
            controller.update(kl[-1], 100)
            drive = np.clip(0.3 * np.log(0.2 / kl[-1] / coef), -0.4, 0.2)
            rate = momentum * rate + (1 - momentum) * drive
            kl.append(kl[-1] * np.exp(rate))
        return max(kl), kl[-1]

    for target in (1, 2, 4):
        for guess in (0.5, 1, 2):
            highest, last = highest_and_last(AdaptiveKL(guess * 0.2 / target, target, 300, damping=1))
            assert highest < 1.8 * target
            assert last == pytest.approx(target, rel=0.25)
    assert highest_and_last(AdaptiveKL(0.05, 4, 300))[0] > 2 * 4


def test_as_controller():
    assert as_controller(None) is None
    assert as_controller(0) is None
    assert as_controller(0.0) is None
    fixed = as_controller(0.3)
    assert isinstance(fixed, FixedKL)
    assert fixed.coef == 0.3
    adaptive = AdaptiveKL(0.1, 6)
    assert as_controller(adaptive) is adaptive


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_bad_coefficients(bad):
    with pytest.raises(ConfigError, match="not negative"):
        FixedKL(bad)
    with pytest.raises(ConfigError, match="must be positive"):
        AdaptiveKL(0.1, target=0)
    with pytest.raises(ConfigError, match="damping is"):
        AdaptiveKL(0.1, target=1, damping=bad)


def test_scheduled_kl_follows_the_tokens():
    controller = ScheduledKL(lambda tokens: 0.1 + tokens / 1000)
    assert controller.coef == 0.1
    controller.advance(100)
    controller.update(50.0, 8)
    assert (controller.tokens, controller.coef) == (100, 0.2)


def test_as_a_reward_k1_has_the_gradient_of_the_kl_and_k3_only_a_part_of_it():
    """Three tokens, p = softmax(z): sum over tokens of p * score * estimate, against the derivative of the exact KL."""
    logits, q = np.array([0.4, -0.2, 0.1]), np.array([0.5, 0.25, 0.25])

    def softmax(z):
        return np.exp(z) / np.exp(z).sum()

    def derivative(divergence):
        step = 1e-6 * np.eye(3)
        return np.array([(divergence(softmax(logits + e)) - divergence(softmax(logits - e))) / 2e-6 for e in step])

    p = softmax(logits)
    scores = np.eye(3) - p  # (token, logit): derivative of log p(token)
    forward = derivative(lambda p: (p * np.log(p / q)).sum())
    backward = derivative(lambda p: (q * np.log(q / p)).sum())
    by_k1, by_k3 = ((p * estimate(np.log(p / q))) @ scores for estimate in (k1, k3))
    assert by_k1 == pytest.approx(forward, abs=1e-8)
    assert by_k3 == pytest.approx(forward - backward, abs=1e-8)
    assert np.abs(by_k3).max() < np.abs(by_k1).max() / 3  # the models are close: k3 hardly pulls


class Halved:
    """A reference under which every token is half as likely as under the policy, the last one three times as likely."""

    def reference_log_probs(self, batch, actions):
        log_ratio = np.full(len(actions), np.log(2.0), dtype=np.float32)
        log_ratio[-1] = -np.log(3.0)
        return torch.as_tensor(LOG_PROBS - log_ratio)


LOG_PROBS = np.array([-1.0, -2.0, -0.5], dtype=np.float32)
# k3(log 2) = 1/2 - 1 + log 2 = 0.1931, k3(-log 3) = 3 - 1 - log 3 = 0.9014.
COSTS = {"k1": [0.6931, 0.6931, -1.0986], "k3": [0.1931, 0.1931, 0.9014]}


def filled_store(**options):
    env = make_env(1)
    store = EpisodeStore(0, env.observation_space, env.action_space, "cpu", reference=Halved(), **options)
    episode = Episode(
        np.array([1, 2], np.int32),
        None,
        np.array([1, 2, 3]),
        np.array([0.0, 0.0, 1.0], np.float32),
        np.zeros(3, np.float32),
        LOG_PROBS,
    )
    store.fill([episode])
    return store


def filled_buffer(**options):
    """The same completion, as PPO stores it."""
    env = make_env(1)
    buffer = EpisodeRolloutBuffer(3, env.observation_space, env.action_space, "cpu", reference=Halved(), **options)
    obs = env.reset()
    for step, (action, reward) in enumerate([(1, 0.0), (2, 0.0), (3, 1.0)]):
        log_prob = torch.as_tensor(LOG_PROBS[step : step + 1])
        start = np.array([step == 0])
        buffer.add(obs, np.array([action]), np.array([reward]), start, torch.zeros(1, 1), log_prob)
        obs = env.step(np.array([action]))[0]
    buffer.compute_returns_and_advantage(torch.zeros(1), np.array([True]))
    return buffer


@pytest.mark.parametrize("name", ["k1", "k3"])
@pytest.mark.parametrize("fill", [filled_store, filled_buffer])
def test_what_is_subtracted_from_the_rewards(fill, name):
    store = fill(kl_coef=0.5, kl_estimator=name)
    expected = np.array([0.0, 0.0, 1.0]) - 0.5 * np.array(COSTS[name])
    assert store.rewards[:, 0] == pytest.approx(expected, abs=1e-4)
    # The statistics are the same for both, so that runs can be compared.
    assert store.stats["kl"] == pytest.approx(0.2877, abs=1e-4)
    assert store.stats["kl_per_token"] == pytest.approx(0.2877 / 3, abs=1e-4)
    assert store.stats["kl_k3_per_token"] == pytest.approx(1.2877 / 3, abs=1e-4)


@pytest.mark.parametrize(("name", "seen"), [("k1", 0.2877), ("k3", 1.2877)])
@pytest.mark.parametrize("fill", [filled_store, filled_buffer])
def test_a_controller_gets_the_kl_by_the_chosen_estimator(fill, name, seen):
    """Of 1.1 times the target the error is 0.1; with one completion and a horizon of 10 the step is 1%."""
    controller = AdaptiveKL(0.5, target=seen / 1.1, horizon=10)
    fill(kl_coef=controller, kl_estimator=name)
    assert controller.coef == pytest.approx(0.5 * 1.01, rel=1e-4)


@pytest.mark.parametrize("fill", [filled_store, filled_buffer])
def test_a_scheduled_controller_gets_the_tokens(fill):
    controller = ScheduledKL(lambda tokens: 0.5 - tokens / 10)
    store = fill(kl_coef=controller)
    assert store.rewards[:, 0] == pytest.approx(np.array([0, 0, 1]) - 0.5 * np.array(COSTS["k1"]), abs=1e-4)
    assert (controller.tokens, controller.coef) == (3, pytest.approx(0.2))


def test_estimators_by_name():
    assert estimator("k1") is k1
    with pytest.raises(ConfigError, match=r"kl_estimator is 'k2'\. Valid names: k1, k3"):
        estimator("k2")
    with pytest.raises(ConfigError, match="kl_estimator is 'k2'"):
        filled_store(kl_estimator="k2")


@pytest.mark.parametrize("algorithm", ["ppo", "rloo"])
def test_algorithms_take_the_estimator(algorithm):
    options = {"n_steps": 8, "batch_size": 16} if algorithm == "ppo" else {"prompts_per_rollout": 2, "group_size": 2}
    penalties = {}
    for name in ("k1", "k3"):
        kwargs = {"rollout_buffer_kwargs": {"kl_estimator": name}, "learning_rate": 1e-2}
        model = make(algorithm, make_env(4), make_model(), seed=0, kl_coef=0.5, **options, **kwargs)
        model.learn(96)
        buffer = model.rollout_buffer
        log_ratio = buffer._log_ratio()
        assert buffer.kl_estimator == name
        penalties[name] = float(np.abs(log_ratio).max())
    assert penalties["k1"] != penalties["k3"]  # they learned something else
