"""Learning is proved: PPO and A2C raise a held-out reward far above what the untrained model gets."""

import pytest

from textgym.tokenizer import BUILTIN_SEQ2SEQ
from textgym_agents import make
from textgym_agents.evaluation import evaluate

ID = "textgym/SentimentContinuation-v0"


def gain(algorithm, task, timesteps, seed, prompts=100, **options):
    made = make(
        algorithm, task, seed=seed, learning_rate=2e-3, **options
    )  # larger than the default: simple tasks, few tokens
    before = evaluate(made, task, prompts, seed=seed).reward
    made.learn(timesteps)
    return before, evaluate(made, task, prompts, seed=seed).reward


@pytest.mark.learning
@pytest.mark.slow  # both learn a bandit in the quick tests, and PPO's proof runs with the README
@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
def test_a_minute_of_training_turns_reviews_positive(algorithm):
    """The built-in model writes happy and unhappy reviews alike: 0.53. 2,560 tokens bring 0.83 (A2C) and 0.86 (PPO)."""
    before, after = gain(algorithm, ID, 2560, seed=0)
    assert 0.35 < before < 0.6
    assert after > before + 0.15


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_encoder_decoder_model_learns_as_well(seed):
    """PPO on ``textgym/small-seq2seq``: from 0.48, 0.55, 0.54 to 0.90, 0.91, 0.90 when the model was made."""
    before, after = gain("ppo", ID, 10_240, seed, model=BUILTIN_SEQ2SEQ)
    assert 0.35 < before < 0.6
    assert after > before + 0.2


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ppo_learns_to_copy(seed):
    """With the demo's settings: from 0.61, 0.63, 0.63 to 0.70, 0.73, 0.73 in the run that the README shows."""
    options = {"n_envs": 64, "n_steps": 16, "kl_coef": 0}
    before, after = gain("ppo", "textgym/Copy-v0", 65_000, seed, prompts=200, **options)
    assert 0.5 < before < 0.7
    assert after > before + 0.05
