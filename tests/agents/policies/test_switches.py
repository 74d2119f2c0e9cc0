"""Switches that trade memory, speed and precision: with each of them the same values and gradients."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from tests.agents.tiny_models import tiny_model
from textgym.tokenizer import builtin_tokenizer
from textgym_agents import LanguageModelPolicy
from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.models.packing import TokenSequence

NUM_TOKENS = len(builtin_tokenizer())


def make(kind, **options):
    boxes = {}
    for prefix, width in {"": 12, "decoder_": 12}.items() if kind == "t5" else {"": 24}.items():
        boxes[f"{prefix}input_ids"] = spaces.Box(0, NUM_TOKENS - 1, (width,), np.int64)
        boxes[f"{prefix}attention_mask"] = spaces.Box(0, 1, (width,), np.int8)
    model = options.pop("model", None) or tiny_model(kind)
    made = LanguageModelPolicy(spaces.Dict(boxes), spaces.Discrete(NUM_TOKENS), lambda _: 1e-3, model=model, **options)
    made.set_training_mode(True)
    torch.nn.init.normal_(made.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


def batch(kind, seed=0):
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(2, 99, 10).astype(np.int32) for _ in range(2)]
    sequences = []
    for i in range(6):
        actions = rng.integers(2, 99, rng.integers(2, 10)).astype(np.int32)
        prompt = prompts[i % 2]
        sequences.append(
            TokenSequence(np.zeros(1, np.int32), actions, prompt) if kind == "t5" else TokenSequence(prompt, actions)
        )
    actions = torch.as_tensor(np.concatenate([t.actions for t in sequences])).long()
    return EpisodeBatch(sequences, torch.zeros(len(actions), dtype=torch.long)), actions


def results(made, kind):
    observations, actions = batch(kind)
    values, log_probs, entropies = made.evaluate_actions(observations, actions)
    (values.mean() + log_probs.mean() - 0.1 * entropies.mean()).backward()
    gradient = torch.cat([p.grad.flatten().float() for p in made.parameters() if p.grad is not None])
    return values, log_probs, entropies, gradient


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
@pytest.mark.parametrize(
    "options",
    [{"max_logits": 1}, {"max_logits": 3 * NUM_TOKENS}, {"gradient_checkpointing": True}, {"use_cache": False}],
)
def test_switches_that_change_no_result(kind, options):
    plain, switched = results(make(kind), kind), results(make(kind, **options), kind)
    for expected, actual in zip(plain, switched, strict=True):
        torch.testing.assert_close(actual, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
def test_bfloat16_is_near_float32(kind):
    """Log-probabilities within 0.1 nats and the gradient's direction within a few degrees; probabilities in float32."""
    model = tiny_model(kind)
    if kind != "t5":  # as sharp as a trained model, not as the others of these tests
        for parameter in model.parameters():
            parameter.data.mul_(0.5 if parameter.dim() > 1 else 1)
    exact, half = results(make(kind, model=model), kind), results(make(kind, model=model, dtype="bfloat16"), kind)
    for expected, actual in zip(exact[:3], half[:3], strict=True):
        assert actual.dtype == torch.float32
        torch.testing.assert_close(actual, expected, atol=0.1, rtol=0.02)
    assert torch.nn.functional.cosine_similarity(exact[3], half[3], dim=0) > 0.99


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
def test_the_reference_of_lora_is_the_model_with_its_adapters_off(kind):
    observations, actions = batch(kind)
    whole, lora = make(kind, reference=True), make(kind, reference=True, lora=2)
    with torch.no_grad():
        for made in (whole, lora):
            for parameter in made.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.05)
        moved = lora.evaluate_actions(observations, actions)[1]
        ours, expected = (made.reference_log_probs(observations, actions) for made in (lora, whole))
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(ours, moved, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_a_compiled_model_gives_the_same_results(kind):
    """Captured as a graph by torch.compile; the back end that runs the graph needs no C++ compiler."""
    plain, compiled = make(kind), make(kind)
    for module in [compiled.lm.get_decoder()] if kind == "t5" else [compiled.lm.transformer]:
        module.compile(backend="eager", dynamic=True)
    for expected, actual in zip(results(plain, kind), results(compiled, kind), strict=True):
        torch.testing.assert_close(actual, expected, atol=2e-5, rtol=1e-4)
    obs = plain.form.probe_observations()
    with torch.no_grad():
        for one in obs:
            torch.testing.assert_close(compiled.predict_values(one), plain.predict_values(one), atol=3e-5, rtol=1e-4)


def test_logits_of_a_large_minibatch_are_not_kept():
    """With a small budget no tensor of the size (tokens, vocabulary) is saved for the backward pass."""
    kept = []
    for options in ({}, {"max_logits": 4 * NUM_TOKENS}):
        made = make("gpt2", **options)
        observations, actions = batch("gpt2")
        saved = []

        def pack(tensor, saved=saved):
            saved.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            made.evaluate_actions(observations, actions)
        kept.append(saved.count(len(actions) * NUM_TOKENS))
    assert kept == [1, 0]
