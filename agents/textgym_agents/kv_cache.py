"""A key-value cache with one slot per environment: every row decodes one token, only rows that changed are prefilled.

The cache never decides what the policy answers. Each call compares the observation with what the slots hold and
recomputes what differs, so the result is a function of the observation alone; the cache only saves work.

| Symbol | Shape | Meaning |
|---|---|---|
| `ids` | (rows, width) | the observation's live tokens, moved to the left, column = position in the text |
| `lengths` | (rows,) | how many of them there are |
| `keys`, `values` | (rows, heads, width, head size) | one pair per layer, preallocated, written in place |
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, CacheLayerMixin

from textgym.errors import ModelError


def compact(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move each row's live tokens to the left.

    Args:
        input_ids: (rows, columns), the live tokens of a row side by side, padding before and after them.
        attention_mask: (rows, columns), 1 where live.

    Returns:
        ids (rows, longest), zeros after a row's end; lengths (rows,).

    >>> ids, lengths = compact(torch.tensor([[0, 5, 6, 0], [7, 8, 9, 0]]), torch.tensor([[0, 1, 1, 0], [1, 1, 1, 0]]))
    >>> ids.tolist(), lengths.tolist()
    ([[5, 6, 0], [7, 8, 9]], [2, 3])
    """
    live = attention_mask.to(torch.long)
    lengths, first = live.sum(1), live.argmax(1)
    columns = torch.arange(int(lengths.max()), device=input_ids.device)
    index = (first[:, None] + columns).clamp_(max=input_ids.shape[1] - 1)
    ids = input_ids.to(torch.long).gather(1, index)
    return ids.masked_fill_(columns >= lengths[:, None], 0), lengths


class SlotLayer(CacheLayerMixin):
    """Keys and values of one attention layer for all slots."""

    is_sliding = False

    keys: Tensor
    values: Tensor

    def __init__(self, slots: "SlotCache") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        shape = (self.slots.rows, key_states.shape[1], self.slots.width)
        self.keys = key_states.new_zeros(*shape, key_states.shape[3])
        self.values = value_states.new_zeros(*shape, value_states.shape[3])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        slots = self.slots
        if slots.prefill_rows is not None:  # (some rows, heads, tokens, head size), positions 0, 1, 2, ...
            tokens = key_states.shape[2]
            self.keys[slots.prefill_rows, :, :tokens] = key_states
            self.values[slots.prefill_rows, :, :tokens] = value_states
            return key_states, value_states
        self.keys[slots.all_rows, :, slots.columns] = key_states[:, :, 0]  # (rows, heads, 1, head size)
        self.values[slots.all_rows, :, slots.columns] = value_states[:, :, 0]
        return self.keys[:, :, : slots.live], self.values[:, :, : slots.live]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0  # used in prefill only; decoding passes its own 4-D mask

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self.slots.width


class SlotCache(Cache):
    """The slots of one batch of environments.

    Args:
        trunk: the model without its head, as ``models.trunk_and_head`` gives it.
        rows: number of slots.
        width: most tokens that a text can have.
    """

    def __init__(self, trunk: nn.Module, rows: int, width: int) -> None:
        config: Any = trunk.config
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        if kinds != {"full_attention"}:
            raise ModelError(f"The slot cache needs full attention, this model has {', '.join(sorted(kinds))}.")
        self.rows, self.width = rows, width
        self.slot_layers = [SlotLayer(self) for _ in range(config.num_hidden_layers)]
        super().__init__(layers=list(self.slot_layers))
        self.additive_mask = getattr(config, "_attn_implementation", "sdpa") == "eager"
        self.clear()

    def clear(self) -> None:
        """Forget everything: the next call prefills every row."""
        self.held_ids: Tensor | None = None
        self.held_lengths: Tensor | None = None
        self.prefill_rows: Tensor | None = None
        self.prefilled_tokens = self.decoded_tokens = 0

    @property
    def nbytes(self) -> int:
        """Memory that the keys and values take, in bytes."""
        return sum(la.keys.nbytes + la.values.nbytes for la in self.slot_layers if la.is_initialized)

    @torch.no_grad()
    def last_hidden(self, trunk: nn.Module, ids: Tensor, lengths: Tensor) -> Tensor:
        """The last hidden state at each row's last token.

        Args:
            trunk: the model without its head.
            ids: (rows, columns) compacted tokens.
            lengths: (rows,) number of live tokens, at least 1.

        Returns:
            (rows, hidden size).
        """
        context = lengths - 1  # a row's last token is always decoded; what precedes it must be in its slot
        stale = self._stale_rows(ids, context)
        if len(stale):
            self._prefill(trunk, stale, ids[stale], context[stale])
        self.columns, self.live = context, int(lengths.max())
        last = ids.gather(1, context[:, None])  # (rows, 1)
        seen = torch.arange(self.live, device=ids.device) < lengths[:, None]  # (rows, live)
        mask = seen[:, None, None]  # (rows, 1, 1, live)
        if self.additive_mask:
            dtype = next(trunk.parameters()).dtype
            mask = torch.zeros(mask.shape, dtype=dtype, device=ids.device).masked_fill_(~mask, torch.finfo(dtype).min)
        hidden = trunk(
            input_ids=last, attention_mask=mask, position_ids=context[:, None], past_key_values=self, use_cache=True
        ).last_hidden_state
        self.decoded_tokens += len(ids)
        self._remember(ids, lengths)
        return hidden[:, 0]  # type: ignore[no-any-return]

    def _stale_rows(self, ids: Tensor, context: Tensor) -> Tensor:
        """Indices of the rows whose slot doesn't hold the first ``context`` tokens of the row."""
        self.all_rows = torch.arange(len(ids), device=ids.device)
        if self.held_ids is None or self.held_lengths is None:
            return self.all_rows[context > 0]
        columns = torch.arange(ids.shape[1], device=ids.device)
        held = self.held_ids[:, : ids.shape[1]]
        needed = columns < context[:, None]
        same = ((held == ids) | ~needed).all(1) & (self.held_lengths >= context)
        return (~same).nonzero().squeeze(1)

    def _prefill(self, trunk: nn.Module, rows: Tensor, ids: Tensor, lengths: Tensor) -> None:
        """Fill the slots of some rows with the keys and values of all their tokens but the last."""
        longest = int(lengths.max())
        if longest == 0:
            return
        ids = ids[:, :longest]
        columns = torch.arange(longest, device=ids.device)
        mask = (columns < lengths[:, None]).to(torch.long)
        self.prefill_rows = rows
        try:
            trunk(
                input_ids=ids,
                attention_mask=mask,
                position_ids=columns.expand_as(ids),
                past_key_values=self,
                use_cache=True,
            )
        finally:
            self.prefill_rows = None
        self.prefilled_tokens += int(lengths.sum())

    def _remember(self, ids: Tensor, lengths: Tensor) -> None:
        if self.held_ids is None:
            self.held_ids = ids.new_zeros(self.rows, self.width)
        self.held_ids[:, : ids.shape[1]] = ids
        self.held_lengths = lengths
