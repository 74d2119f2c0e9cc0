"""The gradients of REINFORCE, SCST, RLOO and GRPO, on a model whose every completion can be listed.

The expected gradient is the sum over all completions of their probability times the algorithm's gradient for them.
Where the estimator is unbiased, it is the gradient of the expected return, which plain passes of the model give.
"""

import itertools

import numpy as np
import pytest
import torch

from tests.agents.four_tokens import COMPLETIONS, RETURNS, batch_of, log_probs, make_env, make_model
from textgym_agents.algorithms.grpo import GRPO
from textgym_agents.algorithms.reinforce import REINFORCE
from textgym_agents.algorithms.rloo import RLOO
from textgym_agents.algorithms.scst import SCST
from textgym_agents.buffers.episodes import Episode
from textgym_agents.objectives.prompt_baseline import PromptBaseline
from textgym_agents.policies.base import LanguageModelPolicy

BOTH = pytest.mark.parametrize("seq2seq", [False, True], ids=["causal", "seq2seq"])


def build(algorithm, seq2seq=False, kl_coef=0.0, **options):
    """An algorithm with a learning rate of 0, whose gradient can be read after a step."""
    made = algorithm(
        LanguageModelPolicy,
        make_env(2, seq2seq=seq2seq),
        learning_rate=0.0,
        max_grad_norm=1e9,
        seed=0,
        policy_kwargs={"model": make_model(seq2seq), "reference": kl_coef != 0},
        # The gradient of the expected return is a sum over tokens; GRPO says how it reduces itself.
        rollout_buffer_kwargs={"kl_coef": kl_coef} | ({} if algorithm is GRPO else {"loss_reduction": "sum"}),
        **options,
    )
    made._setup_learn(100)
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


def episodes(made, completions, returns=None, old=None):
    """Episodes as a rollout would have stored them, the return at the end."""
    batch, actions = batch_of(completions, made.rollout_buffer.seq2seq)
    with torch.no_grad():
        values, log_prob, _ = made.policy.evaluate_actions(batch, actions)
    lengths = [len(completion) for completion in completions]
    columns = zip(
        batch.sequences,
        [RETURNS[completion] for completion in completions] if returns is None else returns,
        values.flatten().split(lengths),
        log_prob.split(lengths) if old is None else old,
        strict=True,
    )
    return [
        Episode(
            sequence.context,
            sequence.prompt,
            sequence.actions,
            np.array([0.0] * (len(sequence.actions) - 1) + [value]),
            values.numpy(),
            log_prob.detach().numpy(),
        )
        for sequence, value, values, log_prob in columns
    ]


def gradient(made, completions, k=1, **how):
    """(weights of the language model,) what one call of train() leaves."""
    made.rollout_buffer.fill(episodes(made, completions, **how), k)
    made.train()
    return flat_gradient(made)


def flat_gradient(made):
    return torch.cat([p.grad.flatten().clone() for p in made.policy.lm.parameters()])


def plain_gradient(made, loss):
    made.policy.zero_grad()
    loss.backward()
    return flat_gradient(made)


def true_gradient(made):
    """Of minus the expected return, by plain passes over every completion."""
    expected = sum(
        lp.sum().exp() * RETURNS[completion]
        for completion, lp in zip(COMPLETIONS, log_probs(made.policy.lm, COMPLETIONS), strict=True)
    )
    return plain_gradient(made, -expected)


def probabilities(made):
    with torch.no_grad():
        return torch.stack([lp.sum().exp() for lp in log_probs(made.policy.lm, COMPLETIONS)])


def assert_equal(ours, expected):
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(ours, expected, atol=2e-5 * expected.abs().max().item(), rtol=1e-4)


@BOTH
def test_the_completions_are_all_there_are(seq2seq):
    assert len(COMPLETIONS) == 1 + 3 + 9 + 27
    p = probabilities(build(REINFORCE, seq2seq))
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    assert p.max() < 0.9


def known_prompts(mean=0.3, shrinkage=1.5):
    """What earlier rollouts have told: of prompt 1 three returns, which deviate by 0.8 from the mean."""
    known = PromptBaseline()
    known.mean, known.deviations, known.counts = mean, np.array([0.0, 0.8]), np.array([0.0, 3.0])
    known._squares, known._returns, known._products, known._pairs = 1 + shrinkage, 1, 1, 1
    return known


def expected_gradient(made):
    """The sum over all completions of their probability times the gradient for one of them alone."""
    stored, total = episodes(made, COMPLETIONS), 0.0
    for episode, p in zip(stored, probabilities(made), strict=True):
        made.running_mean = 0.3
        made.prompt_ids, made.prompt_baseline = np.array([1]), known_prompts()
        made.rollout_buffer.fill([episode])
        made.train()
        total = total + p * flat_gradient(made)
    return total


@pytest.mark.parametrize(
    ("baseline", "seq2seq"), [("none", False), ("mean", False), ("prompt", False), ("value", False), ("value", True)]
)
def test_reinforce_is_unbiased_with_every_baseline(baseline, seq2seq):
    made = build(REINFORCE, seq2seq, baseline=baseline, vf_coef=0.0)
    assert_equal(expected_gradient(made), true_gradient(made))


def test_a_baseline_changes_the_gradient_of_a_single_completion():
    one, other = (
        gradient(build(REINFORCE, baseline=name, vf_coef=0.0), [COMPLETIONS[5]]) for name in ("none", "value")
    )
    assert (one - other).abs().max() > 1e-2


@BOTH
def test_scst_is_unbiased(seq2seq):
    made = build(SCST, seq2seq)
    made.greedy_scores = np.array([[1.7]])
    assert_equal(expected_gradient(made), true_gradient(made))


@BOTH
def test_rloo_is_unbiased(seq2seq):
    """All 1,600 pairs in one batch. Advantages are proportional to a pair's returns, so these carry its probability."""
    made = build(RLOO, seq2seq)
    p = dict(zip(COMPLETIONS, probabilities(made).tolist(), strict=True))
    pairs = list(itertools.product(COMPLETIONS, repeat=2))
    returns = [p[a] * p[b] * len(pairs) * RETURNS[completion] for a, b in pairs for completion in (a, b)]
    expected = gradient(made, [completion for pair in pairs for completion in pair], 2, returns=returns)
    assert_equal(expected, true_gradient(made))


def test_prompts_baselines_from_the_same_rollout_are_unbiased():
    """All 1,600 pairs in one batch, each of a prompt of its own; as for RLOO, returns carry its probability."""
    made = build(REINFORCE, baseline="prompt", group_size=2)
    p = dict(zip(COMPLETIONS, probabilities(made).tolist(), strict=True))
    pairs = list(itertools.product(COMPLETIONS, repeat=2))
    returns = [p[a] * p[b] * len(pairs) * RETURNS[completion] for a, b in pairs for completion in (a, b)]
    made.prompt_ids, made.prompt_baseline = np.repeat(np.arange(len(pairs)) + 2, 2), known_prompts(mean=0.0)
    expected = gradient(made, [completion for pair in pairs for completion in pair], 2, returns=returns)
    assert_equal(expected, true_gradient(made))


def test_rloo_of_three_by_hand():
    made = build(RLOO)
    completions = [COMPLETIONS[3], COMPLETIONS[20], COMPLETIONS[9]]
    ours = gradient(made, completions, 3)
    one, two, three = (RETURNS[completion] for completion in completions)
    lp = [x.sum() for x in log_probs(made.policy.lm, completions)]
    loss = (one - (two + three) / 2) * lp[0] + (two - (one + three) / 2) * lp[1] + (three - (one + two) / 2) * lp[2]
    assert_equal(ours, plain_gradient(made, -loss / 3))


def grpo_loss(made, groups, old, reference, *, std=True, reduction="episode", high=0.2, beta=0.0):
    """Equation 3 of the paper, token by token, by plain passes."""
    terms, count = 0.0, sum(len(completion) for group in groups for completion in group)
    total = sum(map(len, groups))
    for group in groups:
        r = torch.tensor([RETURNS[completion] for completion in group], dtype=torch.float64)
        advantages = (r - r.mean()) / (r.std() + 1e-4 if std else 1)
        for completion, new, advantage in zip(group, log_probs(made.policy.lm, group), advantages, strict=True):
            for t in range(len(completion)):
                rho = (new[t] - old[completion][t]).exp()
                term = torch.min(rho * advantage, rho.clamp(0.8, 1 + high) * advantage)
                log_ratio = new[t] - reference[completion][t]
                term = term - beta * ((-log_ratio).exp() - 1 + log_ratio)
                share = {"episode": total * len(completion), "token": count, "constant": total * 3}[reduction]
                terms = terms + term / share
    return -terms


@BOTH
@pytest.mark.parametrize(
    ("options", "formula"),
    [
        ({}, {}),
        ({"normalize_std": False, "loss_reduction": "constant"}, {"std": False, "reduction": "constant"}),
        ({"clip_range_high": 0.28, "loss_reduction": "token"}, {"high": 0.28, "reduction": "token"}),
        ({"kl_coef": 0.5}, {"beta": 0.5}),
    ],
    ids=["grpo", "dr-grpo", "dapo", "kl"],
)
def test_grpo_equals_its_formula_away_from_the_old_policy(options, formula, seq2seq):
    """Groups of three completions of unequal lengths, and ratios between 0.5 and 2, so that some are clipped."""
    made = build(GRPO, seq2seq, n_epochs=1, batch_size=None, **options)
    rng = np.random.default_rng(3)
    groups = [tuple(COMPLETIONS[i] for i in rng.choice(len(COMPLETIONS), 3, replace=False)) for _ in range(6)]
    groups[0] = (COMPLETIONS[0], COMPLETIONS[2], COMPLETIONS[30])  # of one, two and three tokens
    completions = sorted({completion for group in groups for completion in group})
    reference = dict(zip(completions, log_probs(make_model(seq2seq), completions), strict=True))
    with torch.no_grad():
        for parameter in made.policy.lm.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
        now = dict(zip(completions, log_probs(made.policy.lm, completions), strict=True))
    old = {
        completion: lp + torch.as_tensor(rng.uniform(-0.6, 0.6, len(completion)), dtype=torch.float32)
        for completion, lp in now.items()
    }
    flat = [completion for group in groups for completion in group]
    ours = gradient(made, flat, 3, old=[old[completion] for completion in flat])
    assert 0.2 < made.logger.name_to_value["train/clip_fraction"] < 0.9
    reference = {completion: lp.detach() for completion, lp in reference.items()}
    assert_equal(ours, plain_gradient(made, grpo_loss(made, groups, old, reference, **formula)))


def test_grpo_in_expectation():
    """Over all pairs of the eight most probable completions, at the old policy: the weighted sum over its pairs."""
    made = build(GRPO, n_epochs=1, batch_size=None)
    p = probabilities(made)
    likely = p.argsort(descending=True)[:8].tolist()
    with torch.no_grad():
        old = dict(zip(COMPLETIONS, log_probs(made.policy.lm, COMPLETIONS), strict=True))
    pairs = [(i, j, 2 * p[i] * p[j]) for i, j in itertools.combinations(likely, 2)]
    ours = sum(weight * gradient(made, (COMPLETIONS[i], COMPLETIONS[j]), 2) for i, j, weight in pairs)
    formula = sum(weight * grpo_loss(made, [(COMPLETIONS[i], COMPLETIONS[j])], old, old) for i, j, weight in pairs)
    assert_equal(ours, plain_gradient(made, formula))
