"""What action values become on the language of four tokens, through ``make`` and ``learn``: Q*, or Q of a policy.

All completions can be listed, so the exact values are sums. Behavior is uniform, and there is one prompt. Learning
rate and gradient steps are those of a model of 16 units with random weights; targets, DQN's beta and all else that
isn't named here are the rows' defaults.
"""

import numpy as np
import pytest
import torch

from tests.agents import four_tokens
from tests.agents.algorithms.test_q_learning import PREFIXES, distance, optimal, under
from tests.agents.four_tokens import make_env, make_model
from textgym_agents import make

UNIFORM = {prefix: np.full(4, 0.25) for prefix in PREFIXES}
DQN = {
    "num_candidates": 4,
    "exploration_initial_eps": 1.0,
    "exploration_final_eps": 1.0,
    "learning_rate": 3e-3,
    "batch_size": 128,
    "train_freq": 4,
    "gradient_steps": 4,
    "policy_kwargs": {"exploration": "epsilon_greedy"},
}
# beta is in units of reward, whose deviation is 1 here and a fifth of that in the tasks.
SOFT = {"beta": 0.3, "kl_coef": 0.0, "learning_rate": 3e-3, "batch_size": 64}
EVEN = {"exploration": "boltzmann", "boltzmann_temperature": 1e4}


def learned(name, monkeypatch, **options):
    """{prefix: (4,) Q} and {prefix: (4,) probabilities} after 20,000 tokens."""
    monkeypatch.setattr(four_tokens, "PROMPTS", four_tokens.PROMPTS[:1])
    made = make(name, make_env(32), make_model(), seed=0, **options)
    made.learn(20_000)
    q, policy = {}, {}
    with torch.no_grad():
        for prefix in PREFIXES:
            passed = made.policy.lm(input_ids=torch.tensor([[1, 2, *prefix]]), output_hidden_states=True)
            value = made.policy.value_net(passed.hidden_states[-1][:, -1]).item()
            log_pi = passed.logits[0, -1].log_softmax(-1)
            policy[prefix] = log_pi.exp().double().numpy()
            if name in ("dqn", "qrdqn"):
                initial = make_model()(input_ids=torch.tensor([[1, 2, *prefix]])).logits[0, -1].log_softmax(-1)
                advantages = made.policy.beta * made.policy.value_net.std * (log_pi - initial)
            else:
                advantages = made.beta * log_pi
            q[prefix] = (value + advantages).tolist()
    return q, policy


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize(
    ("name", "options", "most"),
    [("dqn", DQN, 0.2), ("qrdqn", DQN, 0.2), ("q_learning", {**SOFT, **EVEN, "n_epochs": 4}, 0.25)],
)
def test_off_policy_values_become_the_optimal_ones(name, options, most, monkeypatch):
    q, _ = learned(name, monkeypatch, **options)
    best, uniform = optimal(), under(UNIFORM)
    print(f"{name}: rms {distance(q, best):.3f} to Q*, {distance(q, uniform):.3f} to Q of the behavior")
    assert distance(best, uniform) > 0.5
    assert distance(q, best) < most
    assert distance(q, uniform) > distance(q, best) + 0.1


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize(
    ("name", "options", "most"),
    [
        ("sarsa", {**SOFT, **EVEN}, 0.35),
        ("dqn", {**DQN, "replay_buffer_kwargs": {"targets": "monte_carlo"}}, 0.2),
    ],
)
def test_on_policy_values_become_those_of_the_behavior(name, options, most, monkeypatch):
    q, _ = learned(name, monkeypatch, **options)
    best, uniform = optimal(), under(UNIFORM)
    print(f"{name}: rms {distance(q, best):.3f} to Q*, {distance(q, uniform):.3f} to Q of the behavior")
    assert distance(q, uniform) < most
    assert distance(q, best) > distance(q, uniform) + 0.1


@pytest.mark.slow
@pytest.mark.learning
def test_sarsa_learns_the_values_of_its_own_policy(monkeypatch):
    """Where that policy goes; weighted by how often it does."""
    q, policy = learned("sarsa", monkeypatch, **SOFT)
    exact, squares, chances = under(policy), 0.0, {(): 1.0}
    for prefix in PREFIXES:
        for token in range(4):
            chance = chances[prefix] * policy[prefix][token]
            squares += chance * (q[prefix][token] - exact[prefix][token]) ** 2
            chances[*prefix, token] = chance
    rms = (squares / sum(chances[prefix] for prefix in PREFIXES)) ** 0.5
    print(f"sarsa: rms {rms:.3f} to Q of its policy, which is worth {np.dot(policy[()], exact[()]):.2f} of 1.84")
    assert rms < 0.2
    assert np.dot(policy[()], exact[()]) > 1.4
