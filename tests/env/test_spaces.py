"""TextSpace and CompletionSpace: equality, copies, sampling, batching."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.vector.utils import batch_space

from tests.env.text_games import letters
from textgym import TextGenerationEnv, TextSpace
from textgym.spaces import CompletionSpace


def space(**options):
    return TextGenerationEnv(letters(), **options).observation_space


def test_the_space_has_the_rules_as_attributes(tokenizer):
    given = space(min_new_tokens=1, banned_tokens=[9, 7], max_new_tokens=5)
    assert (given.max_prompt_tokens, given.max_new_tokens, given.min_new_tokens) == (24, 5, 1)
    assert (given.eos_token_ids, given.banned_tokens, given.allowed_tokens) == ((tokenizer.eos_token_id,), (9, 7), None)
    assert (given.form, given.pad_token_id) == ("causal", tokenizer.pad_token_id)
    assert given["input_ids"] == gymnasium.spaces.Box(0, len(tokenizer) - 1, (29,), np.int64)


@pytest.mark.parametrize(
    "options",
    [
        {"min_new_tokens": 1},
        {"banned_tokens": [9]},
        {"allowed_tokens": [9]},
        {"eos_token_ids": [9]},
        {"form": "seq2seq"},
    ],
)
def test_spaces_are_equal_where_their_rules_are(options):
    assert space() == space()
    assert space(**options) == space(**options)
    assert space() != space(**options)
    # same widths, other split between prompt and new tokens
    assert space(max_prompt_tokens=20, max_new_tokens=12) != space(max_prompt_tokens=22, max_new_tokens=10)


def test_copies_are_equal_and_keep_the_attributes():
    original = space(min_new_tokens=2)
    for twin in (copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        assert type(twin) is TextSpace
        assert twin == original
        assert twin.min_new_tokens == 2
    assert "min_new_tokens=2" in repr(original)


def test_samples_are_in_the_space_and_follow_the_seed():
    one, other = space(), space()
    one.seed(4)
    other.seed(4)
    first, second = one.sample(), other.sample()
    assert first in one
    np.testing.assert_array_equal(first["input_ids"], second["input_ids"])


def test_a_batch_of_the_space_is_a_plain_dict():
    batch = batch_space(space(), 3)
    assert batch["input_ids"].shape == (3, 32)
    assert batch["attention_mask"].dtype == np.int8
    assert batch.sample() in batch


def test_a_completion_space_holds_any_text():
    completions = CompletionSpace(max_length=12)
    for text in ("", "a" * 1000, "世界\n\t😀", completions.sample()):
        assert text in completions
    for other in (3, None, ["a"], b"a"):
        assert other not in completions
    assert completions == copy.deepcopy(completions) == pickle.loads(pickle.dumps(completions))
    assert completions != CompletionSpace(max_length=13)
    completions.seed(1)
    assert len({completions.sample() for _ in range(5)}) > 1
    assert ("a", "b") in batch_space(completions, 2)
