"""Fluency by a model of a few parameters and by the built-in one; repetition."""

import pickle

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from textgym.core import Sample
from textgym.errors import ConfigError, ModelError, TokenizerError
from textgym.rewards import Fluency, NoRepeats, parse_reward
from textgym.tokenizer import builtin_tokenizer


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32, "vocab_size": len(builtin_tokenizer())}
    return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)).eval()


def tiny(model, **settings):
    return Fluency(model, builtin_tokenizer(), low=-9, high=-6, **settings)


def test_log_probabilities_are_the_model_s(model):
    tokenizer, sample = builtin_tokenizer(), Sample("Words: lamp\nCopy:", " lamp old")
    before, after = tokenizer.encode(sample.prompt), [*tokenizer.encode(sample.completion), tokenizer.eos_token_id]
    with torch.inference_mode():
        logits = model(torch.tensor([before + after])).logits[0].double()
    expected = logits[len(before) - 1 : -1].log_softmax(-1)[range(len(after)), after]
    (found,) = tiny(model).token_log_probs([sample])
    assert found == pytest.approx(expected.tolist(), abs=1e-6)
    assert tiny(model, worst=1).log_likelihoods([sample]) == [pytest.approx(float(expected.mean()), abs=1e-6)]
    assert tiny(model, worst=0.01).log_likelihoods([sample]) == [pytest.approx(float(expected.min()), abs=1e-6)]


def test_a_batch_scores_as_its_texts_do_alone(model):
    samples = [Sample("a" * n, " lamp" * (n + 1)) for n in range(7)]
    reward = tiny(model, batch_size=3)
    assert reward(samples) == pytest.approx([reward.score(sample) for sample in samples], abs=1e-6)
    assert reward(samples[::-1]) == pytest.approx(reward(samples)[::-1], abs=1e-6)


def test_every_token_of_a_long_text_counts_once(model):
    text = " lamp river old garden" * 30  # the model has 32 positions
    (found,) = tiny(model).token_log_probs([Sample("Words:", text)])
    assert len(found) == len(builtin_tokenizer().encode(text)) + 1


def test_the_end_token_counts_where_there_is_one(model):
    texts = [Sample("p", " lamp", finish_reason=finish) for finish in ("eos", "length", "stop")]
    assert [len(tokens) for tokens in tiny(model).token_log_probs(texts)] == [2, 1, 1]
    assert tiny(model)([Sample("p", "", finish_reason="length")]) == [None]
    assert len(tiny(model, prompt=False).token_log_probs([Sample("p", " lamp")])[0]) == 1  # the first has no context


def test_a_model_in_training_mode_scores_without_dropout_and_stays_in_it(model):
    expected = tiny(model)([Sample("p", " lamp")])
    model.train()
    try:
        assert tiny(model)([Sample("p", " lamp")]) == expected
        assert model.training
    finally:
        model.eval()


def test_a_reward_with_a_model_has_a_short_repr_and_pickles(model):
    assert repr(tiny(model)) == "Fluency(model=<GPT2LMHeadModel>, tokenizer=<BuiltinTokenizer>, low=-9, high=-6)"
    assert repr(Fluency()) == "Fluency()"
    reward = Fluency()
    prompt = "Words: lamp river old\nCopy:"
    samples = [Sample(prompt, " lamp river old"), Sample(prompt, " old lamp"), Sample(prompt, "")]
    values = reward(samples)
    assert values == pytest.approx([1, 0, 0], abs=0.01)
    assert pickle.loads(pickle.dumps(reward))(samples) == values
    assert len(pickle.dumps(reward)) < 1000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fluency(low=-1, high=-1), "low=-1, high=-1"),
        (lambda: Fluency(worst=0), "worst=0"),
        (lambda: Fluency(batch_size=0), "batch_size=0"),
        (lambda: NoRepeats(window=0), "window=0"),
    ],
)
def test_settings_that_make_no_sense(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"the model of Fluency from .*nothing"):
        Fluency(str(tmp_path / "nothing"), builtin_tokenizer()).load_model()
    with pytest.raises(TokenizerError, match=r"Pass its own: Fluency\(model, tokenizer=\.\.\.\)"):
        Fluency(str(tmp_path / "nothing")).load_tokenizer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" kitchen pancakes pancakes cheese garden garden", 4 / 6),
        (" good" * 24, 1 / 24),
        (" The staff was kind and the soup was warm.", 1),
        (" one two three four five. One two three four five.", 6 / 10),
        (" 天天天", 1 / 3),
        (" ... ", 0),
    ],
)
def test_repeated_words(text, expected):
    assert NoRepeats().score(Sample("", text)) == pytest.approx(expected)


def test_a_text_may_come_in_the_place_of_every_prompt():
    sample = Sample("English:", " The boy saw the dog.")
    for other in ("", "Data: name: The Red Fox\nText:"):
        assert Fluency(prompt="English:").log_likelihoods(
            [Sample(other, sample.completion)]
        ) == Fluency().log_likelihoods([sample])
    assert Fluency(prompt="").log_likelihoods([sample]) == Fluency(prompt=False).log_likelihoods([sample])
    written = "Fluency(low=-14, high=-11, prompt='English:')"
    assert repr(parse_reward("fluency(prompt='English:', low=-14, high=-11)")) == written
