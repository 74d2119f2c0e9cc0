"""Tiny models of several kinds, and arguments of environments that fit them."""

from typing import Any

import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MarianConfig,
    MarianMTModel,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from textgym.tokenizer import builtin_tokenizer

CAUSAL = ("gpt2", "llama", "gpt_neox", "qwen2")  # their policies use the slot cache
UNCACHED = ("mistral-sliding", "bloom", "mamba")  # theirs can't
SEQ2SEQ = ("t5", "t5-tied", "bart", "marian")

END = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
LLAMA = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
BART = {
    "d_model": 32,
    **{
        f"{half}_{name}": size
        for half in ("encoder", "decoder")
        for name, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))
    },
    "decoder_start_token_id": 0,
    "forced_eos_token_id": None,
}
T5 = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16,
    "decoder_start_token_id": 0,
}


def tiny_model(kind: str, positions: int = 64, **overrides: Any) -> Any:
    """A random model with sharp enough logits to matter. Its vocabulary is padded beyond the tokenizer's."""
    vocabulary = len(builtin_tokenizer()) + 6
    grouped = {**LLAMA, "num_key_value_heads": 2}
    longest = {"max_position_embeddings": positions}
    rows: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "gpt2": (GPT2LMHeadModel, GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": positions}),
        "llama": (LlamaForCausalLM, LlamaConfig, {**grouped, **longest}),
        "gpt_neox": (GPTNeoXForCausalLM, GPTNeoXConfig, {**LLAMA, **longest}),
        "qwen2": (Qwen2ForCausalLM, Qwen2Config, {**grouped, **longest}),
        "mistral-sliding": (MistralForCausalLM, MistralConfig, {**grouped, **longest, "sliding_window": 3}),
        "bloom": (BloomForCausalLM, BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
        "mamba": (MambaForCausalLM, MambaConfig, {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
        "t5": (T5ForConditionalGeneration, T5Config, {**T5, "tie_word_embeddings": False}),
        "t5-tied": (T5ForConditionalGeneration, T5Config, {**T5, "feed_forward_proj": "gated-gelu"}),
        "bart": (BartForConditionalGeneration, BartConfig, {**BART, **longest}),
        "marian": (MarianMTModel, MarianConfig, {**BART, **longest, "decoder_vocab_size": vocabulary}),
    }
    model_class, config_class, options = rows[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config_class(vocab_size=vocabulary, **{**END, **options, **overrides}))
        for parameter in model.parameters():
            parameter.data.mul_(4 if parameter.dim() > 1 and not kind.startswith("t5") else 1)
    return model.eval()


SMALL = {"max_prompt_tokens": 12, "max_new_tokens": 10}
