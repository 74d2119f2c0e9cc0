"""The optimizer that learns the temperature: what it moves, from where, and that a run with it goes on bit for bit."""

import copy
import math

import pytest
import torch

from tests.agents.tiny_models import SMALL, tiny_model
from textgym_agents import make, models
from textgym_agents.policies.optimizer import TemperatureAdamW

KINDS = ["gpt2", "llama", "t5", "bart"]


def logits(lm, kind):
    ids = torch.arange(6)[None]
    return lm(input_ids=ids, decoder_input_ids=ids).logits if kind in ("t5", "bart") else lm(ids).logits


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_that_scale_all_logits_are_found_and_left_as_they_were(kind):
    lm = tiny_model(kind)
    before = logits(lm, kind)
    scaled = models.final_norm(lm)
    assert torch.equal(logits(lm, kind), before)
    assert len(scaled) == {"gpt2": 2, "llama": 1, "t5": 1, "bart": 2}[kind]
    if scaled:
        with torch.no_grad():
            for weight in scaled:
                weight.mul_(3)
        torch.testing.assert_close(logits(lm, kind), 3 * before, rtol=1e-4, atol=1e-5)


def build(**policy_kwargs):
    env_kwargs = {**SMALL, "tokenizer": "textgym/small"}
    return make("rloo", "textgym/Copy-v0", tiny_model("gpt2"), n_envs=4, seed=0, env_kwargs=env_kwargs,
                prompts_per_rollout=2, policy_kwargs=policy_kwargs)  # fmt: skip


def test_the_slope_is_the_gradient_by_the_logarithm_of_the_scale():
    policy = build().policy
    scaled, c = models.final_norm(policy.lm), 1e-3
    losses = []
    for factor in (math.exp(-c), 1.0, math.exp(c)):
        kept = [weight.detach().clone() for weight in scaled]
        with torch.no_grad():
            for weight in scaled:
                weight.mul_(factor)
        losses.append(logits(policy.lm, "gpt2").log_softmax(-1)[0, :, 7].sum())
        if factor == 1:
            losses[-1].backward()
            slope = sum((weight * weight.grad).sum() for weight in scaled)
        with torch.no_grad():
            for weight, value in zip(scaled, kept, strict=True):
                weight.copy_(value)
    assert slope.item() == pytest.approx((losses[2] - losses[0]).item() / (2 * c), rel=1e-2)


def test_the_logits_move_along_their_common_scale_and_adamws_step_stays_as_it_is():
    ends = []
    for kind in (torch.optim.AdamW, TemperatureAdamW):
        weight, other = (torch.nn.Parameter(torch.tensor([1.0, 2.0, -3.0])) for _ in range(2))
        own = {"scaled": [weight], "temperature_lr": 20} if kind is TemperatureAdamW else {}
        optimizer = kind([weight, other], lr=0.001, weight_decay=0.0, **own)
        (weight @ torch.tensor([-1.0, 0.5, 2.0]) + other.sum()).backward()  # a slope of -6: more is better
        optimizer.step()
        ends.append((weight.detach(), other.detach()))
    (plain, plain_other), (moved, moved_other) = ends
    torch.testing.assert_close(moved, plain * math.exp(20 * 0.001))
    assert torch.equal(moved_other, plain_other)


def test_a_policy_takes_it_where_it_can():
    assert isinstance(build().policy.optimizer, TemperatureAdamW)
    assert type(build(temperature_lr=0).policy.optimizer) is torch.optim.AdamW
    assert type(build(lora=2).policy.optimizer) is torch.optim.AdamW  # the normalization isn't trained
    assert type(build(optimizer_class=torch.optim.SGD).policy.optimizer) is torch.optim.SGD


def test_its_moments_are_stored_with_the_optimizer():
    one, other = build(), build()
    one.learn(20)
    other.policy.load_state_dict(one.policy.state_dict())
    other.policy.optimizer.load_state_dict(copy.deepcopy(one.policy.optimizer.state_dict()))
    for made in (one, other):
        for weight in made.policy.lm.parameters():
            weight.grad = torch.ones_like(weight)
        made.policy.optimizer.step()
    for ours, theirs in zip(one.policy.lm.parameters(), other.policy.lm.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_large_learning_rate_changes_the_scale_little_by_little():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = TemperatureAdamW([weight], lr=0.01, weight_decay=0.0, scaled=[weight], temperature_lr=100)
    weight.grad = -torch.ones(2)
    optimizer.step()
    assert 1.05 < weight.max().item() < 1.07  # 5 % of the scale, and AdamW's own 0.01
