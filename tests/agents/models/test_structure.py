"""What a model is made of: trunk, head and the factor between them, positions, vocabulary, adapters."""

import pytest
import torch

from tests.agents.tiny_models import CAUSAL, SEQ2SEQ, tiny_model
from textgym.errors import ModelError
from textgym_agents import models


def inputs(model):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(2, model.config.vocab_size, (2, 5), generator=generator)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    return {"input_ids": ids, "attention_mask": mask}, {"input_ids": ids.flip(1)}


@torch.no_grad()
def logits_from_parts(model):
    """Logits from ``trunk_and_head``, ``head_scale`` and ``head_bias``, and the model's own."""
    trunk, head = models.trunk_and_head(model)
    prompt, completion = inputs(model)
    if not models.is_encoder_decoder(model):
        return head(trunk(**prompt).last_hidden_state), model(**prompt).logits
    own = model(**prompt, decoder_input_ids=completion["input_ids"]).logits
    encoded = model.get_encoder()(**prompt).last_hidden_state
    memory = {"encoder_hidden_states": encoded, "encoder_attention_mask": prompt["attention_mask"]}
    logits = head(models.head_scale(model) * trunk(**completion, **memory).last_hidden_state)
    bias = models.head_bias(model)
    return logits if bias is None else logits + bias, own


@pytest.mark.parametrize("kind", [*CAUSAL, *SEQ2SEQ])
def test_the_parts_make_the_models_own_logits(kind):
    torch.testing.assert_close(*logits_from_parts(tiny_model(kind)))


@pytest.mark.parametrize("kind", ["bart", "marian"])
def test_a_bias_on_the_logits_is_found(kind):
    model = tiny_model(kind)
    assert models.head_bias(model) is None
    model.final_logits_bias += torch.linspace(-1, 1, model.final_logits_bias.shape[1])
    assert models.head_bias(model).shape == (model.config.vocab_size,)
    torch.testing.assert_close(*logits_from_parts(model))


def test_only_the_first_kind_of_t5_rescales():
    scales = {kind: models.head_scale(tiny_model(kind)) for kind in ("gpt2", *SEQ2SEQ)}
    assert scales == {"gpt2": 1.0, "t5": 1.0, "t5-tied": 32**-0.5, "bart": 1.0, "marian": 1.0}


@pytest.mark.parametrize("kind", ["llama", "t5", "bart"])
@pytest.mark.parametrize("change", [lambda logits: 2 * logits, torch.tanh])
def test_a_model_that_does_more_to_its_logits_is_refused(kind, change):
    model = tiny_model(kind)
    forward = model.forward

    def changed(**kwargs):
        output = forward(**kwargs)
        output.logits = change(output.logits)
        return output

    model.forward = changed
    with pytest.raises(ModelError, match="more between its last hidden state and its logits"):
        models.trunk_and_head(model)
    with pytest.raises(ModelError, match="more between"):
        models.head_scale(model)


def test_positions_and_vocabulary():
    gpt2, bart, t5 = tiny_model("gpt2", positions=20), tiny_model("bart", positions=20), tiny_model("t5")
    t5.config.n_positions = 8  # as in the configurations of the first T5 models, where it limits nothing
    actions = gpt2.config.vocab_size
    for model in (gpt2, bart, t5):
        models.check_fit(model, 20, actions)
        with pytest.raises(ModelError, match=f"The tokenizer has {actions + 1} tokens, the model only {actions}"):
            models.check_fit(model, 20, actions + 1)
    models.check_fit(t5, 5000, actions)
    with pytest.raises(ModelError, match=r"21 tokens \(prompt and completion\), the model has only 20 positions"):
        models.check_fit(gpt2, 21, actions)
    with pytest.raises(ModelError, match=r"21 tokens \(prompt or start token and completion\).* only 20 positions"):
        models.check_fit(bart, 21, actions)


@pytest.mark.parametrize("kind", SEQ2SEQ)
def test_adapters_of_an_encoder_decoder_model(kind):
    model = tiny_model(kind)
    before = logits_from_parts(model)[1]
    adapted = models.add_lora(model, 2)
    assert type(adapted).__name__ == "PeftModelForSeq2SeqLM"
    assert {"lora_A", "lora_B"} == {name.split(".")[-3] for name, p in adapted.named_parameters() if p.requires_grad}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert any("encoder" in name for name in trained)
    assert any("decoder" in name for name in trained)
    torch.testing.assert_close(logits_from_parts(model)[1], before)
