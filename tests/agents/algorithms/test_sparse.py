"""A sparse task: one completion of the 40 that there are is worth 1 and all others nothing, after any prompt.

A policy that samples evenly meets it once in 64 completions. The learning rate is that of a model of 16 units with
random weights, and the temperature moves as fast as it does by default. All else is the rows' defaults, but for what is
listed here and the KL penalty, which would keep the model near its start.

ILQL isn't among them: 12,000 tokens of an even policy hold some sixty rewarded completions, and from these alone it
finds the one in one seed of three. Nor is ARS.
"""

import numpy as np
import pytest
import torch

from tests.agents.four_tokens import END, HORIZON, make_env, make_model
from textgym_agents import ALGORITHMS, make

ONE = (1, 2, 3)
TOKENS = 12_000
# Arguments of ``make`` beside the learning rate and the KL penalty. An algorithm is tested when it has an entry.
ROWS = {
    "ppo": {},
    "a2c": {},
    "trpo": {},
    "maskable_ppo": {},
    "nlpo": {},
    "reinforce": {},
    "scst": {"learning_rate": 5e-3, "policy_kwargs": {"temperature_lr": 2.0}},
    "rloo": {},
    "grpo": {},
    "vineppo": {},
    "dqn": {"num_candidates": 4, "gradient_steps": 8},
    "qrdqn": {"num_candidates": 4, "gradient_steps": 8},
    "q_learning": {},
    "sarsa": {},
}


def sparse(samples):
    return [float(sample.token_ids == ONE) for sample in samples]


def even_model():
    model = make_model()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(0.25)
    return model


def greedy_completion(policy):
    """After the prompt "a b"."""
    tokens = []
    with torch.no_grad():
        while len(tokens) < HORIZON and tokens[-1:] != [END]:
            tokens.append(int(policy.lm(input_ids=torch.tensor([[1, 2, *tokens]])).logits[0, -1].argmax()))
    return tuple(tokens)


def chance(policy):
    """Of the rewarded completion, after the prompt "a b"."""
    with torch.no_grad():
        logits = policy.lm(input_ids=torch.tensor([[1, 2, *ONE[:-1]]])).logits[0, 1:]
    return float(logits.log_softmax(-1)[np.arange(HORIZON), list(ONE)].sum().exp())


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ROWS)
def test_the_one_completion_becomes_the_greedy_one(name, seed):
    kl_coef = {} if ALGORITHMS[name].kl_coef is None else {"kl_coef": 0.0}
    options = {"learning_rate": 2e-3, "policy_kwargs": {"temperature_lr": 5.0}, **kl_coef, **ROWS[name]}
    made = make(name, make_env(32, reward=sparse), even_model(), seed=seed, **options)
    assert chance(made.policy) < 0.03
    made.learn(TOKENS)
    print(f"{name}, seed {seed}: {chance(made.policy):.3f} of samples, greedy {greedy_completion(made.policy)}")
    assert greedy_completion(made.policy) == ONE
