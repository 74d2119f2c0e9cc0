"""Load and save language models, and take them apart."""

from textgym_agents.models.default import default_model
from textgym_agents.models.given import has_adapters, split_adapters, take
from textgym_agents.models.loading import (
    DTYPES,
    check_model_object,
    decoder_start_token_id,
    form_of,
    has_tokenizer,
    is_encoder_decoder,
    load,
    load_tokenizer,
    load_weights,
    save,
)
from textgym_agents.models.structure import (
    add_lora,
    check_fit,
    enable_checkpointing,
    end_token_ids,
    final_norm,
    head_bias,
    head_scale,
    trunk_and_head,
)
from textgym_agents.models.weights import check_weights

__all__ = [
    "DTYPES",
    "check_model_object",
    "check_weights",
    "decoder_start_token_id",
    "default_model",
    "form_of",
    "has_tokenizer",
    "is_encoder_decoder",
    "load",
    "load_tokenizer",
    "load_weights",
    "save",
    "add_lora",
    "check_fit",
    "enable_checkpointing",
    "end_token_ids",
    "head_bias",
    "final_norm",
    "head_scale",
    "trunk_and_head",
    "has_adapters",
    "split_adapters",
    "take",
]
