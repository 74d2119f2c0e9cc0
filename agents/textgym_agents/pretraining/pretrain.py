"""Train the built-in model and its tokenizer on the small world: supervised, seeded, on a CPU in minutes."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from rich.progress import Progress
from tokenizers import decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from textgym.errors import ConfigError
from textgym.tasks import TASKS, taught_variants, training_texts
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_SEQ2SEQ, BUILTIN_TINY, END_TOKEN, PAD_TOKEN, builtin_folder
from textgym_agents import models
from textgym_agents.models.random_weights import random_model

Pair = tuple[str, str]
Rows = list[tuple[list[int], list[int]]]  # token ids of prompts and completions

# Shares of tasks in the batches. German is learned from Translation alone, so it needs the most.
SHARES = {"DataToText": 0.15, "Summarization": 0.17, "Translation": 0.36, "SentimentContinuation": 0.12, "Copy": 0.20}


@dataclass(frozen=True)
class Recipe:
    """All that decides the result. The defaults make ``textgym/small``.

    Attributes:
        kind: "causal" is a GPT-2, "seq2seq" a T5 (https://arxiv.org/abs/1910.10683) with gated feed-forward layers.
        steps: gradient steps.
        batch_tokens: tokens per step, padding included.
        learning_rate: peak of a linear warm-up and a cosine decay to a tenth.
        prompt_weight: weight of the loss on prompt tokens; that on completion tokens has weight 1. A T5 predicts no
            prompt tokens, so for "seq2seq" it is 0.
        seed: of data, weights and order.
        tokenizer: the built-in model whose tokenizer to use; None trains a new one.
        vocabulary: number of tokens of a new tokenizer.
        hidden_size, heads: width of the model, and attention heads of each layer.
        layers: of a GPT-2, or of each half of a T5.
        positions: tokens that a GPT-2 can read, or more where a tokenizer of few tokens makes the taught variants of
            tasks longer; a T5's positions are relative and have no limit.
    """

    kind: str = "causal"
    steps: int = 2700
    batch_tokens: int = 2048
    learning_rate: float = 3e-3
    prompt_weight: float = 0.5
    seed: int = 0
    tokenizer: str | None = None
    vocabulary: int = 2048
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 512

    def __post_init__(self) -> None:
        if self.kind not in ("causal", "seq2seq"):
            raise ConfigError(f"kind is {self.kind!r}, expected 'causal' or 'seq2seq'.")
        if self.kind == "seq2seq" and self.prompt_weight:
            raise ConfigError(f"prompt_weight is {self.prompt_weight:g}, expected 0: a T5 predicts no prompt tokens.")


RECIPES = {
    BUILTIN_MODEL: Recipe(),
    BUILTIN_TINY: Recipe(steps=6000, learning_rate=5e-3, vocabulary=512, hidden_size=64, layers=2),
    BUILTIN_SEQ2SEQ: Recipe(
        kind="seq2seq",
        steps=8000,
        batch_tokens=1024,
        learning_rate=2e-3,
        prompt_weight=0.0,
        tokenizer=BUILTIN_MODEL,
        layers=3,
    ),
}


def train_tokenizer(vocabulary: int, texts_per_task: int = 4000, seed: int = 0) -> tokenizers.Tokenizer:
    """A byte-level BPE tokenizer (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909) of the small world's text."""
    tokenizer = tokenizers.Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD_TOKEN, END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (p + c for name in TASKS for p, c in training_texts(name, texts_per_task, seed=seed))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def length_factor(tokenizer: tokenizers.Tokenizer, texts_per_task: int = 200, seed: int = 0) -> float:
    """By what the limits of tasks must be multiplied to leave as much room as with the tokenizer of ``textgym/small``.

    The largest ratio of mean lengths among the prompts and the completions of the built-in tasks, rounded up to a
    multiple of 1/2, at least 1. ``textgym.tokenizer.length_factor`` reads it.
    """
    usual = _tokenizer(Recipe(tokenizer=BUILTIN_MODEL))
    largest = 1.0
    for name in TASKS:
        for texts in zip(*training_texts(name, texts_per_task, seed=seed), strict=True):
            mine, theirs = (sum(len(one.ids) for one in t.encode_batch([*texts])) for t in (tokenizer, usual))
            largest = max(largest, mine / theirs)
    return math.ceil(2 * largest) / 2


def shares() -> dict[str, float]:
    """The share of every built-in task in the batches: that of ``SHARES``; 1 / (number of tasks) for one without.

    >>> round(sum(shares().values()), 6), shares()["Copy"] < SHARES["Copy"]
    (1.0, True)
    """
    new = [name for name in TASKS if name not in SHARES]
    rest = 1 - len(new) / len(TASKS)  # 1 when all have a share
    return {name: rest * SHARES[name] if name in SHARES else 1 / len(TASKS) for name in TASKS}


def batches(tokenizer: tokenizers.Tokenizer, recipe: Recipe) -> Iterator[Rows]:
    """Endless batches of one task each: the ids of each prompt, and those of its completion and the end token."""
    rng = np.random.default_rng(np.random.SeedSequence(recipe.seed))
    names, weights = list(shares()), list(shares().values())
    streams = {name: _endless(name, recipe.seed + 1) for name in names}
    end, _ = _special(tokenizer)
    while True:
        stream = streams[names[rng.choice(len(names), p=weights)]]
        rows: Rows = []
        longest = 0
        while True:
            prompt, completion = next(stream)
            head, tail = tokenizer.encode_batch([prompt, completion])
            longest = max(longest, len(head.ids) + len(tail.ids) + 1)
            if rows and longest * (len(rows) + 1) > recipe.batch_tokens:
                break
            rows.append((list(head.ids), [*tail.ids, end]))
        yield rows


def _special(tokenizer: tokenizers.Tokenizer) -> tuple[int, int]:
    """Ids of the end and the pad token."""
    ids = tokenizer.get_vocab()
    return ids[END_TOKEN], ids[PAD_TOKEN]


def _endless(name: str, seed: int) -> Iterator[Pair]:
    while True:
        yield from training_texts(name, 10_000, seed=seed)
        seed += 1


def pretrain(folder: str | Path, recipe: Recipe = Recipe(), *, progress: bool = True) -> dict[str, float]:
    """Train tokenizer and model, and write them to ``folder`` as float16 safetensors and JSON, which load as float32.

    Returns:
        ``steps``, ``loss`` (mean over the last hundred steps, nats per completion token), ``parameters``, ``minutes``.

    Raises:
        ConfigError: the folder holds something else than a model.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"{str(folder)!r} is not empty and holds no model. Name a new folder.")
    started = time.monotonic()
    raw = _tokenizer(recipe)
    factor = length_factor(raw, seed=recipe.seed)
    model = _new_model(raw, recipe, factor)
    losses = _train(model, batches(raw, recipe), recipe, progress)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=END_TOKEN,
        bos_token=END_TOKEN,
        unk_token=END_TOKEN,
        pad_token=PAD_TOKEN,
        **({"length_factor": factor} if factor > 1 else {}),
    )
    models.save(model.eval().half(), tokenizer, folder)
    loads_as_float32(folder / "config.json")
    raw.save(str(folder / "tokenizer.json"))
    result = {
        "steps": float(recipe.steps),
        "loss": float(np.mean(losses[-100:])),
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "minutes": (time.monotonic() - started) / 60,
    }
    (folder / "pretrain.json").write_text(json.dumps({"recipe": asdict(recipe), "result": result}, indent=2) + "\n")
    return result


def loads_as_float32(config: Path) -> None:
    """Let transformers load the float16 weights as float32, so that an optimizer can train them as they are."""
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "dtype": "float32"}, indent=2, sort_keys=True) + "\n")


def _tokenizer(recipe: Recipe) -> tokenizers.Tokenizer:
    if recipe.tokenizer is None:
        return train_tokenizer(recipe.vocabulary, seed=recipe.seed)
    return tokenizers.Tokenizer.from_file(str(builtin_folder(recipe.tokenizer) / "tokenizer.json"))


def _new_model(tokenizer: tokenizers.Tokenizer, recipe: Recipe, factor: float) -> PreTrainedModel:
    end, pad = _special(tokenizer)
    more: dict[str, Any] = {"eos_token_id": end, "pad_token_id": pad}
    if recipe.kind == "seq2seq":
        kind, more = "t5", {**more, "decoder_start_token_id": pad, "feed_forward_proj": "gated-gelu"}
    else:
        kind, more = "gpt2", {**more, "bos_token_id": end, "activation_function": "gelu_pytorch_tanh"}
        taught = [task for name in TASKS for task in taught_variants(name)]
        longest = max(task.max_prompt_tokens + task.max_new_tokens for task in taught)
        more["n_positions"] = max(recipe.positions, math.ceil(factor * longest))
    sizes = (tokenizer.get_vocab_size(), recipe.hidden_size, recipe.layers, recipe.heads)
    model: PreTrainedModel = random_model(kind, *sizes, seed=recipe.seed, **more).train()
    return model


def _train(model: PreTrainedModel, stream: Iterator[Rows], recipe: Recipe, progress: bool) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    losses: list[float] = []
    loss_of = _seq2seq_losses if recipe.kind == "seq2seq" else _causal_losses
    with Progress(disable=not progress) as bar:
        job = bar.add_task("pretraining", total=recipe.steps)
        for step in range(recipe.steps):
            loss, on_prompts = loss_of(model, next(stream), bool(recipe.prompt_weight))
            losses.append(loss.item())
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * schedule(step, recipe.steps)
            optimizer.zero_grad()
            (loss + recipe.prompt_weight * on_prompts).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            bar.update(job, advance=1, description=f"pretraining, loss {np.mean(losses[-50:]):.3f}")
    return losses


def _causal_losses(model: PreTrainedModel, rows: Rows, prompts: bool) -> tuple[Tensor, Tensor | float]:
    """Cross-entropy of the completions, and of the prompts if wanted."""
    ids = _padded([[*prompt, *completion] for prompt, completion in rows], model.config.pad_token_id)
    starts, ends = (torch.tensor(n)[:, None] for n in ([len(p) for p, _ in rows], [len(p) + len(c) for p, c in rows]))
    # Rows are padded on the right, where causal attention never looks back from: no mask is needed.
    inputs, targets = ids[:, :-1], ids[:, 1:]
    columns = torch.arange(1, ids.shape[1])
    hidden = model.base_model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).last_hidden_state

    def loss(wanted: Tensor) -> Tensor:
        return cross_entropy(model.get_output_embeddings()(hidden[wanted]), targets[wanted])

    return loss((columns >= starts) & (columns < ends)), loss(columns < starts) if prompts else 0.0


def _seq2seq_losses(model: PreTrainedModel, rows: Rows, prompts: bool) -> tuple[Tensor, Tensor | float]:
    """Cross-entropy of the completions."""
    pad, start = model.config.pad_token_id, model.config.decoder_start_token_id
    ids, targets = (_padded(list(side), pad) for side in zip(*rows, strict=True))
    lengths = torch.tensor([len(prompt) for prompt, _ in rows])[:, None]
    logits = model(
        input_ids=ids,
        attention_mask=(torch.arange(ids.shape[1]) < lengths).long(),
        decoder_input_ids=torch.cat([torch.full((len(rows), 1), start), targets[:, :-1]], 1),
        decoder_attention_mask=torch.ones_like(targets),  # padding is on the right
    ).logits
    written = targets != pad
    return cross_entropy(logits[written], targets[written]), 0.0


def _padded(rows: list[list[int]], pad: int) -> Tensor:
    """(rows, tokens) ids, padded on the right."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad)


def schedule(step: int, steps: int) -> float:
    """The share of the learning rate at a step: a linear warm-up, then a cosine down to a tenth."""
    warmup = max(1, min(100, steps // 10))
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
