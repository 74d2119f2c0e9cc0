"""A key-value cache with one slot per environment: every row decodes one token, only rows that begin are prefilled.

The cache never decides what the policy answers. Each call compares the observation with what the slots hold and
recomputes what differs, so the result is a function of the observation alone; the cache only saves work.

All rows decode in step: the newest token of every row lies in the same column, ``end``, and what came before it lies
to the left. So a step writes one column in place, attention reads one run of columns that ends there (as long as the
longest sequence that is alive), and the distance between two tokens of a row is the distance between their columns,
which is what models with relative positions look at. At the right edge everything moves back to the left, once in many
steps. A row that got several tokens at once, such as those of a partner, makes room for them: its own columns move to
the left, and the new tokens but the last are computed together.

| Symbol | Shape | Meaning |
|---|---|---|
| `ids` | (rows, columns) | the tokens of each row, moved to the left |
| `lengths` | (rows,) | how many of them there are, at least 1 |
| `context` | (rows,) | `lengths - 1`: what must be in a slot before the last token is decoded |
| `keys`, `values` | (rows, heads, capacity, head size) | one pair per layer, preallocated |
"""

import inspect
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, CacheLayerMixin

from textgym.errors import ModelError

MAX_CACHE_BYTES = 8 * 2**30


def compact(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move each row's live tokens to the left.

    Args:
        input_ids: (rows, columns), the live tokens of a row side by side, padding before and after them.
        attention_mask: (rows, columns), 1 where live.

    Returns:
        ids (rows, columns), zeros after a row's end; lengths (rows,).

    >>> ids, lengths = compact(torch.tensor([[0, 5, 6, 0], [7, 8, 9, 0]]), torch.tensor([[0, 1, 1, 0], [1, 1, 1, 0]]))
    >>> ids.tolist(), lengths.tolist()
    ([[5, 6, 0, 0], [7, 8, 9, 0]], [2, 3])
    """
    lengths, first = attention_mask.sum(1), attention_mask.argmax(1)
    columns = torch.arange(input_ids.shape[1], device=input_ids.device)
    index = (first[:, None] + columns).clamp_(max=input_ids.shape[1] - 1)
    ids = input_ids.to(torch.long).gather(1, index)
    return ids.masked_fill_(columns >= lengths[:, None], 0), lengths


def cache_argument(trunk: nn.Module) -> str:
    """The name under which a model takes its cache: ``cache``, or ``past_key_values`` before transformers 5.24."""
    return "cache" if "cache" in inspect.signature(trunk.forward).parameters else "past_key_values"


class Fill(NamedTuple):
    """Where a prefill's results go: token ``tokens[i]`` of computed row ``computed[i]`` to ``rows[i], columns[i]``."""

    computed: Tensor
    tokens: Tensor
    rows: Tensor
    columns: Tensor


class Extension(NamedTuple):
    """Rows that got several tokens at once, and how their slots make room: see :meth:`SlotCache._extend`.

    Attributes:
        rows: (some rows,) which.
        columns: (some rows, context) where what shall lie in the columns before ``end`` lies now.
        tokens: how many of these columns, the last ones, are computed anew.
    """

    rows: Tensor
    columns: Tensor
    tokens: int


class Filled(Exception):
    """Ends a prefill when the last layer's keys and values are there: nobody needs what that layer makes of them."""


class SlotLayer(CacheLayerMixin):
    """Keys and values of one attention layer for all slots."""

    is_sliding = False

    keys: Tensor
    values: Tensor

    def __init__(self, slots: "SlotCache") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        slots = self.slots
        shape = (slots.rows, key_states.shape[1], slots.capacity)
        slots.check_budget(shape[0] * shape[1] * shape[2] * (key_states.shape[3] + value_states.shape[3]), key_states)
        self.keys = key_states.new_zeros(*shape, key_states.shape[3])
        self.values = value_states.new_zeros(*shape, value_states.shape[3])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        fill, end = self.slots.fill, self.slots.end
        if fill is not None:  # (some rows, heads, tokens, head size), positions 0, 1, 2, ...
            self.keys[fill.rows, :, fill.columns] = key_states[fill.computed, :, fill.tokens]
            self.values[fill.rows, :, fill.columns] = value_states[fill.computed, :, fill.tokens]
            if self is self.slots.last_to_fill:
                raise Filled
            return key_states, value_states
        if self.slots.extension is not None:
            return self._extend(self.slots.extension, key_states, value_states)
        self.keys[:, :, end : end + 1] = key_states  # (rows, heads, 1, head size)
        self.values[:, :, end : end + 1] = value_states
        seen = slice(end + 1 - self.slots.live, end + 1)
        return self.keys[:, :, seen], self.values[:, :, seen]

    def _extend(self, extension: Extension, key_states: Tensor, value_states: Tensor) -> tuple[Tensor, Tensor]:
        """Move the columns of some rows, write (some rows, heads, tokens, head size) behind them, and return both."""
        heads = torch.arange(key_states.shape[1], device=key_states.device)[:, None]
        rows, columns = extension.rows[:, None, None], extension.columns[:, None]
        written = slice(self.slots.end - columns.shape[2], self.slots.end)
        seen = []
        for held, new in ((self.keys, key_states), (self.values, value_states)):
            moved = held[rows, heads, columns]  # (some rows, heads, context, head size)
            moved[:, :, -extension.tokens :] = new
            held[extension.rows, :, written] = moved
            seen.append(moved)
        if self is self.slots.slot_layers[-1]:
            raise Filled
        return seen[0], seen[1]

    def move(self, source: slice, target: slice) -> None:
        """Copy columns within the slots; the two may overlap."""
        if self.is_initialized:
            for tensor in (self.keys, self.values):
                tensor[:, :, target] = tensor[:, :, source].clone()

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        if self.slots.extension is not None:
            return self.slots.extension.columns.shape[1], 0
        return (query_length if self.slots.fill is not None else self.slots.live), 0

    def get_seq_length(self) -> int:
        if self.slots.extension is not None:
            return self.slots.extension.columns.shape[1] - self.slots.extension.tokens
        return 0 if self.slots.fill is not None else self.slots.live - 1

    def get_max_length(self) -> int:
        return self.slots.width


class SlotCache(Cache):
    """The slots of one batch of environments.

    Args:
        trunk: what makes hidden states: the model without its head, or the decoder of an encoder-decoder model.
        rows: number of slots.
        width: most tokens that a row can have.
        max_bytes: most memory that keys and values may take.

    Attributes:
        prefilled_tokens, extended_tokens, decoded_tokens, answered_rows: work done since ``clear``: tokens of rows that
            began anew, those that rows got besides their last one, the last ones, and rows whose observation had not
            changed, so that the last answer was given again.
    """

    least_prefill = 0

    def __init__(self, trunk: nn.Module, rows: int, width: int, max_bytes: int = MAX_CACHE_BYTES) -> None:
        config: Any = trunk.config
        self.rows, self.width, self.max_bytes = rows, width, max_bytes
        self.argument = cache_argument(trunk)
        self.capacity = width + max(16, width // 4)
        layers = getattr(config, "decoder_layers", None) or config.num_hidden_layers
        self.slot_layers = [SlotLayer(self) for _ in range(layers)]
        super().__init__(layers=list(self.slot_layers))
        self.last_to_fill: CacheLayerMixin = self.slot_layers[-1]
        self.clear()

    def check_budget(self, floats: int, like: Tensor) -> None:
        """Raise ModelError if all layers, with ``floats`` numbers of the type of ``like`` each, take too much."""
        needed = floats * like.element_size() * len(self.slot_layers)
        if needed > self.max_bytes:
            raise ModelError(
                f"The key-value cache for {self.rows} rows of up to {self.width} tokens takes {needed / 2**30:.3g} "
                f"GiB, more than max_cache_bytes allows ({self.max_bytes / 2**30:.3g} GiB). Use fewer environments or "
                "shorter completions, raise max_cache_bytes in policy_kwargs, or set use_cache=False there (slower)."
            )

    def clear(self) -> None:
        """Forget everything: the next call prefills every row."""
        self.held_ids: Tensor | None = None  # (rows, width), and how many of them are live:
        self.held_lengths: Tensor | None = None
        self.aligned: Tensor | None = None  # (rows,) whether the slot's newest token lies in the column before ``end``
        self.answers: Tensor | None = None  # (rows, hidden size) of the last call
        self.fill: Fill | None = None
        self.extension: Extension | None = None
        self.end = self.width - 1
        self.live = 0
        self.prefilled_tokens = self.extended_tokens = self.decoded_tokens = self.answered_rows = 0

    @property
    def nbytes(self) -> int:
        """Memory that the keys and values take, in bytes."""
        return sum(la.keys.nbytes + la.values.nbytes for la in self.slot_layers if la.is_initialized)

    def last_hidden(self, trunk: nn.Module, ids: Tensor, lengths: Tensor) -> Tensor:
        """The last hidden state at each row's last token.

        Args:
            trunk: as given to the constructor.
            ids: (rows, columns) compacted tokens.
            lengths: (rows,) number of live tokens, at least 1.

        Returns:
            (rows, hidden size).
        """
        with torch.inference_mode():  # a tenth faster than no_grad
            hidden = self._last_hidden(trunk, ids, lengths)
        return hidden.clone()  # an ordinary tensor

    def _last_hidden(self, trunk: nn.Module, ids: Tensor, lengths: Tensor) -> Tensor:
        same, grown = self._compare(ids, lengths)
        goes_on, extended = grown > 0, grown > 1
        # All that the host reads comes over at once: on an accelerator, each read waits for the computation.
        facts = [same.sum(), goes_on.sum(), lengths.min(), lengths.max(), grown.max(), (lengths * extended).max()]
        num_same, num_going, shortest, longest, most_grown, longest_extended = torch.stack(facts).tolist()
        if num_same == len(ids) and self.answers is not None:
            self.answered_rows += len(ids)
            return self.answers
        if self.end >= self.capacity:
            self._move_back()
        if num_same + num_going < len(ids):
            stale = (~(same | goes_on)).nonzero().squeeze(1)
            self._prefill(trunk, stale, ids[stale], lengths[stale] - 1)
        if most_grown > 1:
            rows = extended.nonzero().squeeze(1)
            self._extend(trunk, rows, ids[rows], lengths[rows] - 1, grown[rows] - 1, longest_extended - 1)
        self.live = longest
        hidden = self._decode(trunk, ids, lengths, padded=shortest < longest)
        if self.answers is not None and num_same:
            # Such a row waits, while `end` moves on: its answer stays, its slot no longer ends in the newest column.
            hidden = torch.where(same[:, None], self.answers, hidden)
            self.answered_rows += num_same
        self._remember(ids, lengths, ~same, hidden)
        return hidden

    def _compare(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(rows,) whose tokens are the held ones; (rows,) how many came after these, 0 where they aren't the held ones.

        In a slot that isn't ``aligned`` nothing can be added: 0 too.
        """
        if self.held_ids is None or self.held_lengths is None or self.aligned is None:
            nothing = torch.zeros_like(lengths)
            return nothing > 0, nothing
        columns = torch.arange(ids.shape[1], device=ids.device)
        held = self.held_ids[:, : ids.shape[1]]
        agree = ((held == ids) | (columns >= self.held_lengths[:, None])).all(1)
        more = lengths - self.held_lengths
        return agree & (more == 0), more.clamp(min=0) * (agree & self.aligned & (self.held_lengths > 0))

    def _decode(self, trunk: nn.Module, ids: Tensor, lengths: Tensor, padded: bool) -> Tensor:
        """One step of all rows: (rows, hidden size) at the last tokens."""
        context = lengths - 1
        mask = None
        if padded:  # additive, so that no layer has to convert it
            dtype = next(trunk.parameters()).dtype
            columns = torch.arange(self.live - 1, -1, -1, device=ids.device)  # how far back
            mask = torch.zeros(len(ids), 1, 1, self.live, dtype=dtype, device=ids.device)
            mask.masked_fill_((columns >= lengths[:, None])[:, None, None], torch.finfo(dtype).min)
        last = ids.gather(1, context[:, None])  # (rows, 1)
        hidden = self._call(trunk, last, mask, context[:, None])[:, 0]
        self.end += 1
        self.decoded_tokens += len(ids)
        return hidden

    def _call(self, trunk: nn.Module, ids: Tensor, mask: Tensor | None, positions: Tensor) -> Tensor:
        """The trunk's hidden states with this cache."""
        hidden: Tensor = trunk(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, **{self.argument: self}
        ).last_hidden_state
        return hidden

    def _prefill(self, trunk: nn.Module, rows: Tensor, ids: Tensor, context: Tensor) -> None:
        """Fill the slots of some rows with the keys and values of all their tokens but the last."""
        longest = max(int(context.max()), self.least_prefill)
        if longest == 0:
            return
        columns = torch.arange(longest, device=ids.device)
        live = columns < context[:, None]
        ids = torch.where(live, ids[:, :longest], ids[:, :1])
        # Rows with the same context, such as several completions of one prompt, are computed once.
        keyed = torch.cat([ids, context[:, None], *self._conditions(rows)], 1)
        if len(rows) > 1:
            unique, computed = torch.unique(keyed, dim=0, return_inverse=True)
        else:
            unique, computed = keyed, torch.zeros_like(rows)
        which, tokens = live.nonzero(as_tuple=True)
        first = self.end - context  # (some rows,) the column of each row's first token
        self.fill = Fill(computed[which], tokens, rows[which], first[which] + tokens)
        try:
            with suppress(Filled):
                self._call_prefill(trunk, unique[:, :longest], unique[:, longest + 1 :], rows, computed)
        finally:
            self.fill = None
        self.prefilled_tokens += int(unique[:, longest].sum())

    def _extend(self, trunk: nn.Module, rows: Tensor, ids: Tensor, context: Tensor, new: Tensor, longest: int) -> None:
        """Read what some rows got besides their last token, ``new`` (some rows,) tokens, the most ``new.max()``.

        Args:
            trunk: as given to the constructor.
            rows: (some rows,) which.
            ids: (some rows, columns) all their tokens.
            context: (some rows,) how many of them must be in the slots.
            new: (some rows,) how many of these are not there yet.
            longest: the largest of ``context``.
        """
        tokens = int(new.max())
        columns = torch.arange(longest, device=ids.device)  # those before ``end``, which are written
        sources = (columns + self.end - longest + new[:, None]).clamp_(max=self.end - 1)
        queries = columns[longest - tokens :]
        # A row that got fewer tokens computes some that it has, too. Before its first one, padding sees itself alone.
        positions = (queries - longest + context[:, None]).clamp_(min=0)
        first = (longest - context)[:, None, None]
        seen = (columns <= queries[:, None]) & (columns >= first) | (columns == queries[:, None])
        mask = torch.zeros(seen.shape, dtype=next(trunk.parameters()).dtype, device=ids.device)
        mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)  # (some rows, tokens, longest)
        self.extension = Extension(rows, sources, tokens)
        try:
            with suppress(Filled):
                self._call(trunk, ids.gather(1, positions), mask[:, None], positions)
        finally:
            self.extension = None
        self.extended_tokens += int(new.sum())

    def _conditions(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Integer matrices (some rows, any) of what else a row's keys and values depend on."""
        return ()

    def _call_prefill(self, trunk: nn.Module, ids: Tensor, conditions: Tensor, rows: Tensor, computed: Tensor) -> None:
        """Run the trunk on unique rows of tokens; row ``rows[i]`` of the cache has the tokens ``ids[computed[i]]``."""
        # Padding lies on the right, where no live token looks: no mask is needed.
        self._call(trunk, ids, None, torch.arange(ids.shape[1], device=ids.device).expand_as(ids))

    def _move_back(self) -> None:
        """Move the columns that a row can still use to the left edge."""
        keep = min(self.live, self.width - 1)
        source, target = slice(self.end - keep, self.end), slice(self.width - 1 - keep, self.width - 1)
        for layer in self.slot_layers:
            layer.move(source, target)
        self.end = self.width - 1

    def _remember(self, ids: Tensor, lengths: Tensor, aligned: Tensor, answers: Tensor) -> None:
        if self.held_ids is None:
            self.held_ids = ids.new_zeros(self.rows, self.width)
        self.held_ids[:, : ids.shape[1]] = ids
        self.held_lengths, self.aligned, self.answers = lengths, aligned, answers
