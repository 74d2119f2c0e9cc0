"""What a loaded model is made of: adapters, trunk and head, positions, vocabulary, end tokens."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from textgym.errors import MissingExtraError, ModelError
from textgym_agents.models.loading import is_encoder_decoder


def add_lora(model: PreTrainedModel, lora: int | Mapping[str, Any], seed: int = 0) -> Any:
    """Put LoRA adapters (https://arxiv.org/abs/2106.09685) into ``model``, in place; only they will be trained.

    Args:
        model: the language model; its own weights get frozen.
        lora: the rank, or the arguments of ``peft.LoraConfig``.
        seed: for the adapters' initial weights.

    Returns:
        The ``peft.PeftModel`` around ``model``.

    Raises:
        MissingExtraError: without the ``peft`` extra.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("LoRA", "peft") from error
    options: dict[str, Any] = {"r": lora} if isinstance(lora, int) else dict(lora)
    options.setdefault("lora_alpha", 2 * options.get("r", 8))
    options.setdefault("target_modules", "all-linear")
    # GPT-2's linear layers are transposed; peft warns unless this is set.
    options.setdefault("fan_in_fan_out", model.config.model_type == "gpt2")
    kind = "SEQ_2_SEQ_LM" if is_encoder_decoder(model) else "CAUSAL_LM"
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks for an attribute that transformers has renamed
        torch.manual_seed(seed)
        return peft.get_peft_model(model, peft.LoraConfig(task_type=kind, **options))


def enable_checkpointing(model: PreTrainedModel) -> None:
    """Recompute activations in the backward pass, to save memory."""
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # the newer name
        model.activation_checkpointing_enable(options)
    else:
        model.gradient_checkpointing_enable(options)


def trunk_and_head(model: PreTrainedModel) -> tuple[nn.Module, nn.Module]:
    """The part of ``model`` that makes hidden states, and the layer that turns them into logits.

    Of an encoder-decoder model, the first part is its decoder, and the logits are
    ``head(head_scale(model) * hidden) + head_bias(model)``.

    Raises:
        ModelError: the logits are more than that (a model that caps them, say).
    """
    trunk, head, _ = _split(model)
    return trunk, head


def head_scale(model: PreTrainedModel) -> float:
    """What a hidden state is multiplied with before the head: 1, but hidden size ** -0.5 in the first kind of T5.

    Raises:
        ModelError: as :func:`trunk_and_head` does.

    >>> from textgym_agents import models
    >>> head_scale(models.load("textgym/small-seq2seq")[0]) == 128**-0.5
    True
    """
    return _split(model)[2]


def head_bias(model: PreTrainedModel) -> Tensor | None:
    """(vocabulary,) what BART-like models add to the logits after the head; None where that is nothing but zeros."""
    bias: Tensor | None = getattr(model, "final_logits_bias", None)
    return bias.reshape(-1) if bias is not None and bool(bias.any()) else None


def _split(model: PreTrainedModel) -> tuple[nn.Module, nn.Module, float]:
    """Trunk, head and the factor between them, checked on a few tokens."""
    both = is_encoder_decoder(model)
    trunk = model.get_decoder() if both else getattr(model, model.base_model_prefix, None)
    head = model.get_output_embeddings()
    if trunk is None or trunk is model or head is None:
        raise ModelError(f"{type(model).__name__} has no separate trunk and head. Use a model for text generation.")
    ids = torch.arange(min(4, model.config.vocab_size), device=model.device)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        if both:
            encoded = model.get_encoder()(**inputs)
            expected = model(encoder_outputs=encoded, decoder_input_ids=ids, use_cache=False).logits
            memory = {"encoder_hidden_states": encoded.last_hidden_state}
            hidden = trunk(**inputs, **memory, use_cache=False).last_hidden_state
        else:
            expected = model(**inputs, use_cache=False).logits
            hidden = trunk(**inputs, use_cache=False).last_hidden_state
        bias = head_bias(model)
        for scale in (1.0, hidden.shape[-1] ** -0.5) if both else (1.0,):
            got = head(hidden * scale) if bias is None else head(hidden * scale) + bias
            slack = 1e-3 * float(expected.abs().max())
            if expected.shape == got.shape and torch.allclose(expected, got, rtol=1e-3, atol=slack):
                return trunk, head, scale
    raise ModelError(
        f"{type(model).__name__} does more between its last hidden state and its logits than one linear layer, "
        "which textgym relies on. Use GPT-2, Llama, Qwen, GPT-NeoX, SmolLM, T5, BART, Marian or a similar model."
    )


def check_fit(model: PreTrainedModel, max_tokens: int, num_actions: int) -> None:
    """Raise ModelError unless ``model`` can read ``max_tokens`` positions, emit ``num_actions`` tokens, and take masks.

    For an encoder-decoder model, call it once with the tokens of a prompt and once with those of the decoder.
    """
    attention = getattr(model.config, "_attn_implementation", "sdpa")
    if attention not in ("sdpa", "eager"):
        raise ModelError(f"The model's attention is {attention!r}, expected 'sdpa' or 'eager'.")
    config = model.config.get_text_config()
    both = is_encoder_decoder(model)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None and not both:  # a T5's n_positions limits nothing: its positions are relative
        positions = getattr(config, "n_positions", None)
    if positions is not None and max_tokens > positions:
        what = "or start token and completion" if both else "and completion"
        raise ModelError(
            f"The environment's observations have {max_tokens} tokens (prompt {what}), the model has only "
            f"{positions} positions. Lower max_prompt_tokens or max_new_tokens in gym.make, or take another model."
        )
    vocabulary = model.get_output_embeddings().weight.shape[0]
    if vocabulary < num_actions:
        raise ModelError(
            f"The tokenizer has {num_actions} tokens, the model only {vocabulary}. Give the environment the model's "
            "own tokenizer, or enlarge the model first: model.resize_token_embeddings(len(tokenizer))."
        )


def end_token_ids(model: PreTrainedModel, tokenizer: Any) -> tuple[int, ...]:
    """All ids that end a completion: the tokenizer's end token first, then those of the model's generation config."""
    extra = getattr(getattr(model, "generation_config", None) or GenerationConfig(), "eos_token_id", None)
    extra = [] if extra is None else [extra] if isinstance(extra, int) else list(extra)
    return tuple(dict.fromkeys([tokenizer.eos_token_id, *extra]))


@torch.no_grad()
def final_norm(model: PreTrainedModel) -> list[nn.Parameter]:
    """The weight, and the bias if there is one, that scale all logits when they are scaled: the last normalization's.

    Empty for a model that has none after its last layer. It is tried out.

    >>> from textgym_agents import models
    >>> [tuple(weight.shape) for weight in final_norm(models.load("textgym/small")[0])]
    [(128,), (128,)]
    """
    both = is_encoder_decoder(model)
    trunk = model.get_decoder() if both else getattr(model, model.base_model_prefix)
    ids = torch.arange(min(4, model.config.vocab_size), device=model.device)[None]
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
    if both:
        inputs["encoder_hidden_states"] = model.get_encoder()(ids).last_hidden_state
    before = trunk(**inputs).last_hidden_state
    for module in reversed([module for module in trunk.modules() if module is not trunk]):
        weights = list(module.parameters(recurse=False))
        if not weights or any(weight.shape != before.shape[-1:] for weight in weights):
            continue
        kept = [weight.clone() for weight in weights]
        for weight in weights:
            weight.mul_(2)
        doubled = torch.allclose(trunk(**inputs).last_hidden_state, 2 * before, rtol=1e-2, atol=1e-4)
        for weight, value in zip(weights, kept, strict=True):
            weight.copy_(value)
        if doubled:
            return weights
    return []
