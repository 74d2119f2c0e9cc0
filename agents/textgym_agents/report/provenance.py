"""Where a result came from: versions, weights and command."""

import hashlib
import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from textgym.tokenizer import builtin_folder

DISTRIBUTIONS = ("textgym", "torch", "transformers", "stable_baselines3", "gymnasium", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result.

    >>> versions()["python"].count(".")
    2
    """
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "from source" if name == "textgym" else "unknown"
    return found


def model_hash(model: str) -> str | None:
    """Sixteen hexadecimal digits that change when the weights or the tokenizer in a folder do; None for a hub name.

    >>> len(model_hash("textgym/small"))
    16
    """
    path = builtin_folder(model) if model.startswith("textgym/") else Path(model).expanduser()
    if not path.exists():
        return None
    kinds = (".safetensors", ".gguf", ".json")
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in kinds)
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        with open(file, "rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:16]


def command_line(arguments: Sequence[str]) -> str:
    """What to type for these arguments of ``textgym``.

    >>> command_line(["train", "Copy", "--reward", "0.5*bleu + 0.5*rougeL"])
    "textgym train Copy --reward '0.5*bleu + 0.5*rougeL'"
    """
    return shlex.join(["textgym", *arguments])
