"""Loading models: folders, GGUF, the built-in one, and clear errors."""

import builtins
import json
import warnings

import gymnasium as gym
import huggingface_hub
import pytest
import torch
import transformers
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from tests.agents.tiny_models import SEQ2SEQ, tiny_model
from textgym.errors import MissingExtraError, ModelError, TokenizerError
from textgym.tokenizer import (
    BUILTIN_MEDIUM,
    BUILTIN_MEDIUM_SEQ2SEQ,
    BUILTIN_MODEL,
    BUILTIN_MODELS,
    BUILTIN_TINY,
    ENCODER_DECODERS,
    builtin_folder,
)
from textgym_agents import models

VOCABULARIES = {BUILTIN_TINY: 512, BUILTIN_MEDIUM: 4096, BUILTIN_MEDIUM_SEQ2SEQ: 4096}


@pytest.mark.parametrize("name", BUILTIN_MODELS)
def test_the_builtin_models(name):
    model, tokenizer = models.load(name)
    parameters = sum(p.numel() for p in model.parameters())
    least, most = (100_000, 250_000) if name == BUILTIN_TINY else (1_000_000, 3_000_000)
    assert least <= parameters <= most
    assert len(tokenizer) == model.get_input_embeddings().num_embeddings == VOCABULARIES.get(name, 2048)
    assert (builtin_folder(name) / "model.safetensors").stat().st_size <= 6 * 2**20
    assert model.get_input_embeddings().weight.dtype == torch.float32
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert not [p.name for p in builtin_folder(name).iterdir() if p.suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize("names", ENCODER_DECODERS.items(), ids=ENCODER_DECODERS.keys())
def test_a_model_and_its_counterpart_share_a_tokenizer(names):
    first, second = ((builtin_folder(name) / "tokenizer.json").read_bytes() for name in names)
    assert first == second


@pytest.mark.parametrize("name", BUILTIN_MODELS)
def test_builtin_tokenizers_are_the_same_with_and_without_transformers(name):
    from textgym.tokenizer import builtin_tokenizer, length_factor

    theirs, ours = AutoTokenizer.from_pretrained(builtin_folder(name)), builtin_tokenizer(name)
    assert length_factor(theirs) == length_factor(ours)
    for text in ["A small world: 3 cafés.\nText:", "Grüße an die Königin", "你好", "<|endoftext|> <|pad|>", ""]:
        assert ours.encode(text) == theirs.encode(text)
        assert ours.decode(ours.encode(text)) == theirs.decode(theirs.encode(text), clean_up_tokenization_spaces=False)
    assert (len(ours), ours.eos_token_id, ours.pad_token_id) == (len(theirs), theirs.eos_token_id, theirs.pad_token_id)


def test_a_folder_and_its_dtype(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(builtin_folder()).save_pretrained(tmp_path)
    model, _ = models.load(tmp_path, dtype="bfloat16", local_files_only=True)
    assert model.dtype == torch.bfloat16
    assert not model.training


@pytest.mark.parametrize("kind", ["llama", *SEQ2SEQ])
def test_a_folder_loads_as_the_kind_that_its_configuration_names(kind, tmp_path):
    model = tiny_model(kind)
    tokenizer = AutoTokenizer.from_pretrained(builtin_folder())
    models.save(model, tokenizer, tmp_path)
    loaded, again = models.load(tmp_path, local_files_only=True)
    assert type(loaded) is type(model)
    assert len(again) == len(tokenizer)
    for thing in (model, loaded, tmp_path, str(tmp_path)):
        assert models.is_encoder_decoder(thing) == (kind in SEQ2SEQ)
    for (name, one), other in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert one.requires_grad == other.requires_grad, name  # a Marian's positions are fixed
        assert not one.requires_grad or torch.equal(one, other), name


def test_the_start_token_of_a_decoder(tmp_path):
    model = tiny_model("bart", decoder_start_token_id=7)
    models.save(model, None, tmp_path)
    assert models.decoder_start_token_id(model) == models.decoder_start_token_id(tmp_path) == 7
    model.config.decoder_start_token_id = None
    model.generation_config.decoder_start_token_id = 5
    models.save(model, None, tmp_path)
    assert models.decoder_start_token_id(model) == models.decoder_start_token_id(tmp_path) == 5
    model.generation_config.decoder_start_token_id = None
    (tmp_path / "generation_config.json").unlink()
    assert models.decoder_start_token_id(model) == models.decoder_start_token_id(tmp_path) == 0  # the pad token


def test_loading_shows_no_bar_and_leaves_the_settings_of_bars_alone(capfd):
    logging, hub = transformers.utils.logging, huggingface_hub.utils
    shown = logging.is_progress_bar_enabled()
    try:
        for enable in (True, False):
            (logging.enable_progress_bar if enable else logging.disable_progress_bar)()
            capfd.readouterr()
            models.load("textgym/small-seq2seq")
            assert capfd.readouterr().err == ""
            assert logging.is_progress_bar_enabled() == enable
            assert hub.are_progress_bars_disabled() != enable
    finally:
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()


def test_saved_weights_have_the_permissions_of_the_other_files(tmp_path):
    models.save(tiny_model("t5"), None, tmp_path)
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(set(modes.values())) == 1, modes


@pytest.mark.parametrize("begins", [False, True])
def test_a_saved_folder_answers_chats_with_the_prompt_as_it_is(begins, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(builtin_folder())
    tokenizer.chat_template = None
    if begins:  # as a Llama's does
        end = tokenizer.eos_token
        tokenizer._tokenizer.post_processor = TemplateProcessing(single=f"{end} $A", special_tokens=[(end, 1)])
    models.save(tiny_model("llama"), tokenizer, tmp_path)
    assert tokenizer.chat_template is None
    saved = models.load_tokenizer(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no warning of a template that isn't used
        env = gym.make("textgym/DataToText-v0", tokenizer=saved).unwrapped
    prompt = "Repeat: {{ a }}  b\n"
    ids = saved.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True)["input_ids"]
    assert ids == env.mdp.rules.encode_prompt(prompt)[0].tolist()
    assert (ids[0] == tokenizer.bos_token_id) == begins


def test_a_template_that_is_there_stays_and_encoder_decoders_get_none(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(builtin_folder())
    tokenizer.chat_template = "{{ messages[0]['content'] }}!"
    models.save(tiny_model("llama"), tokenizer, tmp_path / "own")
    assert models.load_tokenizer(tmp_path / "own").chat_template == tokenizer.chat_template
    tokenizer.chat_template = None
    models.save(tiny_model("t5"), tokenizer, tmp_path / "t5")
    assert models.load_tokenizer(tmp_path / "t5").chat_template is None


def test_the_builtin_models_load_as_float32_by_transformers():
    for name in BUILTIN_MODELS:
        kind = AutoModelForSeq2SeqLM if name in ENCODER_DECODERS.values() else AutoModelForCausalLM
        assert kind.from_pretrained(builtin_folder(name)).dtype == torch.float32


def test_a_gguf_file_loads_like_a_folder(tmp_path):
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "tiny.gguf"
    _write_gguf(gguf, path)
    for name in (path, tmp_path):
        model, tokenizer = models.load(name)
        assert model.config.model_type == "llama"
        assert not models.is_encoder_decoder(name)
        assert tokenizer.eos_token_id is not None
        torch.testing.assert_close(model.get_input_embeddings().weight, torch.full((300, 32), 0.5))


def _write_gguf(gguf, path):
    """A Llama of one layer, every weight 0.5, with the byte alphabet as its vocabulary."""
    from tokenizers.pre_tokenizers import ByteLevel

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(300)
    tokens = ["<unk>", "<s>", "</s>", *sorted(ByteLevel.alphabet())]
    tokens += ["ab", *(f"<extra_{i}>" for i in range(299 - len(tokens)))]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * 297)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    shapes = {
        "token_embd": (300, 32), "output_norm": (32,), "output": (300, 32), "blk.0.attn_norm": (32,),
        "blk.0.ffn_norm": (32,), "blk.0.attn_q": (32, 32), "blk.0.attn_k": (32, 32), "blk.0.attn_v": (32, 32),
        "blk.0.attn_output": (32, 32), "blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64),
    }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", torch.full(shape, 0.5).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_missing_extras_name_the_pip_command(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name in ("gguf", "peft"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(MissingExtraError, match="pip install 'gguf>="):
        models.load(tmp_path / "model.gguf")
    with pytest.raises(MissingExtraError, match="pip install 'peft>="):
        models.add_lora(tiny_model("gpt2"), 4)


def test_folders_without_a_model(tmp_path):
    with pytest.raises(ModelError, match=r"neither config.json nor a .gguf file"):
        models.load(tmp_path)
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"2 .gguf files: name one"):
        models.load(tmp_path)


def test_unknown_names():
    with pytest.raises(TokenizerError, match=r"textgym/large.*textgym/small"):
        models.load("textgym/large")
    with pytest.raises(ModelError, match=r"Can't load a language model from '/no/such/folder'"):
        models.is_encoder_decoder("/no/such/folder", local_files_only=True)
    with pytest.raises(ModelError, match="dtype is 'int3'"):
        models.load(dtype="int3")


def test_pickled_weights_are_refused(tmp_path):
    model = tiny_model("gpt2")
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    AutoTokenizer.from_pretrained(builtin_folder()).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="safetensors"):
        models.load(tmp_path)


def test_a_tokenizer_without_an_end_token(tmp_path):
    AutoTokenizer.from_pretrained(builtin_folder()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config.pop("eos_token")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "special_tokens_map.json").unlink(missing_ok=True)
    tiny_model("gpt2").save_pretrained(tmp_path)
    with pytest.raises(TokenizerError, match="no end token"):
        models.load(tmp_path)


def test_end_token_ids():
    model = tiny_model("gpt2")
    _, tokenizer = models.load(BUILTIN_MODEL)
    model.generation_config.eos_token_id = [7, 1]
    assert models.end_token_ids(model, tokenizer) == (1, 7)
