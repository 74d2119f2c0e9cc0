"""Sequences of different lengths into rows of tokens, with little padding and with shared prompts computed once.

Two ways to save work in a teacher-forced pass, neither of which changes its result:

- Sequences are sorted by length and cut into blocks, so that little padding goes through the model.
- Sequences with the same beginning share a row: the beginning is there once, the rest of each sequence after it, and a
  mask lets every token see the beginning and its own sequence only.

| Symbol | Meaning |
|---|---|
| sequence | a context, then actions; every action is predicted from the token before it |
| insertion | tokens between two actions that nobody chose, such as a partner's reply: seen, and not predicted |
| item | what takes one row: a sequence, or several with one context |
| block | rows that go through the model together |
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_WASTE = 0.1  # of a block's tokens: more padding begins a new block,
SHARING_PAYS = 0.95  # of the work without it: masks cost a little too
FREE_WASTE = 32  # tokens of it are less work than another pass through the model
Ints = NDArray[np.integer]


class Insertion(NamedTuple):
    """Tokens that came between the actions of a sequence and were not chosen.

    Attributes:
        after: how many of the actions come before them, at least one.
        tokens: at least one.
    """

    after: int
    tokens: Ints


class TokenSequence(NamedTuple):
    """A piece of an episode: tokens that were there, and tokens that were chosen after them.

    Attributes:
        context: tokens that were there when it began, at least one.
        actions: tokens that were chosen, at least one.
        prompt: what the encoder reads, None for a decoder-only model.
        inserted: what came between actions, in order; nothing behind the last one.
    """

    context: Ints
    actions: Ints
    prompt: Ints | None = None
    inserted: tuple[Insertion, ...] = ()

    @property
    def size(self) -> int:
        """Tokens that go through the model: nothing follows the last action."""
        return len(self.context) + len(self.actions) - 1 + sum(len(one.tokens) for one in self.inserted)

    def after_context(self) -> tuple[Ints, Ints]:
        """The tokens between the context and the last action, and (actions,) how many of them precede each action.

        >>> words = TokenSequence(np.array([1]), np.array([5, 6, 7]), inserted=(Insertion(2, np.array([8, 9])),))
        >>> [part.tolist() for part in words.after_context()]
        [[5, 6, 8, 9], [0, 1, 4]]
        """
        before = np.arange(len(self.actions))
        if not self.inserted:
            return self.actions[:-1], before
        places = np.repeat([one.after for one in self.inserted], [len(one.tokens) for one in self.inserted])
        tokens = np.insert(self.actions[:-1], places, np.concatenate([one.tokens for one in self.inserted]))
        return tokens, before + np.searchsorted(places, before, side="right")


class Block(NamedTuple):
    """Rows that go through the model together; padding is on the right.

    Attributes:
        input_ids: (rows, tokens).
        rows, columns: (actions,) where the token before each action is.
        positions: (rows, tokens), or None for 0, 1, 2, ...
        mask: (rows, 1, tokens, tokens) bool, who sees whom, or None for all that came before.
        prompts, prompt_mask: (prompts, tokens) for the encoder, or None.
        prompt_of: (rows,) the prompt of each row, or None.
    """

    input_ids: Tensor
    rows: Tensor
    columns: Tensor
    positions: Tensor | None = None
    mask: Tensor | None = None
    prompts: Tensor | None = None
    prompt_mask: Tensor | None = None
    prompt_of: Tensor | None = None


class Packed(NamedTuple):
    """Blocks, and the way back.

    Attributes:
        blocks: of rows of tokens.
        order: (actions,) where, in the blocks' actions one after another, those of the sequences in their order are.
        tokens: that go through the model, padding included.
        padding: how many of them are padding.
    """

    blocks: list[Block]
    order: Tensor
    tokens: int
    padding: int


def pack(sequences: Sequence[TokenSequence], *, share: bool = False, device: torch.device | str = "cpu") -> Packed:
    """Lay out sequences in blocks.

    Args:
        sequences: of one kind, all with a prompt for an encoder or none.
        share: let sequences with the same context share a row, where that is less work. The model must take 4-D masks.
        device: of the tensors.

    >>> prompt = np.array([5, 6, 7])
    >>> sequences = [TokenSequence(prompt, np.array([8, 9])), TokenSequence(prompt, np.array([3]))]
    >>> pack(sequences).blocks[0].input_ids.tolist()
    [[5, 6, 7, 8], [5, 6, 7, 7]]
    """
    blocks: list[tuple[list[int], Block]] = []
    tokens = live = 0
    for items in _cut(sequences, _items(sequences, share)):
        block = _block(sequences, items, device)
        blocks.append(([i for item in items for i in item], block))
        sizes = [_size(sequences, item) for item in items]
        tokens += block.input_ids.numel()
        live += sum(sizes)
        if block.prompt_mask is not None:
            tokens += block.prompt_mask.numel()
            live += int(block.prompt_mask.sum())
    packed_order = [i for order, _ in blocks for i in order]
    starts = np.zeros(len(sequences) + 1, dtype=np.int64)
    np.cumsum([len(sequences[i].actions) for i in packed_order], out=starts[1:])
    where = np.empty(len(sequences), dtype=np.int64)
    where[packed_order] = starts[:-1]
    back = np.concatenate([where[i] + np.arange(len(sequence.actions)) for i, sequence in enumerate(sequences)])
    return Packed([block for _, block in blocks], torch.as_tensor(back, device=device), tokens, tokens - live)


def _size(sequences: Sequence[TokenSequence], item: Sequence[int]) -> int:
    context = len(sequences[item[0]].context)
    return context + sum(sequences[i].size - context for i in item)


def _work(tokens: int, shared: bool) -> float:
    """Of a row: in proportion to its tokens, and for attention to their square, of which a plain row skips half.

    The weights are those of a small model, measured; in a large one attention weighs less.
    """
    return tokens * (1 + tokens / (2048 if shared else 4096))


def _items(sequences: Sequence[TokenSequence], share: bool) -> list[list[int]]:
    """Sequences that share a row: those with one context, in as many rows as make the least work."""
    if not share:
        return [[i] for i in range(len(sequences))]
    groups: dict[bytes, list[int]] = {}
    for i, sequence in enumerate(sequences):
        groups.setdefault(sequence.context.tobytes(), []).append(i)
    return [item for group in groups.values() for item in _split(sequences, group)]


def _split(sequences: Sequence[TokenSequence], group: list[int]) -> list[list[int]]:
    least, best = SHARING_PAYS * sum(_work(sequences[i].size, False) for i in group), 1
    context, until = len(sequences[group[0]].context), [0]  # tokens after the context of the first n sequences
    for i in group:
        until.append(until[-1] + sequences[i].size - context)
    for rows in range(1, len(group)):
        per_row = -(-len(group) // rows)
        ends = [*range(0, len(group), per_row), len(group)]
        work = sum(_work(context + until[b] - until[a], b - a > 1) for a, b in pairwise(ends))
        if work < least:
            best, least = per_row, work
    return [group[i : i + best] for i in range(0, len(group), best)]


def _cut(sequences: Sequence[TokenSequence], items: list[list[int]]) -> list[list[list[int]]]:
    """Items into blocks of similar sizes, plain and shared ones apart, longest first."""

    def sizes(item: list[int]) -> tuple[int, int]:
        prompt = sequences[item[0]].prompt
        return _size(sequences, item), 0 if prompt is None else len(prompt)

    blocks: list[list[list[int]]] = []
    for shared in (True, False):
        kind = sorted((item for item in items if (len(item) > 1) == shared), key=sizes, reverse=True)
        widest = deepest = live = count = 0  # of the block being filled: prompt tokens, tokens, live ones, rows
        for item in kind:
            size, prompt = sizes(item)
            deepest, widest = (max(deepest, size), max(widest, prompt)) if count else (size, prompt)
            padded = (count + 1) * (deepest + widest)
            if count and padded - live - size - prompt > max(MAX_WASTE * padded, FREE_WASTE):
                count, live, deepest, widest = 0, 0, size, prompt
            if not count:
                blocks.append([])
            blocks[-1].append(item)
            count, live = count + 1, live + size + prompt
    return blocks


def _block(sequences: Sequence[TokenSequence], items: list[list[int]], device: torch.device | str) -> Block:
    ids = np.zeros((len(items), max(_size(sequences, item) for item in items)), dtype=np.int64)
    positions = np.zeros_like(ids)
    owner = np.full_like(ids, -1)  # -1: padding, 0: a context, n: the n-th sequence of the row
    rows: list[Ints] = []
    columns: list[Ints] = []
    for row, item in enumerate(items):
        context = sequences[item[0]].context
        end = len(context)
        ids[row, :end], positions[row, :end], owner[row, :end] = context, np.arange(end), 0
        for number, i in enumerate(item, start=1):
            tokens, before = sequences[i].after_context()
            after = slice(end, end + len(tokens))
            ids[row, after], owner[row, after] = tokens, number
            positions[row, after] = np.arange(len(context), len(context) + len(tokens))
            columns.append(np.where(before == 0, len(context), end + before) - 1)
            rows.append(np.full(len(before), row))
            end = after.stop
        ids[row, end:] = ids[row, end - 1]  # some models warn when they see their padding token and no mask
    shared = any(len(item) > 1 for item in items)
    tensors: dict[str, Ints] = {"input_ids": ids, "rows": np.concatenate(rows), "columns": np.concatenate(columns)}
    if shared:
        same = (owner[:, :, None] == owner[:, None, :]) | (owner[:, None, :] == 0)
        before = np.tri(ids.shape[1], dtype=np.bool_)
        tensors |= {"positions": positions, "mask": (same & before)[:, None]}
    if sequences[items[0][0]].prompt is not None:
        tensors |= _prompts([sequences[item[0]].prompt for item in items])  # type: ignore[misc]
    return Block(**{name: torch.as_tensor(array, device=device) for name, array in tensors.items()})


def _prompts(prompts: Sequence[Ints]) -> dict[str, Ints]:
    """Each prompt once."""
    number: dict[bytes, int] = {}
    unique: list[Ints] = []
    prompt_of = []
    for prompt in prompts:
        key = prompt.tobytes()
        if key not in number:
            number[key] = len(unique)
            unique.append(prompt)
        prompt_of.append(number[key])
    ids = np.zeros((len(unique), max(map(len, unique))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(unique):
        ids[row, : len(prompt)], mask[row, : len(prompt)] = prompt, 1
    return {"prompts": ids, "prompt_mask": mask, "prompt_of": np.array(prompt_of)}
