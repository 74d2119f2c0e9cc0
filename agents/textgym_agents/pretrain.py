"""Train the built-in model and its tokenizer on the small world: supervised, seeded, on a CPU in minutes."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from tokenizers import decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from textgym.errors import ConfigError
from textgym.tasks import TASKS, training_texts
from textgym.tokenizer import END_TOKEN, PAD_TOKEN

Pair = tuple[str, str]

# The share of each task in the batches. German is learned from Translation alone, so it needs the most.
SHARES = {"DataToText": 0.15, "Summarization": 0.17, "Translation": 0.36, "SentimentContinuation": 0.12, "Copy": 0.20}


@dataclass(frozen=True)
class Recipe:
    """All that decides the result. The defaults make ``textgym/small``.

    Attributes:
        steps: optimiser steps.
        batch_tokens: tokens per step, padding included.
        learning_rate: peak of a linear warm-up and a cosine decay to a tenth.
        prompt_weight: weight of the loss on prompt tokens; that on completion tokens has weight 1.
        seed: of data, weights and order.
        vocabulary: number of tokens.
        hidden_size, layers, heads, positions: of a GPT-2.
    """

    steps: int = 2700
    batch_tokens: int = 2048
    learning_rate: float = 3e-3
    prompt_weight: float = 0.5
    seed: int = 0
    vocabulary: int = 2048
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 512


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


def batches(tokenizer: tokenizers.Tokenizer, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of one task each: ids and a mask, both (texts, tokens), 1 on completion and end token."""
    rng = np.random.default_rng(np.random.SeedSequence(recipe.seed))
    names, weights = list(SHARES), list(SHARES.values())
    streams = {name: _endless(name, recipe.seed + 1) for name in names}
    end, pad = _special(tokenizer)
    while True:
        stream = streams[names[rng.choice(len(names), p=weights)]]
        rows: list[list[int]] = []
        starts: list[int] = []
        longest = 0
        while True:
            prompt, completion = next(stream)
            head, tail = tokenizer.encode_batch([prompt, completion])
            longest = max(longest, len(head.ids) + len(tail.ids) + 1)
            if rows and longest * (len(rows) + 1) > recipe.batch_tokens:
                break
            rows.append([*head.ids, *tail.ids, end])
            starts.append(len(head.ids))
        ids = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
        mask: NDArray[np.float32] = np.zeros(ids.shape, dtype=np.float32)
        for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
            ids[i, : len(row)] = row
            mask[i, start : len(row)] = 1
        yield torch.from_numpy(ids), torch.from_numpy(mask)


def _special(tokenizer: tokenizers.Tokenizer) -> tuple[int, int]:
    """Ids of the end and the pad token."""
    ids = tokenizer.get_vocab()
    return ids[END_TOKEN], ids[PAD_TOKEN]


def _endless(name: str, seed: int) -> Iterator[Pair]:
    while True:
        yield from training_texts(name, 10_000, seed=seed)
        seed += 1


def pretrain(folder: str | Path, recipe: Recipe = Recipe(), *, progress: bool = True) -> dict[str, float]:
    """Train tokenizer and model, and write them to ``folder`` as float16 safetensors and JSON.

    Returns:
        ``steps``, ``loss`` (mean over the last hundred steps, nats per completion token), ``parameters``, ``minutes``.

    Raises:
        ConfigError: the folder holds something else than a model.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"{str(folder)!r} is not empty and holds no model. Name a new folder.")
    started = time.monotonic()
    raw = train_tokenizer(recipe.vocabulary, seed=recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = _new_model(raw, recipe)
    losses = _train(model, batches(raw, recipe), recipe, progress)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=END_TOKEN, bos_token=END_TOKEN, unk_token=END_TOKEN, pad_token=PAD_TOKEN
    )
    model.eval().half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    raw.save(str(folder / "tokenizer.json"))
    result = {
        "steps": float(recipe.steps),
        "loss": float(np.mean(losses[-100:])),
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "minutes": (time.monotonic() - started) / 60,
    }
    (folder / "pretrain.json").write_text(json.dumps({"recipe": asdict(recipe), "result": result}, indent=2) + "\n")
    return result


def _new_model(tokenizer: tokenizers.Tokenizer, recipe: Recipe) -> GPT2LMHeadModel:
    end, pad = _special(tokenizer)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=recipe.positions,
        n_embd=recipe.hidden_size,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=pad,
    )
    return GPT2LMHeadModel(config)


def _train(
    model: GPT2LMHeadModel, stream: Iterator[tuple[Tensor, Tensor]], recipe: Recipe, progress: bool
) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    losses: list[float] = []
    pad = model.config.pad_token_id
    with Progress(disable=not progress) as bar:
        job = bar.add_task("pretraining", total=recipe.steps)
        for step in range(recipe.steps):
            ids, mask = next(stream)
            # Rows are padded on the right, where causal attention never looks back from: no mask is needed.
            inputs, targets = ids[:, :-1], ids[:, 1:]
            hidden = model.transformer(input_ids=inputs, attention_mask=torch.ones_like(inputs)).last_hidden_state
            completion = mask[:, 1:] == 1
            prompt = (mask[:, 1:] == 0) & (targets != pad)
            loss = cross_entropy(model.lm_head(hidden[completion]), targets[completion])
            losses.append(loss.item())
            if recipe.prompt_weight:
                loss = loss + recipe.prompt_weight * cross_entropy(model.lm_head(hidden[prompt]), targets[prompt])
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(step, recipe.steps)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            bar.update(job, advance=1, description=f"pretraining, loss {np.mean(losses[-50:]):.3f}")
    return losses


def _schedule(step: int, steps: int) -> float:
    warmup = max(1, min(100, steps // 10))
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
