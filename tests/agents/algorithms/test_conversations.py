"""Training on conversations is training on the policy's tokens alone: against plain passes over each episode."""

import pytest
import torch

from tests.agents.dialogues import (
    advantages_of,
    assert_same_gradient,
    gradients,
    made,
    of_loss,
    plain_pass,
    rewards_of,
    turns_of,
)
from tests.agents.tiny_models import tiny_model
from textgym_agents import make

ROWS, STEPS = 4, 12
KINDS = pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])


def built(name, kind="gpt2", rows=ROWS, env=None, policy=None, **options):
    model = tiny_model(kind)
    if kind == "t5":  # whose random logits are so sharp that it never ends a turn
        model.lm_head.weight.data.mul_(0.2)
    env = made(rows, model.config.is_encoder_decoder, **(env or {}))
    algorithm = make(
        name, env, model, seed=3, max_grad_norm=1e9, **{"kl_coef": 0, **options}, policy_kwargs=policy or {}
    )
    torch.nn.init.normal_(algorithm.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return algorithm


def actor_critic(name, kind):
    """One that learns from two rollouts, each as a whole, with advantages as they are."""
    more = {"batch_size": ROWS * STEPS, "n_epochs": 1} if name != "a2c" else {}
    how = {"gamma": 0.95, "gae_lambda": 0.9, "ent_coef": 0.01, "vf_coef": 0.5, "normalize_advantage": False}
    return built(name, kind, n_steps=STEPS, **how, **more)


@KINDS
@pytest.mark.parametrize("name", ["ppo", "a2c", "maskable_ppo"])
def test_the_gradient_of_actor_critics_is_that_of_plain_passes(name, kind):
    """Of the second rollout, whose first conversations began in the one before."""
    algorithm = actor_critic(name, kind)
    taken = gradients(algorithm, 2 * ROWS * STEPS)[-1]
    policy, env = algorithm.policy, algorithm.env
    infos = [info for step, info in env.ended if STEPS < step <= 2 * STEPS]
    assert turns_of(infos).max() > 1
    assert any(len(rewards_of(info)) > step - STEPS for step, info in env.ended if step > STEPS)  # began before
    terms = []
    for info in infos:
        log_probs, entropies, values = plain_pass(policy.lm, info, policy.num_actions, policy.value_net)
        rewards = rewards_of(info)
        assert len(rewards) == info["num_tokens"] == len(log_probs)
        advantages = advantages_of(rewards, values.detach(), 0.95, 0.9)
        error = (values - advantages - values.detach()) ** 2
        terms.append(-advantages * log_probs + 0.5 * error - 0.01 * entropies)
    assert_same_gradient(taken, of_loss(torch.cat(terms).mean(), policy))


@KINDS
def test_the_ratio_is_one_and_the_kl_zero_at_the_first_minibatch(kind):
    algorithm = built("ppo", kind, n_steps=STEPS, batch_size=16, n_epochs=1)
    algorithm.policy.optimizer.step = lambda *args, **kwargs: None
    seen = []
    evaluate = algorithm.policy.evaluate_actions

    def watched(obs, actions):
        values, log_probs, entropies = evaluate(obs, actions)
        seen.append((obs, log_probs.detach()))
        return values, log_probs, entropies

    algorithm.policy.evaluate_actions = watched
    algorithm.learn(3 * ROWS * STEPS)
    assert abs(algorithm.logger.name_to_value["train/approx_kl"]) < 1e-6
    assert algorithm.logger.name_to_value["train/clip_fraction"] == 0
    assert any(sequence.inserted for obs, _ in seen for sequence in obs.sequences)
    buffer = algorithm.rollout_buffer
    for batch in buffer.get(16):
        with torch.no_grad():
            values, log_probs, _ = evaluate(batch.observations, batch.actions)
        torch.testing.assert_close(
            (log_probs - batch.old_log_prob).exp(), torch.ones_like(log_probs), atol=1e-4, rtol=0
        )
        torch.testing.assert_close(values.flatten(), batch.old_values, atol=1e-4, rtol=1e-4)


@KINDS
@pytest.mark.parametrize("name", ["ppo", "rloo"])
def test_a_reply_has_exactly_no_gradient_on_its_own_log_probability(name, kind):
    """Of the last hidden states, those from which a token of the partner's would be predicted get zeros."""
    sizes = {"n_steps": STEPS, "n_epochs": 1} if name == "ppo" else {"prompts_per_rollout": 2, "group_size": 4}
    algorithm = built(name, kind, ent_coef=0.01, **sizes)
    policy, seen = algorithm.policy, []
    block_hidden = policy.form.block_hidden

    def watched(lm, block):
        hidden = block_hidden(lm, block)
        if hidden.requires_grad:
            hidden.retain_grad()
            seen.append((block, hidden))
        return hidden

    policy.form.block_hidden = watched
    gradients(algorithm, ROWS * STEPS)
    replies = 0
    for block, hidden in seen:
        predicts = torch.zeros(hidden.shape[:2], dtype=torch.bool)
        predicts[block.rows, block.columns] = True
        assert (hidden.grad[~predicts] == 0).all()
        assert (hidden.grad[predicts].abs().amax(-1) > 0).float().mean() > 0.9
        replies += int((~predicts).sum())
    assert seen
    infos = [info for _, info in algorithm.env.ended]
    assert replies > 5 * turns_of(infos).sum() > 0  # those of prompts and padding too


def test_what_the_partner_says_is_read():
    """Another reply changes the log-probabilities of the turns after it, and of none before."""
    algorithm = built("ppo", n_steps=3 * STEPS)
    algorithm.policy.optimizer.step = lambda *args, **kwargs: None
    algorithm.learn(ROWS * 3 * STEPS)
    batch = algorithm.rollout_buffer.peek(10**6)[0]
    chosen = max(batch.sequences, key=lambda sequence: len(sequence.inserted))
    first = chosen.inserted[0]
    other = (first._replace(tokens=first.tokens[::-1].copy()), *chosen.inserted[1:])
    results = []
    for sequence in (chosen, chosen._replace(inserted=other)):
        alone = type(batch)([sequence], torch.zeros(len(sequence.actions), dtype=torch.long))
        with torch.no_grad():
            results.append(algorithm.policy.evaluate_actions(alone, torch.as_tensor(sequence.actions).long())[1])
    same = torch.isclose(*results, atol=1e-6)
    assert same[: first.after].all()
    assert not same[first.after :].all()


def _groups_of(infos, size):
    """The episodes of each prompt, in their order."""
    ids = [info["prompt_id"] for info in infos]
    assert all(ids.count(one) == size for one in ids)
    return [[info for info in infos if info["prompt_id"] == one] for one in sorted(set(ids))]
