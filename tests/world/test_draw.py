"""Draws are pure functions of (seed, split, index), and splits can't overlap."""

import numpy as np
import pytest

from textgym.errors import ConfigError
from textgym.world import (
    SPLITS,
    Draw,
    Rendered,
    concept_grammar,
    function_grammar,
    label_grammar,
    problem_grammar,
    program_grammar,
    question_grammar,
    record_grammar,
    render,
    reply_grammar,
    request_grammar,
    review_grammar,
    split_of,
    story_grammar,
    translation_grammar,
    words_grammar,
)

GRAMMARS = [
    function_grammar,
    label_grammar,
    question_grammar,
    concept_grammar,
    problem_grammar,
    program_grammar,
    record_grammar,
    reply_grammar,
    request_grammar,
    story_grammar,
    translation_grammar,
    review_grammar,
    words_grammar,
]


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_the_same_key_gives_the_same_text_and_other_keys_do_not(grammar):
    texts = [render(grammar, "train", index, seed) for seed in (0, 1) for index in range(50)]
    again = [render(grammar, "train", index, seed) for seed in (0, 1) for index in reversed(range(50))]
    assert texts == [*again[49::-1], *again[:49:-1]]
    assert len({text.source for text in texts}) > 95


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 10**30])
@pytest.mark.parametrize(("split", "index"), [("train", 0), ("test", 999), ("validation", 2**32), ("train", 999_999)])
def test_draws_are_those_of_numpy_seeds_with_a_spawn_key(seed, split, index):
    seeds = np.random.SeedSequence(seed, spawn_key=(list(SPLITS).index(split), index))
    numbers = np.random.Generator(np.random.PCG64(seeds)).random(64)[::-1]
    draw = Draw.at(seed, split, index)
    assert [draw.uniform() for _ in range(64)] == numbers.tolist()


def test_several_picks_are_one_pick_after_the_other():
    one, other = Draw.at(0, "train", 5), Draw.at(0, "train", 5)
    for count in (0, 1, 5, 3, 60, 4, 130, 0, 2):
        assert one.picks(range(1000), count) == [other.pick(range(1000)) for _ in range(count)]


def test_a_text_of_another_split_needs_no_targets():
    """Only while render looks for one: a grammar that is asked for a text by itself gives all of it."""
    draw = Draw.at(0, "train", 3)
    assert all(draw.wants(text) for text in ("lamp river old", "a", "b", "c"))
    given = [translation_grammar(Draw.at(0, "test", index)) for index in range(30)]
    assert {split_of(text.source) for text in given} > {"train"}
    assert all(text.targets for text in given)
    asked = []

    def grammar(draw):
        text = f"text {draw.below(1000)}"
        asked.append((text, draw.wants(text)))
        return Rendered(text, ("target",) if asked[-1][1] else ())

    assert render(grammar, "test", 0).targets == ("target",)
    assert [wanted for _, wanted in asked] == [False] * (len(asked) - 1) + [True]
    assert all((split_of(text) == "test") == wanted for text, wanted in asked)


def test_global_random_state_is_neither_read_nor_set():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = render(story_grammar, "train", 3)
    np.random.seed(5)  # noqa: NPY002
    assert render(story_grammar, "train", 3) == first
    np.random.set_state(("MT19937", before, 624, 0, 0.0))  # noqa: NPY002


@pytest.mark.parametrize("grammar", GRAMMARS)
@pytest.mark.parametrize("split", SPLITS)
def test_a_text_belongs_to_the_split_it_was_drawn_for_whatever_the_seed(grammar, split):
    assert {split_of(render(grammar, split, index, seed).source) for seed in (0, 7) for index in range(40)} == {split}


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_no_text_is_in_two_splits(grammar):
    sources = {split: {render(grammar, split, index).source for index in range(300)} for split in SPLITS}
    assert not sources["train"] & sources["validation"]
    assert not sources["train"] & sources["test"]
    assert not sources["validation"] & sources["test"]


def test_the_splits_share_all_buckets_between_them():
    buckets = sorted(bucket for start, stop in SPLITS.values() for bucket in range(start, stop))
    assert buckets == list(range(100))
    counts = {split: sum(split_of(f"text {i}") == split for i in range(5000)) / 5000 for split in SPLITS}
    assert counts == {
        "train": pytest.approx(0.8, abs=0.03),
        "validation": pytest.approx(0.1, abs=0.02),
        "test": pytest.approx(0.1, abs=0.02),
    }


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_there_are_far_more_than_a_hundred_thousand_texts(grammar):
    # n draws from N equally likely texts repeat n^2 / 2N times on average, and more often if some texts are likelier:
    # n^2 / 2 repeats is therefore a lower bound of the number of texts.
    count = 5000
    distinct = len({grammar(Draw.at(0, "train", index)).source for index in range(count)})
    repeats = count - distinct
    assert count**2 / 2 / max(repeats, 1) > 130_000


def test_draws_are_uniform_and_samples_distinct():
    draw = Draw.at(0, "train", 0)
    picks = [draw.pick("abcd") for _ in range(8000)]
    assert all(picks.count(letter) == pytest.approx(2000, abs=200) for letter in "abcd")
    sample = draw.sample(range(10), 10)
    assert sorted(sample) == list(range(10))
    assert sum(draw.chance(0.25) for _ in range(8000)) == pytest.approx(2000, abs=200)
    assert {draw.below(3) for _ in range(100)} == {0, 1, 2}


def test_a_grammar_with_too_few_texts_says_so():
    with pytest.raises(
        ConfigError, match=r"None of 10,000 texts of the grammar .*<lambda> belongs to the split 'test'"
    ):
        render(lambda draw: Rendered("always the same", ("x",)), "test", 0)
