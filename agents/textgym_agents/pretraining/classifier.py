"""Train the built-in classifier of reviews, a judge of SentimentContinuation that shares nothing with its rewards.

Its labels are the small world's own: the grammar says which continuations are happy and which are not. A third label
is for what continues no review: repetitions, shuffled or cut words, another prompt's continuation, other tasks' texts.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from tokenizers.processors import TemplateProcessing
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.rewards import ClassifierReward
from textgym.tasks import SentimentContinuation
from textgym.tasks.degenerate import degenerate_texts
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_SENTIMENT, END_TOKEN, PAD_TOKEN, builtin_folder
from textgym_agents.pretraining.pretrain import loads_as_float32, schedule
from textgym_agents.pretraining.review_labels import LABELS, labeled
from textgym_agents.report import markdown


@dataclass(frozen=True)
class ClassifierRecipe:
    """All that decides the result. The defaults make ``textgym/sentiment``, a BERT (https://arxiv.org/abs/1810.04805).

    Attributes:
        steps: gradient steps.
        batch_size: texts per step.
        learning_rate: peak of a linear warm-up and a cosine decay to a tenth.
        without_prompt: the share of texts that are read without their prompts.
        seed: of data, weights and order.
        hidden_size, layers, heads: of the model.
        positions: tokens that it reads at once.
    """

    steps: int = 1800
    batch_size: int = 64
    learning_rate: float = 2e-3
    without_prompt: float = 0.2
    seed: int = 0
    hidden_size: int = 64
    layers: int = 2
    heads: int = 4
    positions: int = 128


def train_classifier(folder: str | Path, recipe: ClassifierRecipe = ClassifierRecipe()) -> dict[str, float]:
    """Train the classifier and write it to ``folder`` as float16 safetensors and JSON, which load as float32.

    Returns:
        ``steps``, ``loss`` (mean over the last hundred steps, nats per text), ``parameters``, ``minutes``.

    Raises:
        ConfigError: the folder holds something else than a model.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"{str(folder)!r} is not empty and holds no model. Name a new folder.")
    started = time.monotonic()
    tokenizer = tokenizers.Tokenizer.from_file(str(builtin_folder(BUILTIN_MODEL) / "tokenizer.json"))
    ids = tokenizer.get_vocab()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{END_TOKEN} $A", special_tokens=[(END_TOKEN, ids[END_TOKEN])]
    )
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model: Any = BertForSequenceClassification(
            BertConfig(
                vocab_size=tokenizer.get_vocab_size(),
                hidden_size=recipe.hidden_size,
                num_hidden_layers=recipe.layers,
                num_attention_heads=recipe.heads,
                intermediate_size=4 * recipe.hidden_size,
                max_position_embeddings=recipe.positions,
                pad_token_id=ids[PAD_TOKEN],
                type_vocab_size=1,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                id2label=dict(enumerate(LABELS)),
                label2id={label: i for i, label in enumerate(LABELS)},
            )
        ).train()
    losses = _train(model, tokenizer, recipe)
    model.eval().half().save_pretrained(folder)
    loads_as_float32(folder / "config.json")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_TOKEN, bos_token=END_TOKEN, unk_token=END_TOKEN, pad_token=PAD_TOKEN
    ).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    result = {
        "steps": float(recipe.steps),
        "loss": float(np.mean(losses[-100:])),
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "minutes": (time.monotonic() - started) / 60,
    }
    (folder / "pretrain.json").write_text(json.dumps({"recipe": asdict(recipe), "result": result}, indent=2) + "\n")
    return result


def _train(model: Any, tokenizer: tokenizers.Tokenizer, recipe: ClassifierRecipe) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01)
    stream, drawn = labeled("train", recipe.seed), random.Random(recipe.seed)
    losses = []
    for step in range(recipe.steps):
        texts, labels = [], []
        for one in islice(stream, recipe.batch_size):
            alone = one.alone and drawn.random() < recipe.without_prompt
            texts.append(one.completion if alone else one.prompt + one.completion)
            labels.append(one.label)
        rows = [one.ids[: recipe.positions] for one in tokenizer.encode_batch(texts)]
        width = max(map(len, rows))
        pad = model.config.pad_token_id
        loss = cross_entropy(
            model(
                input_ids=torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows]),
                attention_mask=torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
            ).logits,
            torch.tensor(labels),
        )
        losses.append(loss.item())
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule(step, recipe.steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return losses


def measure(folder: str | Path, num_prompts: int = 200) -> dict[str, float]:
    """How good it is on the first validation prompts of SentimentContinuation, which no training text begins with.

    Returns:
        ``accuracy`` on a happy and an unhappy continuation of each prompt; and means of the probability of "POSITIVE":
        ``happy`` and ``unhappy`` of these, ``worst degenerate`` and ``mean degenerate`` of the degenerate texts.
    """
    task = SentimentContinuation("validation")
    prompts = [task[i] for i in range(num_prompts)]
    reward = ClassifierReward(str(folder), "POSITIVE", text="full")

    def scores(completions: Sequence[str]) -> list[float]:
        return reward([Sample(prompt.text, text) for prompt, text in zip(prompts, completions, strict=True)])

    sides = [task.training_completions(i) for i in range(num_prompts)]
    happy, unhappy = (scores([f" {one[k].strip()}" for one in sides]) for k in (0, -1))
    degenerate = {name: float(np.mean(scores(texts))) for name, texts in degenerate_texts(prompts).items()}
    worst = max(degenerate, key=lambda name: degenerate[name])
    return {
        "accuracy": float(np.mean([*(p > 0.5 for p in happy), *(p < 0.5 for p in unhappy)])),
        "happy": float(np.mean(happy)),
        "unhappy": float(np.mean(unhappy)),
        "mean degenerate": float(np.mean(list(degenerate.values()))),
        f"worst degenerate ({worst.strip()})": degenerate[worst],
    }


def write_classifier_card(folder: str | Path, num_prompts: int = 200) -> Path:
    """Write README.md beside a model that :func:`train_classifier` made: what it is and how good it is."""
    folder = Path(folder)
    made: dict[str, Any] = json.loads((folder / "pretrain.json").read_text())
    result = made["result"]
    rows = [(name, f"{value:.3f}") for name, value in measure(folder, num_prompts).items()]
    settings = [(name.replace("_", " "), f"{value:,}") for name, value in made["recipe"].items()]
    name = BUILTIN_SENTIMENT if folder.name == Path(BUILTIN_SENTIMENT).name else f"path/to/{folder.name}"
    parts = [
        "---\nlicense: apache-2.0\nlanguage: [en]\nlibrary_name: transformers\npipeline_tag: text-classification\n"
        "tags: [textgym, reinforcement-learning, synthetic-data]\n---",
        f"# {folder.name}",
        f"A BERT with {result['parameters'] / 1e6:.2f} million parameters that says whether a review of textgym's "
        f"small world goes on happily: {', '.join(LABELS)}, the last for what doesn't continue its opening. It is "
        "a judge for tests and experiments on SentimentContinuation whose labels are the world's own. It was trained "
        "on no other reviews.",
        f'```python\nfrom textgym.rewards import ClassifierReward\n\ngold = ClassifierReward("{name}", "POSITIVE", '
        'text="full")\n```',
        "## How good it is",
        f"On {num_prompts} validation prompts of SentimentContinuation: the accuracy on a happy and an unhappy "
        "continuation of each, and means of the probability of POSITIVE.",
        markdown.table(("measure", "value"), rows),
        "## Recipe",
        markdown.table(("setting", "value"), settings),
        f"Cross-entropy, AdamW, linear warm-up, cosine decay. Final loss {result['loss']:.3f} nats per text; "
        f"{result['minutes']:.0f} minutes on a CPU. Weights are float16 safetensors, which load as float32. Made by "
        f"`textgym pretrain --model {BUILTIN_SENTIMENT}`.",
    ]
    card = folder / "README.md"
    card.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return card
