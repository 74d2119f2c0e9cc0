"""The average of the weights: what it is, that training doesn't notice it, and that it is evaluated and saved."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from stable_baselines3.common.callbacks import BaseCallback

from tests.agents.four_tokens import make_env, make_model
from tests.agents.runs.runs_in_folders import assert_equal_runs, settings
from tests.agents.saved_model import save_tiny_model
from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError
from textgym_agents import ALGORITHMS, EvaluateCallback, WeightAveraging, make
from textgym_agents.callbacks import evaluation
from textgym_agents.evaluation.held_out import Evaluation
from textgym_agents.runs import train as training
from textgym_agents.runs.config import TrainConfig


def trained(algorithm):
    return [weight for group in algorithm.policy.optimizer.param_groups for weight in group["params"]]


class Weights(BaseCallback):
    """Copies of the trained weights at the start of every rollout and at the end."""

    def _on_training_start(self):
        self.seen = []

    def _on_rollout_start(self):
        self.seen.append([weight.detach().clone() for weight in trained(self.model)])

    _on_training_end = _on_rollout_start

    def _on_step(self):
        return True


def four(name, **options):
    return make(name, make_env(4), make_model(), seed=0, **{**ALGORITHMS[name].small, **options})


@pytest.mark.parametrize("name", ["ppo", "trpo", "rloo", "q_learning", "dqn", "ars"])
@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
def test_it_is_a_mean_that_becomes_exponential(name):
    algorithm, averaging, weights = four(name), WeightAveraging(0.75), Weights()
    algorithm.learn(120, [averaging, weights])
    after = [torch.cat([weight.flatten() for weight in one]) for one in weights.seen[1:]]
    assert len(after) == averaging.updates > 5
    expected = torch.stack(after[:4]).mean(0)
    for one in after[4:]:
        expected = 0.75 * expected + 0.25 * one
    ours = torch.cat([average.flatten() for average in averaging._average])
    torch.testing.assert_close(ours, expected)
    assert not torch.equal(ours, after[-1])


def test_training_does_not_notice():
    options = {"n_envs": 4, "env_kwargs": SMALL, "seed": 0, "prompts_per_rollout": 2, "group_size": 2}
    plain, averaged = (make("rloo", "textgym/Copy-v0", tiny_model("gpt2"), **options) for _ in range(2))
    averaging = WeightAveraging(0.5)
    evaluations = EvaluateCallback("textgym/Copy-v0", 40, 4, env_kwargs=SMALL, averaging=averaging)
    plain.learn(200)
    averaged.learn(200, [averaging, evaluations])
    assert len(evaluations.history) > 3
    for one, other in zip(plain.policy.parameters(), averaged.policy.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_average_is_evaluated_and_kept(tmp_path):
    algorithm, averaging = four("rloo"), WeightAveraging()
    algorithm.learn(40, averaging)
    for average in averaging._average:
        average.fill_(0.25)
    evaluations = EvaluateCallback("textgym/Copy-v0", 1, 2, averaging=averaging, best_folder=tmp_path / "best")
    evaluations.model = averaging.model
    seen = []

    def save(folder):
        seen.extend(float(weight.detach().mean()) for weight in trained(algorithm))
        folder.mkdir(exist_ok=True)

    algorithm.policy.save_pretrained = save
    with pytest.MonkeyPatch.context() as patch:
        result = Evaluation([], np.array([1.0]), {})
        patch.setattr(evaluation, "evaluate", lambda model, *args, **options: result)
        evaluations._evaluate()
    assert {*seen} == {0.25}
    assert all(not torch.all(weight == 0.25) for weight in trained(algorithm))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def test_a_run_keeps_it_and_goes_on_with_it(tiny, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, timesteps in (("whole", 192), ("longer", 96), ("plain", 192)):
            average = None if name == "plain" else 0.9
            config = settings(tiny, average=average, timesteps=timesteps, schedule_timesteps=192)
            training.train(config, tmp_path / name, progress=False)
        training.resume(tmp_path / "longer", timesteps=192, progress=False)
    finally:
        torch.set_num_threads(threads)
    assert_equal_runs(tmp_path / "longer", tmp_path / "whole")
    averaged, last = (load_file(tmp_path / name / "policy" / "model.safetensors") for name in ("whole", "plain"))
    assert any(not torch.equal(averaged[key], last[key]) for key in averaged)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_wrong_decays(decay):
    with pytest.raises(ConfigError, match="decay is"):
        WeightAveraging(decay)
    with pytest.raises(ConfigError, match="average is"):
        TrainConfig("textgym/Copy-v0", average=decay)
