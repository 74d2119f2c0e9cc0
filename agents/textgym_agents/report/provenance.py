"""Where a result came from: versions, weights and command."""

import hashlib
import os
import platform
import shlex
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from textgym.tokenizer import builtin_folder
from textgym_agents.report.secrets import hidden_in_text

DISTRIBUTIONS = ("textgym", "torch", "transformers", "stable_baselines3", "gymnasium", "numpy")


def versions(*others: str) -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result, and of others where they are installed.

    >>> versions()["python"].count(".")
    2
    """
    installed = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "from source" if name == "textgym" else "unknown"
    for name in others:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed


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
    """What to type for these arguments of ``textgym``, without the values of secrets.

    >>> command_line(["train", "Copy", "--reward", "0.5*bleu + 0.5*rougeL"])
    "textgym train Copy --reward '0.5*bleu + 0.5*rougeL'"
    """
    return shlex.join(["textgym", *map(hidden_in_text, arguments)])


def machine() -> dict[str, Any]:
    """What speeds depend on besides versions: system, processor, number of cores, and how busy they are.

    >>> machine()["cores"] > 0
    True
    """
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in load],
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
