"""How a policy is written to a folder that transformers loads, and made again with the arguments that it had."""

import copy
import inspect
import shutil
from pathlib import Path
from typing import Any, Self

from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from textgym.border import reading, writing
from textgym.errors import ModelError
from textgym_agents import models

VALUE_HEAD_FILE = "value_head.safetensors"


class KeepsArguments:
    """Base of objects that keep the arguments that they were made with, whatever a subclass adds.

    >>> class Point(KeepsArguments):
    ...     def __init__(self, x, *, y=0):
    ...         pass
    >>> Point(3, y=4).init_arguments
    {'x': 3, 'y': 4}
    """

    init_arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        parameters = inspect.signature(cls).parameters.values()
        names = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        object.__setattr__(made, "init_arguments", dict(zip(names, args, strict=False)) | kwargs)
        return made


def save_pretrained(
    lm: PreTrainedModel,
    peft_model: Any | None,
    value_net: nn.Linear | None,
    tokenizer: Any,
    folder: str | Path,
    *,
    merge: bool = True,
) -> None:
    """Write a model (adapters merged, or they alone), its tokenizer and value head as safetensors and JSON."""
    folder = Path(folder)
    saved = lm if peft_model is None else copy.deepcopy(peft_model).merge_and_unload() if merge else peft_model
    models.save(saved, tokenizer, folder)
    if value_net is None:
        return
    head = {name: tensor.detach().cpu().contiguous() for name, tensor in value_net.state_dict().items()}
    with writing("the value head", folder):
        save_file(head, folder / VALUE_HEAD_FILE)
    beside = "config.json" if merge or peft_model is None else "adapter_config.json"
    shutil.copymode(folder / beside, folder / VALUE_HEAD_FILE)  # it comes out readable by its owner alone


def load_value_head(value_net: nn.Linear, model: Any) -> None:
    """Fill the value head from a folder that has one."""
    if isinstance(model, str | Path) and (Path(model) / VALUE_HEAD_FILE).is_file():
        path = Path(model) / VALUE_HEAD_FILE
        with reading("the value head", path, ModelError, "Delete it to begin with a new one."):
            value_net.load_state_dict(load_file(path))
