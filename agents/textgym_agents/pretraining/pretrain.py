"""Train the built-in model and its tokenizer on the small world: supervised, seeded, on a CPU in minutes."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
import torch
from rich.console import Console
from rich.progress import Progress
from tokenizers import decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.pytorch_utils import Conv1D

from textgym.errors import ConfigError
from textgym.tasks import CONVERSATIONS, TASKS, ConversationTask, WorldTask, taught_variants
from textgym.tokenizer import BUILTIN_MODEL, END_TOKEN, PAD_TOKEN, builtin_folder
from textgym_agents import models
from textgym_agents.models.random_weights import random_model
from textgym_agents.pretraining.lessons import Lesson, lessons, shares
from textgym_agents.pretraining.recipes import RECIPES, Recipe
from textgym_agents.pretraining.unfinished import NAME, Unfinished


class Row(NamedTuple):
    """Token ids of a prompt and of what follows it, and which of the latter the model is to write."""

    prompt: list[int]
    rest: list[int]
    written: list[bool]


Rows = list[Row]


def train_tokenizer(
    vocabulary: int,
    texts_per_task: int = 4000,
    seed: int = 0,
    weights: Mapping[str, float] | None = None,
    variants: bool = True,
) -> tokenizers.Tokenizer:
    """A byte-level BPE tokenizer (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909) of the small world's text.

    Args:
        vocabulary: tokens, at least 258.
        texts_per_task: how many it sees.
        seed: of the texts.
        weights: the tasks are those that have one; None: all.
        variants: with the variants in the tasks' ``taught``.
    """
    tokenizer = tokenizers.Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD_TOKEN, END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (text for name in shares(weights) for text in _texts(name, texts_per_task, seed, variants))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _texts(name: str, number: int, seed: int, variants: bool) -> Iterator[str]:
    """Whole texts of a task."""
    for lesson in islice(lessons(name, seed, variants), number):
        yield "".join(piece.text for piece in lesson)


def length_factor(
    tokenizer: tokenizers.Tokenizer,
    texts_per_task: int = 200,
    seed: int = 0,
    weights: Mapping[str, float] | None = None,
    variants: bool = True,
) -> float:
    """By what the limits of tasks must be multiplied to leave as much room as with the tokenizer of ``textgym/small``.

    The largest ratio of mean lengths among the prompts and the completions of the tasks that have a weight (None: all),
    rounded up to a multiple of 1/2, at least 1; a twentieth more counts as 1. Then as many quarters more as the longest
    of these texts take. ``textgym.tokenizer.length_factor`` reads it.
    """
    usual = _tokenizer(Recipe(tokenizer=BUILTIN_MODEL))
    largest = 1.0
    for name in shares(weights):
        for texts in _sides(islice(lessons(name, seed, variants), texts_per_task)):
            mine, theirs = (sum(len(one.ids) for one in t.encode_batch(texts)) for t in (tokenizer, usual))
            largest = max(largest, mine / theirs)
    factor = 1.0 if largest < 1.05 else math.ceil(2 * largest) / 2
    longest = max(_fill(tokenizer, name, texts_per_task, seed, variants) for name in shares(weights) if name in TASKS)
    return max(factor, math.ceil(4 * longest) / 4)


def _fill(tokenizer: tokenizers.Tokenizer, name: str, number: int, seed: int, variants: bool) -> float:
    """By how much the longest text of a task fills its limits, where 1 is just so."""
    tasks = taught_variants(name, seed) if variants else [TASKS[name](seed=seed)]
    shares_of_limits = [0.0]
    for task in tasks:
        prompts = [task[index] for index in range(number)]
        for limit, texts in (
            (task.max_prompt_tokens, [prompt.text for prompt in prompts]),
            (task.max_new_tokens, [f" {prompt.references[0]}{END_TOKEN}" for prompt in prompts]),
        ):
            shares_of_limits += [len(one.ids) / limit for one in tokenizer.encode_batch(texts)]
    return max(shares_of_limits)


def _sides(some: Iterable[Lesson]) -> tuple[list[str], list[str]]:
    """What is read, and what is written."""
    pieces = [piece for lesson in some for piece in lesson]
    return [piece.text for piece in pieces if not piece.written], [piece.text for piece in pieces if piece.written]


def batches(tokenizer: tokenizers.Tokenizer, recipe: Recipe) -> Iterator[Rows]:
    """Endless batches of one task each: the ids of each prompt, and those that follow it."""
    rng = np.random.default_rng(np.random.SeedSequence(recipe.seed))
    by_name = shares(recipe.weights)
    names, chances = list(by_name), list(by_name.values())
    streams = {name: lessons(name, recipe.seed + 1, recipe.variants, recipe.skills) for name in names}
    end, _ = _special(tokenizer)
    while True:
        stream = streams[names[rng.choice(len(names), p=chances)]]
        rows: Rows = []
        longest = 0
        while True:
            row = _row(tokenizer, next(stream), end)
            longest = max(longest, len(row.prompt) + len(row.rest))
            if rows and longest * (len(rows) + 1) > recipe.batch_tokens // recipe.tasks_per_step:
                break
            rows.append(row)
        yield rows


def _row(tokenizer: tokenizers.Tokenizer, lesson: Lesson, end: int) -> Row:
    prompt, *rest = tokenizer.encode_batch([piece.text for piece in lesson])
    ids: list[int] = []
    written: list[bool] = []
    for piece, encoding in zip(lesson[1:], rest, strict=True):
        some = [*encoding.ids, end] if piece.written else encoding.ids
        ids += some
        written += [piece.written] * len(some)
    return Row(list(prompt.ids), ids, written)


def _special(tokenizer: tokenizers.Tokenizer) -> tuple[int, int]:
    """Ids of the end and the pad token."""
    ids = tokenizer.get_vocab()
    return ids[END_TOKEN], ids[PAD_TOKEN]


def pretrain(folder: str | Path, recipe: Recipe = RECIPES[BUILTIN_MODEL], *, progress: bool = True) -> dict[str, float]:
    """Train tokenizer and model, and write them to ``folder`` as float16 safetensors and JSON, which load as float32.

    Ended early, it leaves ``unfinished.pt`` there, which is written every 200 steps. The same call goes on from it to
    the same model.

    Returns:
        ``steps``, ``loss`` (mean over the last hundred steps, nats per completion token), ``parameters``, and
        ``minutes`` since the call.

    Raises:
        ConfigError: the folder holds something else than a model, or was left by another recipe.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not {"tokenizer.json", NAME} & {p.name for p in folder.iterdir()}:
        raise ConfigError(f"{str(folder)!r} is not empty and holds no model. Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    unfinished = Unfinished(folder, asdict(recipe))
    raw = _tokenizer(recipe)
    factor = length_factor(raw, seed=recipe.seed, weights=recipe.weights, variants=recipe.variants)
    model = _new_model(raw, recipe, factor)
    for number, phase in enumerate(_phases(recipe)):
        _train(model, batches(raw, phase), phase, progress, unfinished, number)
    losses = [loss for some in unfinished.losses for loss in some]
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
        "steps": float(len(losses)),
        "loss": float(np.mean(losses[-100:])),
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "minutes": (time.monotonic() - started) / 60,
    }
    (folder / "pretrain.json").write_text(json.dumps({"recipe": asdict(recipe), "result": result}, indent=2) + "\n")
    unfinished.remove()
    return result


def finished(folder: Path, recipe: Recipe) -> dict[str, float] | None:
    """What :func:`pretrain` has returned for the model in a folder; None if there is none by this recipe."""
    path = folder / "pretrain.json"
    made: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return made["result"] if made.get("recipe") == json.loads(json.dumps(asdict(recipe))) else None


def _phases(recipe: Recipe) -> list[Recipe]:
    """The recipe, and those of its further phases, each with a seed of its own."""
    later = [
        replace(recipe, **{"seed": recipe.seed + 1000 * number, **attributes, "then": ()})
        for number, attributes in enumerate(recipe.then, start=1)
    ]
    return [recipe, *later]


def loads_as_float32(config: Path) -> None:
    """Let transformers load the float16 weights as float32, so that an optimizer can train them as they are."""
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "dtype": "float32"}, indent=2, sort_keys=True) + "\n")


def _tokenizer(recipe: Recipe) -> tokenizers.Tokenizer:
    if recipe.tokenizer is None:
        return train_tokenizer(recipe.vocabulary, seed=recipe.seed, weights=recipe.weights, variants=recipe.variants)
    return tokenizers.Tokenizer.from_file(str(builtin_folder(recipe.tokenizer) / "tokenizer.json"))


def _new_model(tokenizer: tokenizers.Tokenizer, recipe: Recipe, factor: float) -> PreTrainedModel:
    end, pad = _special(tokenizer)
    more: dict[str, Any] = {"eos_token_id": end, "pad_token_id": pad}
    if recipe.kind == "seq2seq":
        kind, more = "t5", {**more, "decoder_start_token_id": pad, "feed_forward_proj": "gated-gelu"}
    else:
        kind, more = "gpt2", {**more, "bos_token_id": end, "activation_function": "gelu_pytorch_tanh"}
        longest = max(_length(name, recipe.variants) for name in shares(recipe.weights))
        more["n_positions"] = max(recipe.positions, math.ceil(factor * longest))
    sizes = (tokenizer.get_vocab_size(), recipe.hidden_size, recipe.layers, recipe.heads)
    model: PreTrainedModel = random_model(kind, *sizes, seed=recipe.seed, **more).train()
    return model


def _length(name: str, variants: bool) -> int:
    """Tokens of the longest episode of a task."""
    if name in CONVERSATIONS:
        tasks: Sequence[ConversationTask | WorldTask] = [CONVERSATIONS[name]()]
    else:
        tasks = taught_variants(name) if variants else [TASKS[name]()]
    return max(task.max_prompt_tokens + task.max_new_tokens for task in tasks)


def _train(
    model: PreTrainedModel, stream: Iterator[Rows], recipe: Recipe, progress: bool, unfinished: Unfinished, phase: int
) -> None:
    """Take the steps of a phase that ``unfinished`` hasn't, and add their losses to it."""
    optimizers = _optimizers(model, recipe)
    if len(unfinished.losses) == phase:
        unfinished.losses.append([])
    losses = unfinished.losses[phase]
    if len(unfinished.losses) > phase + 1:
        return
    unfinished.restore(model, optimizers)
    if len(losses) == recipe.steps:
        return
    for _ in range(len(losses) * recipe.tasks_per_step):
        next(stream)
    loss_of = _seq2seq_losses if recipe.kind == "seq2seq" else _causal_losses
    console = Console(stderr=True)
    with Progress(console=console, disable=not (progress and console.is_terminal)) as bar:
        job = bar.add_task("pretraining", total=recipe.steps, completed=len(losses))
        for step in range(len(losses), recipe.steps):
            parts = []
            for optimizer in optimizers:
                optimizer.zero_grad()
            for rows in islice(stream, recipe.tasks_per_step):
                loss, on_prompts = loss_of(model, rows, bool(recipe.prompt_weight))
                parts.append(loss.item())
                ((loss + recipe.prompt_weight * on_prompts) / recipe.tasks_per_step).backward()
            losses.append(float(np.mean(parts)))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * schedule(step, recipe.steps)
                optimizer.step()
            said = f"pretraining, loss {np.mean(losses[-50:]):.3f}"
            if (step + 1) % unfinished.every == 0:
                unfinished.save(model, optimizers)
                if progress and not console.is_terminal:
                    console.print(f"{said}, {step + 1:,} of {recipe.steps:,} steps", highlight=False, soft_wrap=True)
            bar.update(job, advance=1, description=said)


def _optimizers(model: PreTrainedModel, recipe: Recipe) -> list[torch.optim.Optimizer]:
    output = model.get_output_embeddings().weight
    linear = [module.weight for module in model.modules() if isinstance(module, torch.nn.Linear | Conv1D)]
    matrices = [weight for weight in linear if recipe.optimizer == "muon" and weight is not output]
    taken = {id(weight) for weight in matrices}
    rest = [weight for weight in model.parameters() if id(weight) not in taken]
    adamw = torch.optim.AdamW(rest, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    if not matrices:
        return [adamw]
    muon = torch.optim.Muon(matrices, lr=recipe.learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return [adamw, muon]


def _causal_losses(model: PreTrainedModel, rows: Rows, prompts: bool) -> tuple[Tensor, Tensor | float]:
    """Cross-entropy of what the model is to write, and of what it reads if wanted."""
    ids = _padded([[*row.prompt, *row.rest] for row in rows], model.config.pad_token_id)
    written = _padded([[*[0] * len(row.prompt), *row.written] for row in rows], 0).bool()[:, 1:]
    lengths = torch.tensor([len(row.prompt) + len(row.rest) for row in rows])[:, None]
    # Rows are padded on the right, where causal attention never looks back from: no mask is needed.
    inputs, targets = ids[:, :-1], ids[:, 1:]
    hidden = model.base_model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).last_hidden_state

    def loss(wanted: Tensor) -> Tensor:
        return cross_entropy(model.get_output_embeddings()(hidden[wanted]), targets[wanted])

    read = ~written & (torch.arange(1, ids.shape[1]) < lengths)
    return loss(written), loss(read) if prompts else 0.0


def _seq2seq_losses(model: PreTrainedModel, rows: Rows, prompts: bool) -> tuple[Tensor, Tensor | float]:
    """Cross-entropy of what the model is to write. Dialogues go on in the decoder, which reads the replies."""
    pad, start = model.config.pad_token_id, model.config.decoder_start_token_id
    ids, targets = _padded([row.prompt for row in rows], pad), _padded([row.rest for row in rows], pad)
    lengths = torch.tensor([len(row.prompt) for row in rows])[:, None]
    logits = model(
        input_ids=ids,
        attention_mask=(torch.arange(ids.shape[1]) < lengths).long(),
        decoder_input_ids=torch.cat([torch.full((len(rows), 1), start), targets[:, :-1]], 1),
        decoder_attention_mask=torch.ones_like(targets),  # padding is on the right
    ).logits
    written = _padded([row.written for row in rows], 0).bool()
    return cross_entropy(logits[written], targets[written]), 0.0


def _padded(rows: Sequence[Sequence[int]], pad: int) -> Tensor:
    """(rows, tokens) ids, padded on the right."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad)


def schedule(step: int, steps: int) -> float:
    """The share of the learning rate at a step: a linear warm-up, then a cosine down to a tenth."""
    warmup = max(1, min(100, steps // 10))
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
