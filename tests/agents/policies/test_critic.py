"""Critics: on the policy's hidden states, moved by the value loss or not, on a model of their own, and warmed up."""

import pytest
import torch

from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError
from textgym_agents import make

ID = "textgym/Copy-v0"


def build(critic="shared", algorithm="ppo", kind="gpt2", warmup=0, **options):
    if algorithm != "reinforce":
        options = {"n_steps": 16, "batch_size": 32, **options}
    env_kwargs = {**SMALL, **({"form": "seq2seq", "decoder_start_token_id": 0} if kind == "t5" else {})}
    return make(
        algorithm, ID, tiny_model(kind), n_envs=4, seed=0, env_kwargs=env_kwargs, learning_rate=0.01,
        policy_kwargs={"critic": critic, "critic_warmup": warmup}, **options,
    )  # fmt: skip


def gradients(made, part):
    """Whether a loss on the values, or on the log-probabilities, reaches the model, the critic's model and the head."""
    made.collect_rollouts(made.env, made._setup_learn(64)[1], made.rollout_buffer, made.n_steps)
    batch = next(made.rollout_buffer.get(None))
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    values, log_prob, _ = made.policy.evaluate_actions(batch.observations, batch.actions)
    made.policy.zero_grad()
    {"values": values, "log_prob": log_prob}[part].sum().backward()
    parts = made.policy.lm, getattr(made.policy, "critic_lm", None), made.policy.value_net
    return tuple(
        p is not None and any(w.grad is not None and w.grad.abs().max() > 0 for w in p.parameters()) for p in parts
    )


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
@pytest.mark.parametrize(
    ("critic", "by_values"),
    [("shared", (True, False, True)), ("detached", (False, False, True)), ("own", (False, True, True))],
)
def test_what_the_losses_move(kind, critic, by_values):
    assert gradients(build(critic, kind=kind), "values") == by_values
    assert gradients(build(critic, kind=kind), "log_prob") == (True, False, False)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_a_critic_of_its_own_gives_the_same_values_in_rollouts_and_updates(kind):
    made = build("own", kind=kind)
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    made.learn(64)  # after which the two models differ
    own, policy = made.policy.critic_lm.state_dict(), made.policy.lm.state_dict()
    assert not all(torch.equal(own[name], policy[name]) for name in own)
    made.collect_rollouts(made.env, made._setup_learn(64)[1], made.rollout_buffer, made.n_steps)
    for batch in made.rollout_buffer.get(None):
        values, _, _ = made.policy.evaluate_actions(batch.observations, batch.actions)
        torch.testing.assert_close(values.flatten(), batch.old_values, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("critic", ["shared", "own"])
def test_the_critic_alone_learns_while_it_warms_up(critic):
    made = build(critic, "reinforce", warmup=2, baseline="value", prompts_per_rollout=8)
    before = {name: weight.clone() for name, weight in made.policy.lm.state_dict().items()}
    head = made.policy.value_net.weight.detach().clone()
    for rollout in range(1, 4):
        made.learn(1, reset_num_timesteps=False)
        same = all(torch.equal(before[name], weight) for name, weight in made.policy.lm.state_dict().items())
        assert same == (rollout <= 2)
        assert not torch.equal(head, made.policy.value_net.weight)


def test_a_saved_policy_leaves_a_value_head_out_that_reads_another_model(tmp_path):
    build("own").policy.save_pretrained(tmp_path / "own")
    assert not (tmp_path / "own" / "value_head.safetensors").exists()
    build("detached").policy.save_pretrained(tmp_path / "detached")
    assert (tmp_path / "detached" / "value_head.safetensors").exists()


def test_critics_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match=r"critic is 'shred'\. Did you mean 'shared'"):
        build("shred")
    with pytest.raises(ConfigError, match="critic_warmup is -1"):
        build(warmup=-1)
    with pytest.raises(ConfigError, match="Use critic='detached' with lora"):
        build("own", lora=2)
    with pytest.raises(ConfigError, match="TRPOPolicy has a critic of its own kind"):
        build("own", "trpo")
