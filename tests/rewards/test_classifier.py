"""Classifiers, reward models and encoders of a few parameters, made here."""

import pickle

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
)

from textgym.core import Sample
from textgym.errors import ConfigError, ModelError, RewardError
from textgym.rewards import ClassifierReward, EmbeddingSimilarity

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "good", "bad", "soup", "was", "the"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")


def bert(cls, labels=2, **settings):
    torch.manual_seed(0)
    config = BertConfig(**SIZES, vocab_size=len(WORDS), max_position_embeddings=12, num_labels=labels, **settings)
    return cls(config).eval()


@pytest.fixture(scope="module")
def model():
    return bert(BertForSequenceClassification, id2label={0: "NEG", 1: "POS"}, label2id={"NEG": 0, "POS": 1})


SAMPLES = [Sample("the soup was", " good"), Sample("the soup was", " bad bad"), Sample("the", ""), Sample("", " was")]


def test_the_probability_is_the_model_s_and_batches_change_nothing(model, tokenizer):
    with torch.inference_mode():
        logits = model(torch.tensor([tokenizer.encode("the soup was good")])).logits.double()
    expected = float(logits.softmax(-1)[0, 1])
    reward = ClassifierReward(model, "pos", tokenizer=tokenizer, text="full", batch_size=3)
    values = reward(SAMPLES)
    assert values[0] == pytest.approx(expected, abs=1e-6)
    assert values == pytest.approx([reward.score(sample) for sample in SAMPLES], abs=1e-6)
    opposite = ClassifierReward(model, 0, tokenizer=tokenizer, text="full")(SAMPLES)
    assert [a + b for a, b in zip(values, opposite, strict=True)] == pytest.approx([1] * len(SAMPLES), abs=1e-6)
    alone = ClassifierReward(model, "POS", tokenizer=tokenizer)
    assert alone(SAMPLES[:1]) == alone([Sample("bad bad", " good")]) != values[:1]


@pytest.mark.parametrize("pad", [0, None])
def test_a_model_with_one_label_is_a_reward_model(tokenizer, pad):
    """One that reads its value at the last token, with and without a padding token, which its batches would need."""
    torch.manual_seed(0)
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 16, "vocab_size": len(WORDS)}
    config = GPT2Config(**sizes, num_labels=1, pad_token_id=pad, bos_token_id=None, eos_token_id=None)
    model = GPT2ForSequenceClassification(config).eval()
    reward = ClassifierReward(model, tokenizer=tokenizer, text="full")
    with torch.inference_mode():
        expected = [float(model(torch.tensor([tokenizer.encode(s.prompt + s.completion)])).logits) for s in SAMPLES]
    assert reward(SAMPLES) == pytest.approx(expected, abs=1e-6)


def test_labels_that_exclude_nothing_have_probabilities_of_their_own(tokenizer):
    model = bert(BertForSequenceClassification, 3, problem_type="multi_label_classification")
    values = [ClassifierReward(model, i, tokenizer=tokenizer)(SAMPLES[:1])[0] for i in range(3)]
    assert sum(values) != pytest.approx(1, abs=1e-3)


def test_all_of_a_long_text_is_read(model, tokenizer):
    reward = ClassifierReward(model, "POS", tokenizer=tokenizer)
    rows, owners = reward.encoded([" good" * 40 + " bad", "good"])
    assert max(map(len, rows)) <= 12
    assert owners == [0] * (len(rows) - 1) + [1]
    assert rows[-2][-2] == WORDS.index("bad")
    assert all(row[0] == 1 and row[-1] == 2 for row in rows)
    assert reward([Sample("", " good" * 40 + " bad" * 40)]) != reward([Sample("", " good" * 80)])


@pytest.mark.parametrize("label", [None, "happy", 2, -1, True])
def test_a_label_that_the_model_does_not_have(model, tokenizer, label):
    with pytest.raises(ConfigError, match="none of the model's labels: NEG, POS"):
        ClassifierReward(model, label, tokenizer=tokenizer)(SAMPLES)


def test_a_model_in_a_folder_is_loaded_and_one_without_a_head_refused(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path / "classifier")
    tokenizer.save_pretrained(tmp_path / "classifier")
    reward = ClassifierReward(tmp_path / "classifier", "POS")
    assert reward(SAMPLES) == pytest.approx(ClassifierReward(model, "POS", tokenizer=tokenizer)(SAMPLES), abs=1e-6)
    assert pickle.loads(pickle.dumps(reward))(SAMPLES) == reward(SAMPLES)
    assert len(repr(ClassifierReward(model, "POS", tokenizer=tokenizer))) < 200
    bert(BertModel).save_pretrained(tmp_path / "encoder")
    with pytest.raises(ModelError, match=r"no trained classifier\.bias.*would be random"):
        ClassifierReward(tmp_path / "encoder", 0, tokenizer=tokenizer)(SAMPLES)


def test_similarity_is_the_cosine_of_mean_states(tokenizer):
    encoder = bert(BertModel)
    reward = EmbeddingSimilarity(encoder, tokenizer=tokenizer)

    def embedded(text):
        with torch.inference_mode():
            return encoder(torch.tensor([tokenizer.encode(text)])).last_hidden_state[0].double().mean(0)

    first, second = embedded("the soup was good"), embedded("bad soup")
    expected = max(0.0, float(torch.cosine_similarity(first, second, dim=0)))
    samples = [
        Sample("", " the soup was good", ("bad soup",)),
        Sample("", " bad soup", ("the soup was good", "bad soup")),
        Sample("", "", ("good",)),
    ]
    values = reward(samples)
    assert values[:2] == pytest.approx([expected, 1], abs=1e-6)
    assert 0 <= values[2] <= 1
    assert values == pytest.approx([reward.score(sample) for sample in samples], abs=1e-6)
    assert reward([Sample("", " good" * 50, ("good " * 50,))]) == [pytest.approx(1)]
    with pytest.raises(RewardError, match="no references"):
        reward([Sample("", "good")])
