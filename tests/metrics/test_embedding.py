"""BERTScore equals that of the bert-score package; similarity of embeddings; with encoders that are made here."""

import pickle

import bert_score
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, T5Config, T5Model

from textgym.core import Sample
from textgym.errors import ConfigError, MetricError, ModelError, RewardError
from textgym.metrics import MeanBERTScore, MeanEmbedding
from textgym.metrics import embedding as module
from textgym.metrics.embedding import TokenEncoder
from textgym.rewards import BERTScore, EmbeddingSimilarity, parse_reward

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
WORDS = [
    "good",
    "bad",
    "soup",
    "was",
    "the",
    "fox",
    "hen",
    "ran",
    "sat",
    "in",
    "on",
    "red",
    "old",
    "house",
    "river",
    "a",
]


@pytest.fixture(scope="module")
def tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=32, **names)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    return BertModel(BertConfig(**sizes, vocab_size=len(SPECIAL + WORDS), max_position_embeddings=32)).eval()


@pytest.fixture(scope="module")
def folder(encoder, tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder")
    encoder.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def random_text(rng, least, most=12):
    return " ".join(rng.choice(WORDS, size=rng.integers(least, most)))


def by_formula(encoder, tokenizer, completion, reference):
    """BERTScore from its definition, text by text, with the last states."""

    def states(text):
        with torch.inference_mode():
            found = encoder(torch.tensor([tokenizer.encode(text)])).last_hidden_state[0]
        return found / found.norm(dim=-1, keepdim=True)

    cosines = states(completion) @ states(reference).T
    precision = float(cosines.amax(1)[1:-1].mean())
    recall = float(cosines.amax(0)[1:-1].mean())
    return 2 * precision * recall / (precision + recall), precision, recall


def test_bertscore_of_random_texts_is_that_of_its_formula(encoder, tokenizer):
    rng = np.random.default_rng(0)
    pairs = [(random_text(rng, 1), random_text(rng, 1)) for _ in range(60)]
    scores = TokenEncoder(encoder, tokenizer).scores([a for a, _ in pairs], [[b] for _, b in pairs])
    for score, (completion, reference) in zip(scores, pairs, strict=True):
        assert score == pytest.approx(by_formula(encoder, tokenizer, completion, reference), abs=1e-5)


@pytest.mark.slow
def test_bertscore_of_random_texts_is_that_of_bert_score(folder):
    layer = 2
    scorer = bert_score.BERTScorer(
        model_type=str(folder), num_layers=layer, batch_size=1, use_fast_tokenizer=True, device="cpu", nthreads=0
    )
    rng = np.random.default_rng(layer)
    completions = [random_text(rng, 1) for _ in range(250)]
    references = [[random_text(rng, 1) for _ in range(rng.integers(1, 3))] for _ in completions]
    expected = scorer.score(completions, references, batch_size=1)
    encoder = TokenEncoder(str(folder), layer=layer)
    scores = encoder.scores(completions, references)
    assert [score.f1 for score in scores] == pytest.approx(expected[2].tolist(), abs=1e-5)
    single = [texts[:1] for texts in references]
    precision, recall, _ = scorer.score(completions, single, batch_size=1)
    scores = encoder.scores(completions, single)
    assert [score.precision for score in scores] == pytest.approx(precision.tolist(), abs=1e-5)
    assert [score.recall for score in scores] == pytest.approx(recall.tolist(), abs=1e-5)


def test_a_text_is_like_itself_and_not_like_nothing(encoder, tokenizer):
    samples = [Sample("", " the red fox", ("the red fox",)), Sample("", "", ("the",)), Sample("", "the", ("",))]
    samples += [Sample("", " ", ("",)), Sample("", "the fox", ("a hen ran", "the fox"))]
    reward = BERTScore(encoder, tokenizer=tokenizer)
    assert reward(samples) == pytest.approx([1, 0, 0, 0, 1], abs=1e-6)
    assert EmbeddingSimilarity(encoder, tokenizer=tokenizer)(samples)[0] == pytest.approx(1, abs=1e-6)


def test_a_baseline_stretches_the_scale(encoder, tokenizer):
    sample = Sample("", "the red fox", ("a hen sat",))
    plain = BERTScore(encoder, tokenizer=tokenizer)([sample])[0]
    low = plain - 0.25 * (1 - plain)
    stretched = BERTScore(encoder, tokenizer=tokenizer, baseline=low)([sample])[0]
    assert stretched == pytest.approx((plain - low) / (1 - low))
    assert BERTScore(encoder, tokenizer=tokenizer, baseline=(plain + 1) / 2)([sample]) == [0.0]


def test_references_are_encoded_once(encoder, tokenizer, monkeypatch):
    for reward in (BERTScore(encoder, tokenizer=tokenizer), EmbeddingSimilarity(encoder, tokenizer=tokenizer)):
        read, windows = [], reward.windows
        monkeypatch.setattr(
            reward, "windows", lambda texts, known=windows, seen=read: (seen.extend(texts), known(texts))[1]
        )
        samples = [Sample("", "the fox", ("a hen", "the hen")), Sample("", "a fox", ("a hen",))]
        first = reward(samples)
        assert sorted(read) == ["a fox", "a hen", "the fox", "the hen"]
        assert reward(samples) == pytest.approx(first, abs=1e-6)
        assert sorted(read[4:]) == ["a fox", "the fox"]


def test_the_states_that_are_kept_are_bounded(encoder, tokenizer, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_TOKENS", 20)
    reward = BERTScore(encoder, tokenizer=tokenizer)
    values = [reward([Sample("", "the fox", (f"{word} soup on the river",))])[0] for word in WORDS]
    assert len(reward._known) < 7
    assert values == pytest.approx(
        [reward([Sample("", "the fox", (f"{word} soup on the river",))])[0] for word in WORDS]
    )


def test_all_of_a_long_text_is_read_each_token_once(encoder, tokenizer, monkeypatch):
    scorer = TokenEncoder(encoder, tokenizer)
    rng = np.random.default_rng(3)
    for words in (29, 30, 31, 44, 45, 46, 100):
        text = " ".join(rng.choice(WORDS, size=words))
        (states,) = scorer.states([text])
        assert len(states.tokens) == words
        assert len(states.special) == 2
        windows = scorer.windows([text])
        assert [i for window in windows for i in window.ids[window.known :]] == tokenizer.encode(
            text, add_special_tokens=False
        )
    long = Sample("", "the fox ran " * 1000, ("the fox ran " * 1000,))
    monkeypatch.setattr(module, "AT_ONCE", 100_000)  # in parts
    assert BERTScore(encoder, tokenizer=tokenizer)([long])[0] == pytest.approx(1, abs=1e-5)


def test_an_encoder_decoder_is_read_by_its_encoder(tokenizer):
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": len(SPECIAL + WORDS)}
    model = T5Model(T5Config(**sizes, pad_token_id=0, decoder_start_token_id=0)).eval()
    samples = [Sample("", "the red fox", ("the red fox",)), Sample("", "the fox", ("a hen sat",))]
    for reward in (BERTScore(model, tokenizer=tokenizer), EmbeddingSimilarity(model, tokenizer=tokenizer)):
        same, other = reward(samples)
        assert other < same == pytest.approx(1, abs=1e-6)


def test_metrics_are_the_means_of_the_rewards(folder):
    samples = [Sample("", "the red fox", ("the old fox", "a hen")), Sample("", "", ("a hen",))]
    for metric, reward in (
        (MeanBERTScore(folder), BERTScore(folder)),
        (MeanEmbedding(folder), EmbeddingSimilarity(folder)),
    ):
        assert metric.values(samples) == pytest.approx(reward(samples), abs=1e-6)
        assert f"|model:{folder}" in metric.signature
        assert pickle.loads(pickle.dumps(metric)).compute(samples) == pytest.approx(metric.compute(samples))
        assert pickle.loads(pickle.dumps(reward))(samples) == pytest.approx(reward(samples), abs=1e-6)
        with pytest.raises(MetricError, match="has no references"):
            metric.compute([Sample("", "a")])
        with pytest.raises(RewardError, match="has no references"):
            reward([Sample("", "a")])
    assert (
        "|measure:recall|layer:2|idf:no|baseline:0.5|version:transformers-"
        in MeanBERTScore(folder, "recall", layer=2, baseline=0.5).signature
    )
    formula = parse_reward(f"bertscore('{folder}', measure='precision', layer=1)")
    assert formula(samples) == BERTScore(folder, "precision", layer=1)(samples)
    assert repr(formula) == f"BERTScore({str(folder)!r}, measure='precision', layer=1)"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measure": "f2"}, "measure='f2'"),
        ({"layer": 1.5}, "layer=1.5"),
        ({"layer": True}, "layer=True"),
        ({"baseline": 1}, "baseline=1"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        BERTScore("encoder", **settings)


def test_a_layer_or_a_model_that_is_not_there(encoder, tokenizer, tmp_path):
    with pytest.raises(ConfigError, match=r"layer=4, but .* has 3"):
        BERTScore(encoder, tokenizer=tokenizer, layer=4)([Sample("", "a", ("a",))])
    with pytest.raises(ModelError, match="Can't load the model of BERTScore from"):
        BERTScore(tmp_path / "nothing", tokenizer=tokenizer)([Sample("", "a", ("a",))])
