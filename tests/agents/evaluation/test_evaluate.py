"""Evaluation plays each held-out prompt once, and leaves the training run as it was."""

import inspect

import numpy as np
import pytest
import torch
from datasets import Dataset

from tests.agents.tiny_models import SMALL, tiny_model
from textgym import Prompt, TextGenerationVectorEnv
from textgym.errors import ConfigError
from textgym_agents import make, make_vec_env
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.cli import benchmark as benchmark_command
from textgym_agents.cli import evaluate as evaluate_command
from textgym_agents.cli import train as train_command
from textgym_agents.evaluation import evaluate
from textgym_agents.evaluation.held_out import load_policy
from textgym_agents.runs.config import TrainConfig

ID = "textgym/Copy-v0"


def small_ppo(seed=0, **options):
    return make(
        "ppo", ID, tiny_model("gpt2"), n_envs=4, n_steps=16, batch_size=32, seed=seed, env_kwargs=SMALL, **options
    )


@pytest.mark.parametrize("n_envs", [1, 3, 16])
def test_each_prompt_is_played_once_whatever_the_batch(n_envs):
    result = evaluate(small_ppo(), ID, 7, n_envs=n_envs, env_kwargs=SMALL)
    assert [s.prompt_id for s in result.samples] == list(range(7))
    assert len(result.rewards) == 7
    assert result.summary()["reward"] == pytest.approx(result.rewards.mean())
    assert set(result.components) == {"chrf"}
    assert result.components["chrf"] == pytest.approx(result.reward, abs=1e-5)
    assert result.metrics["num_tokens"] == np.mean([len(s.token_ids) for s in result.samples])


@pytest.mark.parametrize("n_envs", [1, 3, 16])
def test_no_prompt_is_played_that_was_not_asked_for(n_envs):
    """A judge would be paid for it."""
    asked = []

    def judge(samples):
        asked.extend(sample.prompt_id for sample in samples)
        return [float(len(sample.token_ids)) for sample in samples]

    policy = load_policy("textgym/tiny", ID)
    result = evaluate(policy, ID, 7, n_envs=n_envs, env_kwargs={"reward": judge})
    assert sorted(asked) == list(range(7))
    assert result.rewards.tolist() == [len(sample.token_ids) for sample in result.samples]
    assert len(set(result.rewards)) > 1  # rows end at different times


def test_greedy_completions_do_not_depend_on_the_batch():
    first, second = (evaluate(small_ppo(), ID, 6, n_envs=n, deterministic=True, env_kwargs=SMALL) for n in (2, 6))
    assert [s.completion for s in first.samples] == [s.completion for s in second.samples]


def test_sampled_completions_depend_on_the_seed_alone():
    ppo = small_ppo()
    completions = [[s.completion for s in evaluate(ppo, ID, 5, seed=s, env_kwargs=SMALL).samples] for s in (1, 1, 2)]
    assert completions[0] == completions[1]
    assert completions[0] != completions[2]


def test_evaluating_changes_no_training_run():
    plain, evaluated = small_ppo(), small_ppo()
    plain.learn(128)
    callback = EvaluateCallback(ID, every=64, num_prompts=5, env_kwargs=SMALL)
    evaluated.learn(128, callback=callback)
    assert [row["timesteps"] for row in callback.history] == [0, 64, 128]
    for a, b in zip(plain.policy.parameters(), evaluated.policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_number_of_rows_and_the_held_out_prompts_have_one_default_everywhere():
    def defaults(*names):
        functions = (make, make_vec_env, evaluate, EvaluateCallback, TrainConfig, BenchmarkConfig)
        commands = (train_command.train, evaluate_command.evaluate, benchmark_command.benchmark)
        for function in (*functions, *commands):
            for name, parameter in inspect.signature(function).parameters.items():
                if name in names:
                    yield function.__qualname__, parameter.default

    assert {value for _, value in defaults("n_envs")} == {32}
    assert {value for _, value in defaults("num_prompts", "eval_prompts")} == {200}
    # Choices that a training run makes go by other prompts than results do.
    assert dict(defaults("eval_split")) == {
        "TrainConfig": "validation",
        "train": "validation",
        "BenchmarkConfig": "test",
        "benchmark": "test",
    }
    assert dict(defaults("split")) == {
        "evaluate": "test",
        "EvaluateCallback": "validation",
        "TrainConfig": "train",
        "train": "train",
    }


def test_the_best_policy_is_kept(tmp_path):
    ppo = small_ppo()
    callback = EvaluateCallback(ID, every=64, num_prompts=5, env_kwargs=SMALL, best_folder=tmp_path / "best")
    ppo.learn(128, callback=callback)
    assert callback.best == max(row["reward"] for row in callback.history)
    assert (tmp_path / "best" / "model.safetensors").is_file()


def test_the_logger_describes_the_completions():
    ppo = small_ppo(kl_coef=0.1)
    logger = TextLogger()
    ppo.learn(192, callback=logger)
    assert [row["timesteps"] for row in logger.history] == [64, 128, 192]
    last = logger.history[-1]
    assert 0 < last["text/num_tokens"] <= 10
    assert last["text/finished_eos"] + last["text/finished_length"] == pytest.approx(1)
    assert last["reward"] == pytest.approx(last["text/reward_chrf"], abs=1e-5)
    assert {"kl/kl", "kl/kl_per_token", "kl/kl_coef"} <= set(last)
    assert last["time/rollout_tokens_per_second"] > 0
    assert last["time/update_tokens_per_second"] > 0


def test_a_random_environment_is_refused():
    with pytest.raises(ConfigError, match="sequential"):
        evaluate(small_ppo(), make_vec_env(ID, 2, **SMALL), 4)
    with pytest.raises(ConfigError, match="the split has 1000"):
        evaluate(small_ppo(), ID, 1001, env_kwargs=SMALL)


def test_reviews_of_a_dataset_of_which_some_have_no_reference():
    rows = [{"text": "the film begins well and goes on", "label": 1}, {"text": "a bad one that ends", "label": 0}]
    source = {"dataset": Dataset.from_list(rows), "prefix_words": 4, "reward": "sentiment"}
    env_id = "textgym/SentimentContinuation-v1"
    result = evaluate(load_policy("textgym/tiny", env_id, source), env_id, 2, split="train", env_kwargs=source)
    assert {*result.metrics} == {"sentiment", "distinct2", "length", "num_tokens"}
    assert [len(sample.references) for sample in result.samples] == [1, 0]


def test_a_plain_list_of_prompts_has_no_metrics_of_its_own():
    envs = TextGenerationVectorEnv(
        2,
        [Prompt("a:", ("a",)), Prompt("b:", ("b",))],
        sampling="sequential",
        autoreset_mode="SameStep",
        **SMALL,
    )
    assert set(evaluate(small_ppo(), make_vec_env(envs), 2).metrics) == {"num_tokens"}
