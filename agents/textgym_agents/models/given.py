"""What a user brings along: a model object, and adapters of peft, as an object or as a folder."""

import copy
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from textgym.border import existing, reading
from textgym.errors import MissingExtraError, ModelError

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def take(model: Any, dtype: torch.dtype, *, copied: bool) -> Any:
    """A model object for a policy, in evaluation mode and of this type: a copy, or the object itself."""
    return (copy.deepcopy(model) if copied else model).to(dtype).eval()


def has_adapters(model: Any) -> bool:
    """Whether a model is a ``peft.PeftModel``, or a folder of adapters."""
    if isinstance(model, str | Path):
        return existing(model) and base_of(model) is not None
    peft: Any = sys.modules.get("peft")
    return peft is not None and isinstance(model, peft.PeftModel)


def split_adapters(model: Any) -> tuple[PreTrainedModel, Any | None]:
    """The language model inside a ``peft.PeftModel``, and that; any other model as it is, and None.

    Raises:
        ModelError: its adapters are no part of the language model (prompt tuning and its kin).
    """
    if not has_adapters(model):
        return model, None
    if model.active_peft_config.is_prompt_learning:
        raise ModelError(
            f"The model's adapters are of the kind {model.active_peft_config.peft_type.value}, which puts tokens "
            "before the prompt. Use adapters that change layers, such as LoRA."
        )
    if not any(p.requires_grad for p in model.parameters()):
        warnings.warn(
            "No adapter of this PeftModel can be trained. Load it with "
            "PeftModel.from_pretrained(..., is_trainable=True).",
            stacklevel=3,
        )
    return model.get_base_model(), model


def base_of(folder: str | Path) -> str | None:
    """The base model that a folder of adapters names; None for any other folder or name.

    Raises:
        ModelError: its configuration can't be read, or names none.
    """
    path = Path(folder) / ADAPTER_CONFIG
    if not path.is_file() or (Path(folder) / "config.json").is_file():
        return None
    with reading("adapters from", folder, ModelError):
        base = dict(json.loads(path.read_text(encoding="utf-8"))).get("base_model_name_or_path")
    if not base or not isinstance(base, str):
        raise ModelError(
            f"The folder {str(folder)!r} holds adapters, and its {ADAPTER_CONFIG} names no base model. Load that model "
            "and give model=peft.PeftModel.from_pretrained(base, folder, is_trainable=True)."
        )
    return base


def with_adapters(model: PreTrainedModel, folder: str | Path) -> Any:
    """A ``peft.PeftModel`` of a base model and the adapters in a folder, which can be trained.

    Raises:
        MissingExtraError: without the ``peft`` extra.
        ModelError: the adapters are missing or don't fit.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError(f"The model {str(folder)!r}, which holds adapters,", "peft") from error
    if not (Path(folder) / ADAPTER_WEIGHTS).is_file():
        raise ModelError(f"The folder {str(folder)!r} holds {ADAPTER_CONFIG} and no {ADAPTER_WEIGHTS}.")
    with reading("adapters from", folder, ModelError), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks for an attribute that transformers has renamed
        return peft.PeftModel.from_pretrained(model, folder, is_trainable=True)
