"""Load and save language models: hub names, local folders, GGUF files, LoRA adapters and the built-in models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from textgym.errors import MissingExtraError, ModelError, TokenizerError
from textgym.tokenizer import BUILTIN_MODEL, builtin_folder

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(
    name: str | Path = BUILTIN_MODEL,
    *,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer.

    Args:
        name: ``"textgym/small"`` (built in), a name on the Hugging Face hub, a folder, a ``.gguf`` file, or a folder
            that holds one ``.gguf`` file and no ``config.json``.
        dtype: "float32", "bfloat16" or "float16".
        device: where the weights go.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the hub.

    Raises:
        ModelError: nothing loadable there; the message says what was tried.
        TokenizerError: the model has no usable tokenizer.
        MissingExtraError: a GGUF file without the ``gguf`` extra.

    >>> model, tokenizer = load("textgym/small")
    >>> model.get_input_embeddings().weight.shape[0] >= len(tokenizer)
    True
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}.")
    tokenizer = load_tokenizer(name, revision=revision, local_files_only=local_files_only)
    folder, extra = _locate(name)
    options: dict[str, Any] = {**extra, "revision": revision, "local_files_only": local_files_only}
    if "gguf_file" in options:
        options["quantization_config"] = _gguf_config()
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[dtype], use_safetensors=True, **options)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"Can't load a causal language model from {str(name)!r}: {_first_line(error)} Expected "
            f"{BUILTIN_MODEL!r}, a name on the Hugging Face hub, a folder with config.json and *.safetensors, or a "
            ".gguf file."
        ) from error
    nn.Module.to(model, device)
    return model.eval(), tokenizer


def load_tokenizer(
    name: str | Path = BUILTIN_MODEL, *, revision: str | None = None, local_files_only: bool = False
) -> PreTrainedTokenizerBase:
    """The tokenizer of a model that :func:`load` can load.

    Raises:
        TokenizerError: it can't be loaded, or has no end token.

    >>> load_tokenizer("textgym/small").eos_token
    '<|endoftext|>'
    """
    folder, options = _locate(name)
    if options:
        _gguf_config()
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, revision=revision, local_files_only=local_files_only, **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise TokenizerError(f"Can't load the tokenizer of {str(name)!r}: {_first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise TokenizerError(
            f"The tokenizer of {str(name)!r} has no end token, so no text could ever end. Set one in its "
            'tokenizer_config.json: "eos_token": "</s>".'
        )
    return tokenizer


def _locate(name: str | Path) -> tuple[str, dict[str, Any]]:
    """Where transformers shall look, and with which extra arguments."""
    if isinstance(name, str) and name.startswith("textgym/") and not Path(name).is_dir():
        return str(builtin_folder(name)), {}
    path = Path(name)
    if path.suffix == ".gguf" and path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir() and not (path / "config.json").is_file():
        files = sorted(path.glob("*.gguf"))
        if len(files) == 1:
            return str(path), {"gguf_file": files[0].name}
        what = f"{len(files)} .gguf files: name one of them" if files else "neither config.json nor a .gguf file"
        raise ModelError(f"The folder {str(path)!r} holds {what}.")
    return str(name), {}


def _gguf_config() -> Any:
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Loading a GGUF file", "gguf") from error
    from transformers import GgufConfig

    return GgufConfig(dequantize=True)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


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
    # GPT-2's linear layers are transposed; peft warns unless it is told.
    options.setdefault("fan_in_fan_out", model.config.model_type == "gpt2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **options))


def trunk_and_head(model: PreTrainedModel) -> tuple[nn.Module, nn.Module]:
    """The part of ``model`` that makes hidden states, and the layer that turns them into logits.

    Raises:
        ModelError: the logits are more than that layer of the last hidden state (a model that rescales them, say).
    """
    trunk, head = getattr(model, model.base_model_prefix, None), model.get_output_embeddings()
    if trunk is None or trunk is model or head is None:
        raise ModelError(f"{type(model).__name__} has no separate trunk and head. Use a causal language model.")
    ids = torch.arange(min(4, model.config.vocab_size), device=model.device)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
    with torch.no_grad():
        expected = model(**inputs).logits
        got = head(trunk(**inputs).last_hidden_state)
    if expected.shape != got.shape or not torch.allclose(expected, got, rtol=1e-3, atol=1e-3):
        raise ModelError(
            f"{type(model).__name__} does more between its last hidden state and its logits than one linear layer, "
            "which textgym relies on. Use GPT-2, Llama, Qwen, GPT-NeoX, SmolLM or a similar model."
        )
    return trunk, head


def check_fit(model: PreTrainedModel, max_tokens: int, num_actions: int) -> None:
    """Raise ModelError unless ``model`` can read ``max_tokens`` positions and emit ``num_actions`` tokens."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions is not None and max_tokens > positions:
        raise ModelError(
            f"The environment's observations have {max_tokens} tokens (prompt and completion), the model has only "
            f"{positions} positions. Lower max_prompt_tokens or max_new_tokens in gym.make, or take another model."
        )
    vocabulary = model.get_output_embeddings().weight.shape[0]
    if vocabulary < num_actions:
        raise ModelError(
            f"The tokenizer has {num_actions} tokens, the model only {vocabulary}. Give the environment the model's "
            "own tokenizer, or enlarge the model first: model.resize_token_embeddings(len(tokenizer))."
        )


def end_token_ids(model: PreTrainedModel, tokenizer: Any) -> tuple[int, ...]:
    """All ids that end a text: the tokenizer's end token first, then those of the model's generation config."""
    extra = getattr(getattr(model, "generation_config", None) or GenerationConfig(), "eos_token_id", None)
    extra = [] if extra is None else [extra] if isinstance(extra, int) else list(extra)
    return tuple(dict.fromkeys([tokenizer.eos_token_id, *extra]))
