"""Tiny models of several kinds, and arguments of environments that fit them."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from textgym.tokenizer import builtin_tokenizer


def tiny_model(kind: str, positions: int = 64, **overrides):
    """A random model with sharp enough logits to matter. Its vocabulary is padded beyond the tokenizer's."""
    vocabulary = len(builtin_tokenizer()) + 6
    end = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    llama = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "gpt2":
            options = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": positions, **end, **overrides}
            model = GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, **options))
        elif kind == "llama":
            options = {**llama, "num_key_value_heads": 2, "max_position_embeddings": positions, **end, **overrides}
            model = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **options))
        else:
            options = {**llama, "max_position_embeddings": positions, **end, **overrides}
            model = GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=vocabulary, **options))
        for parameter in model.parameters():
            parameter.data.mul_(4 if parameter.dim() > 1 else 1)
    return model.eval()


SMALL = {"max_prompt_tokens": 12, "max_new_tokens": 10}
