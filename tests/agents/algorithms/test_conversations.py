"""Training on conversations is training on the policy's tokens alone: against plain passes over each episode."""

import numpy as np
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
from textgym.tokenizer import BUILTIN_TINY
from textgym_agents import make

ROWS, STEPS = 4, 12
KINDS = pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])


def built(name, kind="gpt2", rows=ROWS, env=None, policy=None, **options):
    model = tiny_model(kind)
    if kind == "t5":  # whose random logits are so sharp that it never ends a turn
        model.lm_head.weight.data.mul_(0.2)
    env = made(rows, model.config.is_encoder_decoder, **(env or {}))
    options = {"kl_coef": 0, **({} if name == "trpo" else {"max_grad_norm": 1e9}), **options}
    algorithm = make(name, env, model, seed=3, policy_kwargs=policy or {}, **options)
    torch.nn.init.normal_(algorithm.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return algorithm


def actor_critic(name, kind):
    """One that learns from two rollouts, each as a whole, with advantages as they are."""
    more = {"batch_size": ROWS * STEPS, "n_epochs": 1} if name != "a2c" else {}
    how = {"gamma": 0.95, "gae_lambda": 0.9, "ent_coef": 0.01, "vf_coef": 0.5, "normalize_advantage": False}
    return built(name, kind, n_steps=STEPS, **how, **more)


@pytest.mark.parametrize(
    ("name", "kind"), [("ppo", "gpt2"), ("ppo", "llama"), ("ppo", "t5"), ("a2c", "gpt2"), ("maskable_ppo", "llama")]
)
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


@pytest.mark.parametrize(("name", "kind"), [("ppo", "gpt2"), ("ppo", "t5"), ("rloo", "llama")])
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


CREDIT = pytest.mark.parametrize("credit", ["episode", "to_go"])


@CREDIT
@pytest.mark.parametrize(("name", "kind"), [("rloo", "gpt2"), ("rloo", "t5"), ("grpo", "llama"), ("reinforce", "gpt2")])
def test_the_gradient_of_groups_is_that_of_plain_passes(name, kind, credit):
    """Of three prompts, four completions each; baselines are means of whole returns."""
    size, env = 4, {"sampling": "sequential"}
    algorithm = built(
        name, kind, env=env, prompts_per_rollout=3, group_size=size, batch_size=None, ent_coef=0.01, credit=credit,
        **({"n_epochs": 1} if name == "grpo" else {}),
    )  # fmt: skip
    taken = gradients(algorithm, 1)[-1]
    policy, infos = algorithm.policy, [info for _, info in algorithm.env.ended]
    assert turns_of(infos).max() > 1
    ids = [info["prompt_id"] for info in infos]
    assert all(ids.count(one) == size for one in ids)  # no prompt was drawn twice
    losses, lengths = [], []
    for info in infos:
        log_probs, entropies, _ = plain_pass(policy.lm, info, policy.num_actions)
        rewards = rewards_of(info)
        group = [sum(rewards_of(one)) for one in infos if one["prompt_id"] == info["prompt_id"]]
        others = infos if name == "reinforce" else [one for one in infos if one["prompt_id"] == info["prompt_id"]]
        baseline = np.mean([sum(rewards_of(one)) for one in others if one is not info])
        to_go = np.cumsum(rewards[::-1])[::-1] if credit == "to_go" else np.full(len(rewards), sum(rewards))
        advantages = to_go - baseline
        if name == "grpo":
            advantages = (to_go - np.mean(group)) / (np.std(group, ddof=1) + 1e-4)
        losses.append(-torch.as_tensor(advantages.copy()).float() * log_probs - 0.01 * entropies)
        lengths.append(len(rewards))
    # GRPO's is the mean over an episode, then over episodes.
    loss = torch.stack([one.mean() for one in losses]).mean() if name == "grpo" else torch.cat(losses).mean()
    assert len(set(lengths)) > 1
    assert_same_gradient(taken, of_loss(loss, policy))


def test_completions_of_a_prompt_meet_the_same_partner_unless_each_is_to_have_its_own():
    for same in (True, False):
        algorithm = built("rloo", prompts_per_rollout=3, group_size=4, same_partner=same)
        gradients(algorithm, 1)
        seeds = algorithm.partner_seeds.reshape(3, 4)
        assert [len(set(group)) for group in seeds.tolist()] == [1 if same else 4] * 3
        again = built("rloo", prompts_per_rollout=3, group_size=4, same_partner=same)
        gradients(again, 1)
        assert np.array_equal(again.partner_seeds, algorithm.partner_seeds)


def test_the_greedy_completion_meets_the_partner_of_those_that_it_is_compared_with():
    algorithm = built("scst", prompts_per_rollout=4, group_size=2)
    asked, start = [], algorithm.env.start
    algorithm.env.start = lambda rows, ids, tokens=None, seeds=None: (
        asked.extend(zip(ids.tolist(), seeds.tolist(), strict=True)) or start(rows, ids, tokens, seeds)
    )
    gradients(algorithm, 1)
    assert len(asked) == 12
    assert asked[8:] == asked[:8:2]


def test_the_kl_is_of_the_policys_tokens():
    """Against a reference model that a plain pass reads."""
    algorithm = built("ppo", n_steps=3 * STEPS, kl_coef=0.5)
    with torch.no_grad():
        for parameter in algorithm.policy.lm.parameters():
            parameter.add_(0.01)
    algorithm.policy.optimizer.step = lambda *args, **kwargs: None
    algorithm.learn(3 * STEPS * ROWS)
    buffer, policy = algorithm.rollout_buffer, algorithm.policy
    expected = {}
    with torch.no_grad():
        for _, info in algorithm.env.ended:
            ours, theirs = (plain_pass(lm, info, policy.num_actions)[0] for lm in (policy.lm, policy.reference.copy))
            own = [token for turn in info["turns"] if turn.speaker == "policy" for token in turn.token_ids]
            key = (int(info["prompt_id"]), tuple(own))
            expected[key] = torch.tensor(rewards_of(info)) - 0.5 * (ours - theirs), (ours - theirs)
    assert len(expected) == len(buffer.segments()) > 3
    found = [tuple(buffer.actions[s.start : s.stop, 0].tolist()) for s in buffer.segments()]
    by_tokens = {own: values for (_, own), values in expected.items()}
    for segment, own in zip(buffer.segments(), found, strict=True):
        rewards = torch.as_tensor(buffer.rewards[segment.start : segment.stop, 0])
        torch.testing.assert_close(rewards, by_tokens[own][0].float(), atol=1e-4, rtol=1e-3)
    total = sum(float(log_ratio.sum()) for _, log_ratio in expected.values())
    assert abs(total) > 0.01
    assert buffer.stats["kl"] == pytest.approx(total / len(found), rel=1e-3)


def test_trpos_distribution_and_its_derivatives_are_those_of_plain_passes():
    algorithm = built("trpo", n_steps=3 * STEPS, batch_size=3 * STEPS * ROWS)
    buffer, policy = algorithm.rollout_buffer, algorithm.policy
    seen = []
    get_distribution = policy.get_distribution

    def watched(obs):
        distribution = get_distribution(obs)
        if torch.is_grad_enabled() and not seen:
            actions = torch.as_tensor(np.concatenate([s.actions for s in obs.sequences])[:: obs.every]).long()
            log_probs = distribution.log_prob(actions)
            flat = distribution.distribution.derivatives.flat
            seen.append((log_probs.detach(), torch.autograd.grad(log_probs.sum(), flat)[0], obs))
        return distribution

    policy.get_distribution = watched
    algorithm.learn(3 * STEPS * ROWS)
    (log_probs, gradient, obs), infos = seen[0], [info for _, info in algorithm.env.ended]
    assert obs.every == 1
    assert any(sequence.inserted for sequence in obs.sequences)
    fresh = built("trpo", n_steps=3 * STEPS).policy  # the weights before the update
    plain = [plain_pass(fresh.lm, info, fresh.num_actions)[0] for info in infos]
    total = torch.cat(plain).sum()
    assert float(total.detach()) == pytest.approx(float(log_probs.sum()), rel=1e-4)
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(total, list(fresh.lm.parameters()))])
    torch.testing.assert_close(gradient, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)
    assert len(buffer.segments()) == len(infos)


@pytest.mark.parametrize("name", ["dqn", "qrdqn"])
def test_in_conversations_learning_begins_when_every_row_has_ended_a_dialogue(name):
    """The first to end are those that are won at once, on whose returns alone a policy was lost."""
    talks, single = make(name, "textgym/Shop-v0", BUILTIN_TINY, n_envs=4), make(name, "textgym/Copy-v1", n_envs=4)
    assert talks.replay_buffer.from_every_row
    assert not single.replay_buffer.from_every_row
    assert talks.learning_starts == single.learning_starts == 0  # no candidate is drawn at random
    given = {"replay_buffer_kwargs": {"from_every_row": False}}
    assert not make(name, "textgym/Shop-v0", BUILTIN_TINY, n_envs=4, **given).replay_buffer.from_every_row
