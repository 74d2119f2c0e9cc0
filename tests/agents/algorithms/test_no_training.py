"""Baselines train nothing; best-of-n picks among the completions that sampling gives."""

import numpy as np
import pytest
import torch

from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError
from textgym_agents import make
from textgym_agents.algorithms import ALGORITHMS, load
from textgym_agents.callbacks import EvaluateCallback, TextLogger
from textgym_agents.evaluation import evaluate
from textgym_agents.runs.train import TrainConfig, train

ID = "textgym/Copy-v0"
BASELINES = [name for name, row in ALGORITHMS.items() if row.family == "baseline"]


def small(name, kind="gpt2", **options):
    return make(name, ID, tiny_model(kind), n_envs=4, seed=0, env_kwargs=SMALL, **options)


def completions(algorithm, **options):
    return [s.completion for s in evaluate(algorithm, ID, 6, env_kwargs=SMALL, **options).samples]


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
@pytest.mark.parametrize("name", BASELINES)
def test_learning_changes_nothing_costs_nothing_and_is_evaluated_once(name, kind):
    made = small(name, kind)
    before = [p.clone() for p in made.policy.parameters()]
    logger, callback = TextLogger(), EvaluateCallback(ID, every=10, num_prompts=3, env_kwargs=SMALL)
    made.learn(10_000, callback=[logger, callback])
    assert made.num_timesteps == 0
    assert logger.history == []
    assert [row["timesteps"] for row in callback.history] == [0]
    assert all(torch.equal(a, b) for a, b in zip(before, made.policy.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_greedy_takes_the_most_probable_token_whatever_is_asked(kind):
    greedy, sampled = small("greedy", kind), small("zero_shot", kind)
    assert completions(greedy, seed=0) == completions(greedy, seed=1) == completions(sampled, deterministic=True)
    assert completions(greedy) != completions(sampled)
    obs = greedy.env.reset()
    tensors = greedy.policy.obs_to_tensor(obs)[0]
    expected = greedy.policy.get_distribution(tensors).distribution.probs.argmax(1)
    assert greedy.predict(obs, deterministic=False)[0].tolist() == expected.tolist()


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_random_takes_every_legal_token_alike(kind):
    env_kwargs = {**SMALL, "min_new_tokens": 1}
    made = make("random", ID, tiny_model(kind), n_envs=4, seed=0, env_kwargs=env_kwargs, policy_kwargs={"top_k": 2})
    policy, observations = made.policy, made.env.reset()
    tensors = policy.obs_to_tensor(observations)[0]
    legal = policy.get_distribution(tensors).distribution.probs
    zero_shot = make("zero_shot", ID, tiny_model(kind), n_envs=4, seed=0, env_kwargs=env_kwargs).policy
    expected = zero_shot.get_distribution(tensors).distribution.probs > 0
    assert 0 < expected.sum() < expected.numel()
    assert torch.equal(legal > 0, expected)
    assert torch.allclose(legal[expected], (1 / expected.sum(1, keepdim=True)).expand_as(legal)[expected])
    draws = {int(action) for _ in range(20) for action in made.predict(observations, deterministic=True)[0]}
    assert len(draws) > 20


def test_a_temperature_makes_samples_more_like_the_most_probable_tokens():
    def agreement(**options):
        played, greedy = completions(small("zero_shot", **options)), completions(small("greedy"))
        return sum(a == b for a, b in zip(played, greedy, strict=True))

    assert agreement() < 6 == agreement(temperature=1e-6) == agreement(top_k=1) == agreement(top_p=1e-6)
    chosen = small("zero_shot", temperature=0.5, policy_kwargs={"temperature": 2.0, "top_p": 0.9}).policy.sampling
    assert (chosen.temperature, chosen.top_p) == (0.5, 0.9)
    assert completions(small("best_of_n", n=3, top_k=1)) == completions(small("greedy"))


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_the_best_of_more_samples_is_never_worse(kind):
    evaluations = [evaluate(small("best_of_n", kind, n=n), ID, 8, env_kwargs=SMALL) for n in (1, 2, 5)]
    plain = evaluate(small("zero_shot", kind), ID, 8, env_kwargs=SMALL)
    assert [s.completion for s in evaluations[0].samples] == [s.completion for s in plain.samples]
    assert (np.diff([one.rewards for one in evaluations], axis=0) >= 0).all()
    assert evaluations[2].reward > evaluations[0].reward
    assert [s.prompt_id for s in evaluations[2].samples] == list(range(8))
    # The metrics and parts are those of the completions that were kept.
    assert evaluations[2].components["chrf"] == pytest.approx(evaluations[2].reward, abs=1e-5)


def test_best_of_takes_any_policy_and_one_completion_where_all_are_alike():
    zero_shot = small("zero_shot")
    assert completions(zero_shot, best_of=3) == completions(small("best_of_n", n=3))
    assert completions(small("best_of_n", n=3), deterministic=True) == completions(zero_shot, deterministic=True)
    assert completions(small("best_of_n", n=3), best_of=1) == completions(zero_shot)


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_a_number_of_samples_that_makes_no_sense_is_refused(n):
    with pytest.raises(ConfigError, match="expected an integer of at least 1"):
        small("best_of_n", n=n)
    if not isinstance(n, bool) and n < 1:
        with pytest.raises(ConfigError, match="expected at least 1 completion"):
            completions(small("zero_shot"), best_of=n)


def test_what_wraps_a_policy_is_played_itself():
    inner = small("zero_shot").policy

    class Reversed:
        """Takes the most probable token, whatever is asked for."""

        policy = inner

        def predict(self, obs, deterministic=False):
            return inner.predict(obs, deterministic=True)

    assert completions(Reversed()) == completions(inner, deterministic=True) != completions(inner)
    assert completions(Reversed(), seed=1) == completions(Reversed())


@pytest.mark.parametrize("name", BASELINES)
def test_a_saved_baseline_is_the_same_again(name, tmp_path):
    options = {"n": 3} if name == "best_of_n" else {}
    made = make(name, ID, n_envs=2, seed=0, **options)
    made.save(tmp_path / "checkpoint.zip")
    again = load(name, tmp_path / "checkpoint.zip")
    rewards = [evaluate(one, ID, 3).rewards.tolist() for one in (made, again)]
    assert rewards[0] == rewards[1]


def test_a_run_of_a_baseline_writes_its_folder(tmp_path):
    config = TrainConfig(ID, "best_of_n", timesteps=500, eval_prompts=3, n_envs=2, algo_kwargs={"n": 2})
    outcome = train(config, tmp_path / "run", progress=False)
    assert outcome.timesteps == 0
    assert len(outcome.evaluations) == 1
    assert {"config.json", "metrics.jsonl", "policy", "samples.md", "learning_curve.png"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
