"""The README.md beside a pretrained model: what it is, how it was made, how good it is, what it can't do."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from textgym.core import Sample
from textgym.errors import ModelError
from textgym.registration import env_id
from textgym.tokenizer import BUILTIN_MODELS
from textgym_agents.evaluation.held_out import Evaluation, evaluate, load_policy
from textgym_agents.pretraining.lessons import FIRST_SHARES, shares
from textgym_agents.report import markdown
from textgym_agents.report.provenance import versions

FRONT_MATTER = """---
license: apache-2.0
language: [{languages}]
library_name: transformers
pipeline_tag: text-generation
tags: [textgym, reinforcement-learning, synthetic-data]
---"""

LIMITS = """\
- It was trained on the small world alone: a few hundred words, a handful of sentence patterns. Any other prompt gets
  nonsense.
- It is a starting point for experiments with reinforcement learning on a laptop, not a model to put before people.
- Half of its reviews are unhappy ones by design, so that there is something to learn.
- The data is synthetic and names no real person; likenesses are chance."""


def evaluate_all(
    folder: str | Path, num_prompts: int = 200, *, tasks: Sequence[str] | None = None, progress: bool = False
) -> dict[str, Evaluation]:
    """Sampled completions of the first validation prompts of built-in tasks and conversations, by their names.

    Args:
        folder: of the model.
        num_prompts: of each task.
        tasks: names. None: all.
        progress: show a bar.
    """
    evaluations = {}
    for name in track(list(shares()) if tasks is None else tasks, "evaluating", disable=not progress, transient=True):
        policy = load_policy(folder, env_id(name))
        evaluations[name] = evaluate(policy, env_id(name), num_prompts, split="validation")
    return evaluations


def write_model_card(folder: str | Path, *, num_prompts: int = 200, progress: bool = False) -> Path:
    """Evaluate the model in ``folder``, which ``pretrain`` wrote, and put a README.md beside it. Returns its path.

    Raises:
        ModelError: the folder has no ``pretrain.json``.
    """
    folder = Path(folder)
    path = folder / "pretrain.json"
    if not path.is_file():
        raise ModelError(
            f"{str(folder)!r} has no pretrain.json: only a model that `textgym pretrain` made gets a card."
        )
    made: dict[str, Any] = json.loads(path.read_text())
    card = folder / "README.md"
    taught = made["recipe"].get("weights", FIRST_SHARES)
    evaluations = evaluate_all(folder, num_prompts, tasks=list(shares(taught)), progress=progress)
    card.write_text(render(folder.name, made, evaluations), encoding="utf-8")
    return card


def render(name: str, made: dict[str, Any], evaluations: dict[str, Evaluation]) -> str:
    """The text of the card.

    Args:
        name: of the model.
        made: what ``pretrain.json`` holds: "recipe" and "result".
        evaluations: by task.
    """
    recipe, result = made["recipe"], made["result"]
    prompts = max(len(one.samples) for one in evaluations.values())
    source = f"textgym/{name}" if f"textgym/{name}" in BUILTIN_MODELS else f"path/to/{name}"
    parts = [
        FRONT_MATTER.format(languages="en, de, zh" if recipe.get("variants") else "en, de"),
        f"# {name}",
        f"{_what(recipe, result)}, trained from scratch on texts of textgym's small world: {_texts(recipe)}. It writes "
        "a completion for each of the tasks below, well enough to be rewarded now and then and badly enough to be "
        "improved by reinforcement learning.",
        f'```python\nfrom textgym_agents import models\n\nmodel, tokenizer = models.load("{source}")\n```',
        "## How good it is",
        f"The first {prompts} prompts of each validation split, one sampled completion each, temperature 1.",
        markdown.table(("task", "reward", "metrics"), [_line(*pair) for pair in evaluations.items()]),
        "## Recipe",
        markdown.table(("setting", "value"), _settings(recipe)),
        f"Supervised: the loss is the cross-entropy of the completion's tokens and the end token{_prompts(recipe)}. "
        f"{_optimizer(recipe)}, linear warm-up, cosine decay. Final loss {result['loss']:.3f} nats per token; "
        f"{result['minutes']:.0f} minutes on a CPU. Weights are float16 safetensors, which load as float32.",
        "Made by `textgym pretrain` with "
        + ", ".join(f"{library} {version}" for library, version in versions().items())
        + ".",
        "## Samples",
        *[_sample(task, one.samples) for task, one in evaluations.items()],
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def _what(recipe: dict[str, Any], result: dict[str, float]) -> str:
    size = f"{result['parameters'] / 1e6:.2f} million parameters"
    tokenizer = f"a byte-level BPE tokenizer of {recipe['vocabulary']:,} tokens"
    if recipe.get("tokenizer"):
        tokenizer = f"the tokenizer of `{recipe['tokenizer']}`"
    if recipe.get("kind") != "seq2seq":
        return f"A GPT-2 with {size} and {tokenizer}"
    return f"A T5, an encoder-decoder model, with {size} and {tokenizer}"


def _texts(recipe: dict[str, Any]) -> str:
    if recipe.get("weights", FIRST_SHARES) == FIRST_SHARES:
        return "descriptions of tables, summaries, translations into German, reviews, and copied words"
    return "those of its tasks, English, German and Chinese, and dialogues between players of all skills and partners"


def _settings(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the settings that this kind of model has."""
    absent = {"prompt_weight", "positions"} if recipe.get("kind") == "seq2seq" else set()
    absent |= {"vocabulary"} if recipe.get("tokenizer") else {"tokenizer"}
    settings = [(key.replace("_", " "), _value(value)) for key, value in recipe.items() if key not in {*absent, "then"}]
    for phase, attributes in enumerate(recipe.get("then", ()), start=2):
        settings += [(f"{key.replace('_', ' ')}, phase {phase}", _value(v)) for key, v in attributes.items()]
    return settings


def _value(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {weight:g}" for key, weight in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _optimizer(recipe: dict[str, Any]) -> str:
    return "Muon for the matrices of layers, AdamW for the rest" if recipe.get("optimizer") == "muon" else "AdamW"


def _prompts(recipe: dict[str, Any]) -> str:
    weight = recipe.get("prompt_weight", 0)
    return f"; tokens of the prompt count {weight:g} times as much" if weight else ""


def _line(task: str, one: Evaluation) -> tuple[str, str, str]:
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in one.metrics.items())
    return task, f"{one.reward:.3f}", metrics


def _sample(task: str, samples: Sequence[Sample]) -> str:
    first = samples[0]
    reference = {"Reference": first.references[0]} if first.references else {}
    return markdown.sample_block(task, first.prompt, {**reference, "Completion": first.transcript})
