"""Blocks of token sequences: each action keeps its place, little padding, and shared prompts change no result."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from tests.agents.tiny_models import tiny_model
from textgym.tokenizer import builtin_tokenizer
from textgym_agents import LanguageModelPolicy
from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.models.packing import Insertion, TokenSequence, pack

NUM_TOKENS = len(builtin_tokenizer())


def random_insertions(rng, count):
    """Some tokens of a partner's behind some of the actions."""
    places = np.flatnonzero(rng.random(max(0, count - 1)) < 0.2) + 1
    return tuple(Insertion(int(after), rng.integers(1, 99, rng.integers(1, 5)).astype(np.int32)) for after in places)


def random_sequences(count, contexts, seed=0, longest=24, prompts=None, turns=False):
    rng = np.random.default_rng(seed)
    beginnings = [rng.integers(1, 99, rng.integers(1, 12)).astype(np.int32) for _ in range(contexts)]
    questions = [rng.integers(1, 99, rng.integers(1, 9)).astype(np.int32) for _ in range(prompts or 0)]
    sequences = [
        TokenSequence(
            beginnings[rng.integers(contexts)],
            rng.integers(1, 99, rng.integers(1, longest)).astype(np.int32),
            questions[rng.integers(prompts)] if prompts else None,
        )
        for _ in range(count)
    ]
    if not turns:
        return sequences
    return [sequence._replace(inserted=random_insertions(rng, len(sequence.actions))) for sequence in sequences]


def before(sequence, number):
    """All tokens before an action, word by word."""
    tokens = list(sequence.context)
    for i, action in enumerate(sequence.actions[:number], start=1):
        tokens.append(action)
        for one in sequence.inserted:
            tokens += one.tokens.tolist() if one.after == i else []
    return tokens


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize(("count", "contexts"), [(1, 1), (7, 2), (40, 40), (40, 3)])
def test_every_action_follows_its_own_sequence(share, count, contexts, turns):
    sequences = random_sequences(count, contexts, turns=turns)
    packed = pack(sequences, share=share)
    prefixes = []
    for block in packed.blocks:
        for row, column in zip(block.rows.tolist(), block.columns.tolist(), strict=True):
            seen = torch.arange(column + 1) if block.mask is None else block.mask[row, 0, column].nonzero()[:, 0]
            tokens = block.input_ids[row, seen].tolist()
            positions = list(range(len(seen))) if block.positions is None else block.positions[row, seen].tolist()
            assert positions == list(range(len(tokens)))
            prefixes.append(tokens)
    expected = [before(sequence, i) for sequence in sequences for i in range(len(sequence.actions))]
    assert any(sequence.inserted for sequence in sequences) == turns
    assert [prefixes[i] for i in packed.order.tolist()] == expected


def test_little_padding_on_mixed_lengths():
    sequences = random_sequences(64, 64, longest=64)
    packed = pack(sequences)
    assert packed.tokens - packed.padding == sum(sequence.size for sequence in sequences)
    assert packed.padding / packed.tokens <= 0.15
    whole = len(sequences) * max(sequence.size for sequence in sequences)
    assert packed.padding / packed.tokens < 0.5 * (1 - (packed.tokens - packed.padding) / whole)


def test_sequences_of_one_length_are_one_block_without_a_mask():
    sequences = [TokenSequence(np.arange(1, 5), np.arange(1, 4)) for _ in range(6)]
    (block,) = pack(sequences).blocks
    assert block.input_ids.shape == (6, 6)
    assert block.mask is None


def test_a_shared_context_is_computed_once():
    context = np.arange(1, 41)
    sequences = [TokenSequence(context, np.full(4, i)) for i in range(8)]
    packed = pack(sequences, share=True)
    assert packed.tokens == 40 + 8 * 3
    assert pack(sequences).tokens == 8 * 43


def test_a_prompt_goes_through_the_encoder_once():
    sequences = random_sequences(20, 1, prompts=3)
    for block in pack(sequences).blocks:
        assert len({tuple(row) for row in block.prompts.tolist()}) == len(block.prompts)
    blocks = pack(
        [sequence._replace(actions=np.arange(5)) for sequence in sequences if sequence.prompt is sequences[0].prompt]
    ).blocks
    assert [len(block.prompts) for block in blocks] == [1]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_shared_prompts_change_no_result(model, attention):
    model.set_attn_implementation(attention)
    ids = spaces.Box(0, NUM_TOKENS - 1, (36,), np.int64)
    space = spaces.Dict(input_ids=ids, attention_mask=spaces.Box(0, 1, (36,), np.int8))
    sequences = random_sequences(12, 3, turns=True)
    actions = torch.as_tensor(np.concatenate([sequence.actions for sequence in sequences]))
    results = []
    for share in (False, True):
        made = LanguageModelPolicy(space, spaces.Discrete(NUM_TOKENS), lambda _: 1e-3, model=model, share_prompts=share)
        assert made.share_prompts == share
        batch = EpisodeBatch(sequences, torch.zeros(len(actions), dtype=torch.long))
        _, log_probs, entropies = made.evaluate_actions(batch, actions)
        (log_probs.mean() + entropies.mean()).backward()
        gradient = torch.cat([p.grad.flatten() for p in made.lm.parameters()])
        results.append((log_probs, entropies, gradient, made.packed_tokens))
    for plain, shared in list(zip(*results, strict=True))[:3]:
        torch.testing.assert_close(plain, shared, atol=1e-4, rtol=1e-3)
    assert results[1][3] < 0.8 * results[0][3]


@pytest.mark.parametrize("kind", ["mistral-sliding", "bloom", "mamba"])
def test_models_that_cannot_share_or_cache_take_the_slow_path_and_say_so(kind):
    ids = spaces.Box(0, NUM_TOKENS - 1, (36,), np.int64)
    space = spaces.Dict(input_ids=ids, attention_mask=spaces.Box(0, 1, (36,), np.int8))
    model = tiny_model(kind)
    with pytest.warns(UserWarning, match="No key-value cache"):
        made = LanguageModelPolicy(space, spaces.Discrete(NUM_TOKENS), lambda _: 1e-3, model=model, use_cache=True)
    assert not made.use_cache
    assert not made.share_prompts
    tokens = torch.arange(3, 15)
    obs = {"input_ids": torch.zeros(1, 36, dtype=torch.long), "attention_mask": torch.zeros(1, 36, dtype=torch.long)}
    obs["input_ids"][0, 5:17], obs["attention_mask"][0, 5:17] = tokens, 1
    with torch.no_grad():
        expected = model(tokens[None]).logits[0, -1, :NUM_TOKENS].log_softmax(-1)
        torch.testing.assert_close(made.get_distribution(obs).distribution.logits[0], expected, atol=1e-4, rtol=1e-3)
