"""Models of random weights, without dropout: to be pretrained, or timed."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel


def random_model(
    kind: str,
    vocabulary: int,
    hidden: int = 256,
    layers: int = 4,
    heads: int | None = None,
    *,
    seed: int = 0,
    **more: Any,
) -> Any:
    """A GPT-2, a Llama, or a T5 with as many layers in the encoder as in the decoder, in eval mode.

    Args:
        kind: "gpt2", "llama" or "t5".
        vocabulary: number of tokens.
        hidden, layers, heads: width, depth, and attention heads of each layer. Default: heads of 64 numbers each.
        seed: of the weights. The global random numbers stay as they are.
        more: of the configuration, such as ``eos_token_id`` and ``pad_token_id``.

    >>> random_model("gpt2", 5000).num_parameters()
    4701696
    """
    heads = heads or hidden // 64 or 1
    sizes: dict[str, Any] = {
        "gpt2": {"n_embd": hidden, "n_layer": layers, "n_head": heads}
        | {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
        "llama": {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
        | {"intermediate_size": hidden * 8 // 3},
        "t5": {"d_model": hidden, "d_kv": max(hidden // heads, 1), "d_ff": hidden * 2}
        | {"num_layers": layers, "num_heads": heads, "dropout_rate": 0.0},
    }
    config = AutoConfig.for_model(kind, vocab_size=vocabulary, **{**sizes[kind], **more})
    auto: Any = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return auto.from_config(config).eval()


def untrained(model: PreTrainedModel, seed: int = 0) -> Any:
    """A model of the same sizes as another, with random weights, in eval mode.

    >>> untrained(random_model("gpt2", 300)).num_parameters() == random_model("gpt2", 300).num_parameters()
    True
    """
    auto: Any = AutoModelForSeq2SeqLM if model.config.is_encoder_decoder else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return auto.from_config(model.config).eval()
