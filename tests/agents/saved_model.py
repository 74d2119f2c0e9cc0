"""A tiny random model in a folder, for commands that load one by name."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from tests.agents.tiny_models import tiny_model
from textgym.tokenizer import END_TOKEN, PAD_TOKEN, builtin_folder


def save_tiny_model(folder: Path, kind: str = "gpt2") -> str:
    """Write a model of two layers and the built-in tokenizer; returns the folder as a string."""
    build: Any = PreTrainedTokenizerFast
    tokenizer = build(tokenizer_file=str(builtin_folder() / "tokenizer.json"), eos_token=END_TOKEN, pad_token=PAD_TOKEN)
    model = tiny_model(kind, positions=256)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
