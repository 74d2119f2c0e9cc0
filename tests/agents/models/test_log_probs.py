"""The fused log-probability and entropy equal what automatic differentiation makes of their definitions."""

import pytest
import torch
from torch import nn

from textgym.errors import ModelError
from textgym_agents.models import log_probs as head
from textgym_agents.models.log_probs import token_statistics
from textgym_agents.models.sampling import NUCLEUS, Sampling, TokenMask, draw

N, WIDTH, VOCABULARY = 23, 8, 50


def by_definition(logits, actions, temperature, prepare):
    logits = logits / temperature
    if prepare is not None:
        hidden = torch.isneginf(prepare_copy(logits, prepare))
        logits = logits.masked_fill(hidden, -torch.inf)
    log_probs = logits.log_softmax(-1)
    entropies = -(log_probs.exp() * log_probs.clamp(min=-1e30)).sum(-1)
    return log_probs.gather(1, actions[:, None]).squeeze(1), entropies


def prepare_copy(logits, prepare):
    copy = logits.detach().clone()
    prepare(copy, slice(None))
    return copy


def masks(filters):
    generated = torch.arange(N) % 4
    mask = TokenMask(VOCABULARY, eos_token_ids=[1], min_new_tokens=2, banned_tokens=[3, 4])

    def prepare(block, rows):
        mask.apply_(block, generated[rows])
        filters.filter_(block)

    return prepare


@pytest.mark.parametrize("block", [1, VOCABULARY * 5, 10**6])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("filters", [None, Sampling(), Sampling(top_k=7), Sampling(top_p=0.8), Sampling(1.0, 20, 0.9)])
def test_values_and_gradients(filters, temperature, block, monkeypatch):
    monkeypatch.setattr(head, "CACHED_FLOATS", block)
    prepare = None if filters is None else masks(filters)
    torch.manual_seed(0)
    hidden, layer = torch.randn(N, WIDTH), nn.Linear(WIDTH, VOCABULARY)
    layer.weight.data *= 3
    with torch.no_grad():
        logits = layer(hidden) / temperature
        allowed = logits if prepare is None else prepare_copy(logits, prepare)
        actions = torch.distributions.Categorical(logits=allowed).sample()
    weights = torch.randn(2, N)
    results = []
    for function in (token_statistics, by_definition):
        layer.zero_grad()
        inputs = hidden.clone().requires_grad_()
        log_probs, entropies = function(layer(inputs), actions, temperature, prepare)
        (weights[0] * log_probs + weights[1] * entropies).sum().backward()
        results.append((log_probs, entropies, inputs.grad, layer.weight.grad.clone(), layer.bias.grad.clone()))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-4)


def test_only_one_matrix_of_the_vocabularys_size_is_made():
    logits = torch.randn(64, 1000, requires_grad=True)
    work = logits * 1  # what a linear layer would have made
    log_probs, entropies = token_statistics(work, torch.zeros(64, dtype=torch.long))
    (gradient,) = torch.autograd.grad(log_probs.sum() + entropies.sum(), work)
    assert gradient.data_ptr() == work.data_ptr()


def test_a_second_backward_pass_is_an_error_not_a_wrong_gradient():
    work = torch.randn(4, 10, requires_grad=True) * 1
    total = token_statistics(work, torch.zeros(4, dtype=torch.long))[0].sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="inplace"):
        total.backward()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_logits(bad):
    logits = torch.zeros(3, 10)
    logits[1, 4] = bad
    with pytest.raises(ModelError, match="NaN or infinity"):
        token_statistics(logits.clone(), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ModelError, match="NaN or infinity"):
        draw(logits.softmax(-1), torch.Generator())


def test_draws_follow_the_probabilities():
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.2 - 1e-3, 1e-3, 0.0])
    count = 40_000
    drawn = draw(probabilities.expand(count, -1), torch.Generator().manual_seed(0))
    frequency = torch.bincount(drawn, minlength=6) / count
    assert frequency[1] == frequency[5] == 0
    deviation = (probabilities * (1 - probabilities) / count).sqrt()
    assert ((frequency - probabilities).abs() <= 5 * deviation).all()


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("sharpness", [0.0, 0.1, 3.0])
def test_top_p_keeps_the_fewest_tokens_that_hold_the_probability(top_p, sharpness):
    torch.manual_seed(1)
    logits = torch.randn(5, 4 * NUCLEUS) * sharpness
    kept = ~torch.isneginf(Sampling(top_p=top_p).filter_(logits.clone()))
    for row, keep in zip(logits.softmax(-1), kept, strict=True):
        if sharpness == 0:
            assert keep.all()  # all tie
            continue
        ordered = row.sort(descending=True).values
        assert keep.sum() == (ordered.cumsum(0) - ordered < top_p).sum()
        assert row[keep].min() >= row[~keep].max()
