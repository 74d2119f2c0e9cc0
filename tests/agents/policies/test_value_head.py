"""The value head: in units of the returns, from the best constant on, whatever the scale of hidden states."""

import numpy as np
import pytest
import torch

from tests.agents.tiny_models import SMALL, tiny_model
from textgym_agents import make
from textgym_agents.policies.value_head import LEAST_STD, ValueHead


def test_it_begins_as_the_mean_of_the_first_returns_and_then_follows():
    head = ValueHead(8)
    assert not head.begun
    head.follow(np.array([1.0, 3.0]), np.zeros(1))
    assert head.begun
    assert head(torch.randn(5, 8, generator=torch.Generator().manual_seed(0))).flatten().tolist() == [2.0] * 5
    head.follow(np.array([12.0, 12.0]), np.zeros(1))
    assert head.mean.item() == pytest.approx(0.9 * 2 + 0.1 * 12)
    assert head.std.item() == pytest.approx(0.9**0.5)  # of the variances 1 and 0


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_hidden_states_of_any_scale_give_the_same_values(scale):
    head = ValueHead(64)
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(1))
    hidden = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(hidden * scale), head(hidden), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("spread", [0.001, 1.0, 50.0])
def test_one_step_of_adam_moves_values_by_a_small_share_of_the_returns_spread(spread):
    """A bare linear layer on states of norm 22 moved by the whole spread of the returns in one step."""
    head = ValueHead(128)
    returns = spread * torch.randn(256, generator=torch.Generator().manual_seed(2))
    hidden = 2 * torch.randn(256, 128, generator=torch.Generator().manual_seed(0))
    head.follow(returns.numpy(), np.zeros(1))
    before = head(hidden).detach()
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-4)
    torch.nn.functional.mse_loss(head(hidden).flatten(), returns).backward()
    optimizer.step()
    moved = (head(hidden) - before).abs().max()
    assert 0 < moved < 0.35 * returns.std(correction=0)  # at most 3e-4 * (100 * 128**0.5 + 1) standard deviations


def test_returns_that_are_all_the_same_or_not_finite_do_no_harm():
    head = ValueHead(4)
    head.follow(np.array([0.5, 0.5]), np.zeros(1))
    assert head.std.item() == pytest.approx(LEAST_STD)
    assert head.follow(np.array([np.nan, 1.0]), np.ones(1)).tolist() == [1.0]
    head.follow(np.array([]), np.zeros(1))
    assert head.mean.item() == 0.5
    assert head.rollouts.item() == 1


def test_mean_and_spread_are_part_of_its_state():
    one, other = ValueHead(4), ValueHead(4)
    one.follow(np.array([1.0, 5.0]), np.zeros(1))
    other.load_state_dict(one.state_dict())
    assert other(torch.ones(1, 4)).item() == 3.0
    assert other.begun


def test_values_that_it_gave_before_move_with_it():
    head = ValueHead(16)
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(1))
    hidden = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    for returns in ([3.0, 7.0], [4.0, 4.5, 9.0]):
        before = head(hidden).detach().numpy()
        after = head.follow(np.array(returns), before)
        np.testing.assert_allclose(after, head(hidden).detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_in_a_rollout_values_begin_as_the_mean_of_its_returns_and_stay_those_of_the_head(algorithm):
    """Also those of completions that the rollout's end cuts and the next rollout learns from."""
    options = {"n_steps": 10, "batch_size": 16} if algorithm == "ppo" else {"prompts_per_rollout": 8}
    made = make(
        algorithm, "textgym/Copy-v0", tiny_model("gpt2"), n_envs=4, seed=0, env_kwargs=SMALL, kl_coef=0.1, **options
    )
    buffer, head = made.rollout_buffer, made.policy.value_net
    for rollout in range(3):
        made.collect_rollouts(made.env, made._setup_learn(100, reset_num_timesteps=False)[1], buffer, made.n_steps)
        assert head.rollouts == rollout + 1
        if rollout == 0:
            returns = np.concatenate([buffer.rewards[s.start : s.stop, 0][::-1].cumsum() for s in buffer.segments()])
            np.testing.assert_allclose(buffer.values, returns.mean(), rtol=1e-5)
            torch.nn.init.normal_(head.weight, std=0.01, generator=torch.Generator().manual_seed(1))
        else:
            fresh = [s for s in buffer.segments() if not s.carried]
            batch = buffer._batch(fresh)
            with torch.no_grad():
                values = made.policy.evaluate_actions(batch, buffer._long(buffer.actions[buffer._index(fresh)]))[0]
            np.testing.assert_allclose(buffer.values[buffer._index(fresh)], values.numpy(), atol=1e-4)
