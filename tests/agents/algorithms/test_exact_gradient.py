"""The gradient that real rollouts and SB3's own ``train`` leave, against that of the exact expected return.

Over all completions of a language small enough to list. Rollouts are 1.2 times as long as a completion on average, so
that most completions are cut by the end of one. Losses are means over tokens: the target is the gradient of the
expected return, divided by the expected number of tokens.
"""

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import CallbackList

from tests.agents.four_tokens import COMPLETIONS, RETURNS, make_env, make_model
from textgym_agents import make

PROMPTS = ([1, 2], [3, 1], [2])
STEPS = 3  # 1.2 times the mean length
# All rows begin at once, so that the first rollouts hold more of the short completions: 25, 23, 21, 21 % of them are of
# one token, where 20 % of all are. What is too many halves with each rollout, as in any renewal process.
SKIPPED = 7
ON_POLICY = {
    "n_steps": STEPS,
    "normalize_advantage": False,
    "vf_coef": 0.0,
    "max_grad_norm": 1e9,
}
WHOLE = {"n_epochs": 1, "batch_size": 10**6}


def flat(lm):
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in lm.parameters()]).double()


def exact():
    """Gradient of minus the expected return, by all completions of all prompts; and the expected number of tokens."""
    lm = make_model()
    loss, length = 0.0, 0.0
    for prompt in PROMPTS:
        for completion in COMPLETIONS:
            logits = lm(input_ids=torch.tensor([[*prompt, *completion[:-1]]])).logits[0, len(prompt) - 1 :]
            logs = logits.log_softmax(-1)[torch.arange(len(completion)), torch.tensor(completion)]
            probability = logs.sum().exp()
            loss = loss - probability * RETURNS[completion] / len(PROMPTS)
            length += probability.item() * len(completion) / len(PROMPTS)
    loss.backward()
    return flat(lm), length


def gradients(name, count, rows, skipped=SKIPPED, **options):
    """(rollouts, weights) what is left by each rollout and update of an algorithm whose weights stay as they are."""
    made = make(name, make_env(rows), make_model(), seed=0, kl_coef=0, learning_rate=0.0, **options)
    _, callback = made._setup_learn(10**9, CallbackList([]))
    callback.on_training_start({}, {})
    kept = []
    if name == "trpo":  # it keeps no gradient: its step is not along one

        def noted(*args, actor_grad=made._compute_actor_grad):
            parts = actor_grad(*args)
            kept.append(-parts[1].detach().double())
            return parts

        made._compute_actor_grad = noted
    for rollout in range(skipped + count):
        made.collect_rollouts(made.env, callback, made.rollout_buffer, n_rollout_steps=made.n_steps)
        made.train()
        if name != "trpo":
            kept.append(flat(made.policy.lm))
        if rollout < skipped:
            kept.clear()
    return torch.stack(kept)


def likeness(found, target):
    """The cosine of the mean gradient to the target, its length along it, and the mean squared error in errors."""
    found = found[:, : len(target)]
    mean, error = found.mean(0), found.std(0) / len(found) ** 0.5
    moves = error > 1e-9
    cosine = torch.nn.functional.cosine_similarity(mean, target, dim=0).item()
    squared = (((mean - target)[moves] / error[moves]) ** 2).mean().item()
    return cosine, (mean @ target / (target @ target)).item(), squared


def groups(tokens, size, loss_reduction="token"):
    buffer = {"loss_reduction": loss_reduction}
    prompts = round(tokens / 2.45 / size)
    return {
        "prompts_per_rollout": prompts, "group_size": size, "max_grad_norm": 1e9, "rollout_buffer_kwargs": buffer
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ppo", "a2c"])
def test_cut_completions_do_not_bend_the_gradient(name):
    """As they did where a new value head stood for their end: cosine 0.85, length 0.56."""
    target, length = exact()
    options = {**ON_POLICY, **(WHOLE if name == "ppo" else {})}
    cosine, scale, _ = likeness(gradients(name, 4, 400, skipped=2, **options), target / length)
    assert cosine > 0.97
    assert scale == pytest.approx(1, abs=0.15)


CASES = {
    "ppo": {**ON_POLICY, **WHOLE},
    "a2c": ON_POLICY,
    "maskable_ppo": {**ON_POLICY, **WHOLE},
    "nlpo": {**ON_POLICY, **WHOLE, "mask_top_p": 1.0},
    "trpo": {"n_steps": STEPS, "batch_size": 10**6, "normalize_advantage": False, "target_kl": 1e-12},
    "reinforce": groups(1500, 1),
    "scst": groups(1500, 1),
    "rloo": groups(1500, 4),
    "grpo": {**groups(1500, 4, "constant"), "batch_size": None, "normalize_std": False},
}


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize("name", list(CASES))
def test_the_gradient_is_that_of_the_expected_return(name):
    target, length = exact()
    # Dr. GRPO: the mean over groups has the completion itself in its baseline, and the budget divides the sum.
    share = 3 / 4 / 3 if name == "grpo" else 1 / length
    found = gradients(name, 60, 500, **CASES[name])
    cosine, scale, _ = likeness(found, share * target)
    # A few directions hold most of the noise, so that one mean's squared error says little: that of five means.
    found = found[:, : len(target)]
    error = found.std(0) / 12**0.5
    means = found.view(5, 12, -1).mean(1)
    squared = (((means - share * target) / error) ** 2)[:, error > 1e-9].mean().item()
    print(f"{name}: cosine {cosine:.4f}, length {scale:.3f}, mean z^2 {squared:.2f}")
    assert cosine >= 0.995
    assert scale == pytest.approx(1, abs=0.05)
    assert squared <= 1.5


def test_the_listed_completions_are_all_there_are():
    assert exact()[1] == pytest.approx(STEPS / 1.2, rel=0.03)
    assert np.isfinite(list(RETURNS.values())).all()
