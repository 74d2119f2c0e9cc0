"""The gradient noise scale, of gradients whose noise is known and of real rollouts of a language that can be listed."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import Logger
from torch import nn
from torch.nn.utils import clip_grad_norm_

from tests.agents.four_tokens import make_env, make_model, per_completion
from textgym.errors import ConfigError
from textgym_agents import ALGORITHMS, make
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.callbacks.noise_scale import NoiseScale


class Source:
    """A model whose gradients are ``mean`` plus noise of a given covariance, divided by the completions."""

    def __init__(self, mean, deviations, max_grad_norm=1e9):
        self.mean, self.deviations, self.max_grad_norm = mean, deviations, max_grad_norm
        self.rng = torch.Generator().manual_seed(0)
        lm = nn.Module()
        lm.first, lm.second = nn.Parameter(torch.zeros(30)), nn.Parameter(torch.zeros(len(mean) - 30))
        self.policy = SimpleNamespace(lm=lm, optimizer=torch.optim.SGD(lm.parameters(), lr=0.1))
        self.rollout_buffer = object.__new__(EpisodeRolloutBuffer)
        self.logger, self.num_timesteps = Logger(None, []), 0

    def get_env(self):
        return None

    def update(self, minibatches, epochs=1):
        for epoch in range(epochs):
            self.rollout_buffer.epochs = epoch + 1
            for completions in minibatches:
                self.rollout_buffer.minibatch_episodes = completions
                noise = torch.randn(len(self.mean), generator=self.rng) * self.deviations / completions**0.5
                gradient = self.mean + noise + 100 * epoch  # later epochs are something else
                self.policy.optimizer.zero_grad()
                (torch.cat([*self.policy.lm.parameters()]) * gradient).sum().backward()
                clip_grad_norm_(self.policy.lm.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()


def followed(source, rollouts, callback, **update):
    callback.init_callback(source)
    callback.on_training_start({}, {})
    for _ in range(rollouts):
        callback.on_rollout_start()
        source.update(**update)
    callback.on_training_end()
    return callback


@pytest.mark.parametrize("max_grad_norm", [1e9, 0.01], ids=["unclipped", "clipped"])
@pytest.mark.parametrize(
    "update",
    [{"minibatches": [64]}, {"minibatches": [12, 16, 4, 8, 24], "epochs": 2}],
    ids=["one minibatch", "minibatches of several sizes, two epochs"],
)
def test_a_known_noise_scale_is_recovered(update, max_grad_norm):
    """Noise of 1,000 weights with tr(Sigma) = 1,000 and |G|^2 = 4: at 250 completions, signal and noise are equal."""
    mean, deviations = torch.full((1000,), (4 / 1000) ** 0.5), torch.linspace(0.1, 1.7, 1000)
    truth = float((deviations**2).sum()) / 4
    callback = followed(Source(mean, deviations, max_grad_norm), 60, NoiseScale(window=60), **update)
    assert callback.rollout_completions == 64
    assert callback.noise_scale == pytest.approx(truth, rel=0.15)
    assert callback.signal_share == pytest.approx(1 / (1 + truth / 64), rel=0.15)
    logged = callback.logger.name_to_value
    assert logged["train/noise_scale"] == callback.noise_scale
    assert logged["train/minibatch_completions"] == pytest.approx(64 / len(update["minibatches"]))


def test_without_any_signal_the_noise_scale_is_a_lower_bound():
    callback = followed(Source(torch.zeros(1000), torch.ones(1000)), 20, NoiseScale(), minibatches=[64])
    assert abs(callback.signal_share) < 0.05
    assert callback.noise_scale > 20 * 64


def test_reinforce_has_the_noise_scale_of_the_enumerated_language():
    """Without a baseline, completions are independent: tr(Sigma) and G are sums over all 120 of them."""
    rows, p, _ = per_completion()
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    signal = (p[:, None] * rows).sum(0)
    truth = float((p * (rows**2).sum(1)).sum() - signal @ signal) / float(signal @ signal)
    made = make(
        "reinforce",
        make_env(16),
        make_model(),
        seed=0,
        kl_coef=0,
        learning_rate=0,
        baseline="none",
        max_grad_norm=0.1,
        batch_size=64,
        rollout_buffer_kwargs={"loss_reduction": "sum"},
    )
    callback = NoiseScale()
    made.learn(20 * 64 * 2, callback)
    assert callback.noise_scale == pytest.approx(truth, rel=0.25)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "grpo"])
def test_measuring_changes_no_training_run(algorithm):
    small = {"n_steps": 8} if algorithm in ("ppo", "a2c") else {"prompts_per_rollout": 4}
    runs = [make(algorithm, make_env(8), make_model(), seed=0, **small) for _ in range(2)]
    callback = NoiseScale()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for run, callbacks in zip(runs, (None, callback), strict=True):
            run.learn(200, callbacks)
    assert callback.noise_scale > 0
    for one, other in zip(*(run.policy.parameters() for run in runs), strict=True):
        assert torch.equal(one, other)
    assert not runs[1].policy.optimizer._optimizer_step_pre_hooks
    assert not any(p._post_accumulate_grad_hooks for p in runs[1].policy.parameters())


def test_adapters_alone_are_measured():
    made = make("rloo", make_env(8), make_model(), lora=2, seed=0, prompts_per_rollout=4)
    callback = NoiseScale()
    made.learn(100, callback)
    assert sum(tensor.numel() for tensor in callback._mean) == sum(
        p.numel() for p in made.policy.lm.parameters() if p.requires_grad
    )
    assert callback.noise_scale > 0


@pytest.mark.parametrize("algorithm", ["dqn", "ars"])
def test_algorithms_without_such_gradients_log_nothing(algorithm):
    made = make(algorithm, make_env(4), make_model(), seed=0, **ALGORITHMS[algorithm].small)
    callback = NoiseScale()
    made.learn(60, callback)
    assert callback.noise_scale is None


def test_it_goes_on_from_its_state():
    mean, deviations = torch.full((1000,), 0.1), torch.ones(1000)
    whole = followed(Source(mean, deviations), 12, NoiseScale(), minibatches=[64])
    source = Source(mean, deviations)
    first = followed(source, 5, NoiseScale(), minibatches=[64])
    second = NoiseScale()
    second.set_state(first.get_state())
    followed(source, 7, second, minibatches=[64])
    assert second.noise_scale == whole.noise_scale
    assert np.array_equal(second._rollouts, whole._rollouts)


@pytest.mark.parametrize("options", [{"window": 1}, {"decay": 1.0}])
def test_arguments(options):
    with pytest.raises(ConfigError, match="window is"):
        NoiseScale(**options)
