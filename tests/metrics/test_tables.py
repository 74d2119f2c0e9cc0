"""CIDEr equals pycocoevalcap's, PARENT a plain form of the authors' script; slot errors by hand."""

import math
import pickle
from collections import Counter

import numpy as np
import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, MetricError, RewardError
from textgym.metrics import CorpusCIDEr, MeanFaithfulness, MeanPARENT
from textgym.metrics.cider import Corpus, cider
from textgym.metrics.faithfulness import slot_errors
from textgym.metrics.parent import parent
from textgym.metrics.table import table_of
from textgym.rewards import PARENT, CIDEr, Faithfulness
from textgym.tasks import DataToText

WORDS = ["a", "the", "cat", "dog", "sat", "ran", "on", "mat", "river", "fish", "soup", "cheap", "20", "fox", "is"]


def random_text(rng, most):
    return " ".join(rng.choice(WORDS, size=rng.integers(0, most)))


def random_samples(count, seed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        references = tuple(random_text(rng, 12) for _ in range(rng.integers(1, 4)))
        near = references[0].split()
        near[int(rng.integers(len(near) + 1)) :][:2] = random_text(rng, 3).split()
        completion = " ".join(near) if rng.random() < 0.6 else random_text(rng, 14)
        table = [(name, random_text(rng, 4) or "fox") for name in WORDS[: rng.integers(1, 5)]]
        yield Sample("", completion, references, metadata={"table": table})


# ---------------------------------------------------------------------------- CIDEr


def plain_cider(samples):
    """CIDEr-D of each sample, from dense vectors over all n-grams of the corpus."""

    def grams(text, order):
        words = text.split()
        return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))

    scores = np.zeros(len(samples))
    for order in range(1, 5):
        documents = [set().union(*(grams(text, order) for text in sample.references)) for sample in samples]
        columns = sorted(set().union(*documents, *(grams(sample.completion, order) for sample in samples)))
        frequency = np.array([max(1, sum(gram in one for one in documents)) for gram in columns])

        def vector(text, order=order, columns=columns, frequency=frequency):
            counts = grams(text, order)
            return np.array([counts[gram] for gram in columns]) * np.log(len(samples) / frequency)

        for i, sample in enumerate(samples):
            ours = vector(sample.completion)
            for reference in sample.references:
                theirs = vector(reference)
                norm = np.linalg.norm(ours) * np.linalg.norm(theirs)
                pairs = grams(sample.completion, 2).total() - grams(reference, 2).total()
                cosine = (np.minimum(ours, theirs) * theirs).sum() / norm if norm else 0.0
                scores[i] += cosine * math.exp(-(pairs**2) / 72) / 4 / len(sample.references) * 10
    return scores


def test_cider_of_random_captions_is_that_of_dense_vectors():
    samples = [*random_samples(60, seed=1), Sample("", "", ("a cat",)), Sample("", "a cat", ("",))]
    assert CorpusCIDEr().values(samples) == pytest.approx(plain_cider(samples), abs=1e-9)


def test_cider_of_random_captions_is_that_of_pycocoevalcap():
    scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer").CiderScorer(n=4, sigma=6.0)
    samples = [*random_samples(500, seed=2)]
    for sample in samples:
        scorer += (sample.completion, list(sample.references))
    mean, each = scorer.compute_score()
    assert CorpusCIDEr().values(samples) == pytest.approx(each, abs=1e-9)
    assert CorpusCIDEr().compute(samples) == {"cider": pytest.approx(mean)}


def test_cider_as_a_reward_weighs_by_the_prompts_of_training():
    task = DataToText("train")
    reward = CIDEr(task, limit=200)
    assert repr(reward) == "CIDEr(corpus=<corpus of 200 prompts>, limit=200)"
    assert len(pickle.dumps(reward)) < 200_000  # n-grams of one prompt alone need no place
    prompt, other = task[0], task[1]
    values = reward([Sample("", text, prompt.references) for text in (*prompt.references, other.references[0], "")])
    assert min(values[:3]) > 0.3 > values[3] > values[4] == 0
    assert reward([Sample("", "One two three four.", ("one two three four",))]) == [pytest.approx(1)]
    assert pickle.loads(pickle.dumps(reward))([Sample("", "a pub", prompt.references)]) == reward(
        [Sample("", "a pub", prompt.references)]
    )


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ([], "has no prompts"),
        (["a cat"], "prompt 0 has 'a cat'"),
        ([("a",), ()], r"prompt 1 has \(\)"),
        ("captions.txt", "expected prompts"),
        (5, "corpus=5"),
    ],
)
def test_a_corpus_that_is_none(corpus, message):
    with pytest.raises(ConfigError, match=message):
        CIDEr(corpus)
    with pytest.raises(ConfigError, match="limit=0"):
        CIDEr([("a",)], limit=0)


# ---------------------------------------------------------------------------- PARENT


def plain_parent(completion, references, table):
    """PARENT's F-score, n-gram by n-gram, as its paper has it with lambda 1/2 and 1e-5 in the place of 0."""
    ours, values = completion.split(), [value.split() for _, value in table]
    known = {word for value in values for word in value}

    def grams(words, order):
        return [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]

    def entailed(gram):
        return len([word for word in gram if word in known]) / len(gram)

    def longest(a, b):
        lengths = np.zeros((len(a) + 1, len(b) + 1))
        for i, one in enumerate(a):
            for j, other in enumerate(b):
                lengths[i + 1, j + 1] = lengths[i, j] + 1 if one == other else max(lengths[i, j + 1], lengths[i + 1, j])
        return lengths[-1, -1]

    scores = []
    for reference in references:
        precisions, recalls = [], []
        for order in range(1, 5):
            mine, theirs = grams(ours, order), grams(reference.split(), order)
            left, right = Counter(theirs), 0.0
            for gram in mine:  # each occurrence takes one of the reference's, if it has any left
                right += 1 if left[gram] > 0 else entailed(gram)
                left[gram] -= 1
            precisions.append(right / len(mine) if mine else 0.0)
            left, right = Counter(mine), 0.0
            for gram in theirs:
                right += entailed(gram) * (left[gram] > 0)
                left[gram] -= 1
            total = sum(map(entailed, theirs))
            recalls.append(right / total if total else 1.0)
        precisions[1:], recalls[1:] = [p or 1e-5 for p in precisions[1:]], [r or 1e-5 for r in recalls[1:]]
        precision = math.prod(precisions) ** 0.25
        recall = math.prod(recalls) ** 0.25 if all(recalls) else 1e-5
        mentioned = sum(longest(value, ours) / len(value) for value in values) / len(values) or 1e-5
        recall = math.sqrt(recall * mentioned)
        scores.append(2 * precision * recall / (precision + recall + 1e-8))
    return max(scores)


def test_parent_of_random_texts_is_that_of_the_plain_form():
    for sample in random_samples(500, seed=3):
        table = sample.metadata["table"]
        expected = plain_parent(sample.completion, sample.references, table)
        assert MeanPARENT().compute([sample])["parent"] == pytest.approx(expected, abs=1e-9), sample


def test_parent_by_hand():
    table = [("Michael Dahlquist",), ("December 22 1965",)]
    score = parent("Michael Dahlquist was a drummer.", ["Michael Dahlquist (December 22, 1965)"], table)
    # 1 to 4-grams: 2 of 5 words right; pairs (1 + 1/2) of 4; triples (2/3 + 1/3) of 3; quadruples (1/2 + 1/4) of 2
    assert score.precision == pytest.approx((2 / 5 * 1.5 / 4 * 1 / 3 * 0.75 / 2) ** 0.25)
    # the reference is all of the table; 2 of 5 words, 1 of 4 pairs and no longer n-gram are said, and half of the table
    assert score.recall == pytest.approx(((2 / 5 * 1 / 4 * 1e-10) ** 0.25 * 0.5) ** 0.5)
    assert parent("", ["a fox"], [("fox",)]) == (0, 0, pytest.approx((1e-5 * 1e-5) ** 0.5))


def test_parent_reads_keywords_where_there_is_no_table():
    prompt = DataToText("validation")[0]
    best = Sample(prompt.text, f" {prompt.references[0]}", prompt.references, metadata=prompt.metadata)
    half = Sample(
        prompt.text, best.completion[: len(best.completion) // 2], prompt.references, metadata=prompt.metadata
    )
    values = PARENT()([best, half])
    assert values[0] == pytest.approx(1)
    assert 0 < values[1] < 0.9
    assert Faithfulness()([best]) == [1.0]
    assert Faithfulness()([half])[0] < 1


def test_without_a_table_they_abstain_and_say_so_once():
    bare = Sample("", "a cat", ("a cat",), prompt_id=3)
    for reward in (PARENT(), Faithfulness()):
        with pytest.warns(UserWarning, match=rf"'{reward.name}' abstains: prompt 3 has no metadata\['table'\]"):
            assert reward([bare, bare]) == [None, None]
    assert MeanPARENT().compute([bare]) == MeanFaithfulness().compute([bare]) == {}


@pytest.mark.parametrize("table", [5, [("a", "b", "c", "d")], [None], [{"a": 1}], [()]])
def test_a_table_that_is_none_is_an_error(table):
    sample = Sample("", "a", ("a",), metadata={"table": table}, prompt_id=3)
    for reward in (PARENT(), Faithfulness()):
        with pytest.raises(RewardError, match=r"expects a table in metadata\['table'\], but prompt 3 has"):
            reward([sample])
    with pytest.raises(MetricError, match="triples or values"):
        MeanFaithfulness().compute([sample])


# ---------------------------------------------------------------------------- faithfulness


@pytest.mark.parametrize(
    ("completion", "errors"),
    [
        ("The Fox is a pub near the River Café. It has French food for £20-25.", (0, 0)),
        ("the fox, a PUB near river café; french; £20-25", (0, 0)),
        ("The Fox is a pub near the River Café. It has French food.", (1, 0)),
        ("The Fox is a pub near the River Café. It has Italian food for £20-25.", (1, 1)),
        ("The Foxes run a pub near the River Café. It has French food for £20-25, 5 stars.", (1, 1)),
        ("The Fox is a pub near the River Café, open till 23:30. French food for £20-25.", (0, 0)),  # 23:30: the prompt
        ("", (5, 0)),
    ],
)
def test_slot_errors(completion, errors):
    table = {"name": "The Fox", "type": "pub", "near": "River Café", "food": "French", "price": "£20-25", "kids": "no"}
    entries = table_of(Sample("", "", metadata={"table": table}), "table", "x", MetricError)
    found = slot_errors(completion, entries, prompt="Until 23:30.", values=("French", "Italian", "Fox", "20"))
    assert found == (*errors, 5)


def test_slots_of_chinese_tables_are_anywhere():
    table = [("红狐酒馆",), ("鱼",), ("便宜",)]
    assert slot_errors("红狐酒馆很便宜，有鱼吃。", table) == (0, 0, 3)
    assert slot_errors("红狐酒馆很贵，有３0种鱼。", table) == (1, 1, 3)


def test_a_table_that_no_text_can_say_and_values_that_are_no_sequence():
    assert slot_errors("a", [("yes",)]) is None
    with pytest.raises(ConfigError, match="values='soup'"):
        Faithfulness(values="soup")


def test_modules_of_evaluate_take_tables(tmp_path):
    module = MeanFaithfulness().as_evaluate(cache_dir=str(tmp_path))
    about = [{"table": {"food": "fish"}}, {"table": {"food": "soup", "price": 20}}]
    texts = ["It has fish.", "It has soup for 20 to 30."]
    assert module.compute(predictions=texts, metadata=about) == {"faithfulness": 0.75}
    assert module.compute(predictions=texts, metadata=about, prompts=["", "30"]) == {"faithfulness": 1.0}
    with pytest.raises(MetricError, match="There are 2 metadata for 1 predictions"):
        module.compute(predictions=texts[:1], metadata=about)
    parents = MeanPARENT().as_evaluate(cache_dir=str(tmp_path))
    values = parents.compute(predictions=texts, references=[["It has fish."], ["Soup for 20."]], metadata=about)
    assert 0.3 < values["parent"] < 0.5


def test_very_long_texts_are_scored():
    long = "fox fish cheap " * 33_334
    sample = Sample("", long, ("the fox is cheap",), metadata={"table": [("a", "fox"), ("b", long)]})
    for reward in (PARENT(), Faithfulness(), CIDEr([("a fox",), ("the fox is cheap",)])):
        assert 0 <= reward([sample])[0] <= 1
    assert cider(long, [long], Corpus([(long,), ("a fox",)])) == pytest.approx(10)
