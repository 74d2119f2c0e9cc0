"""The slot cache of encoder-decoder models: the encoder runs once for each prompt, and its keys stay with the slot.

| Symbol | Shape | Meaning |
|---|---|---|
| `prompts`, `prompt_lengths` | (rows, columns), (rows,) | what the encoder reads, moved to the left |
| `keys`, `values` of a cross layer | (rows, heads, prompt width, head size) | of the encoder's output, per layer |
"""

from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, CacheLayerMixin, EncoderDecoderCache

from textgym_agents.models.kv_cache import MAX_CACHE_BYTES, Filled, SlotCache


class CrossLayer(CacheLayerMixin):
    """Keys and values that one layer's cross-attention made from the prompts."""

    is_sliding = False

    def __init__(self, slots: "CrossSlotCache") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots
        self.all_keys: Tensor | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        slots = self.slots
        shape = (slots.rows, key_states.shape[1], slots.prompt_width)
        slots.check_budget(shape[0] * shape[1] * shape[2] * (key_states.shape[3] + value_states.shape[3]), key_states)
        self.all_keys = key_states.new_zeros(*shape, key_states.shape[3])
        self.all_values = value_states.new_zeros(*shape, value_states.shape[3])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keep (some rows, heads, prompt tokens, head size) in the slots that are being filled."""
        if self.all_keys is None:
            self.lazy_initialization(key_states, value_states)
        rows, computed = self.slots.filling
        tokens = key_states.shape[2]
        self.all_keys[rows, :, :tokens] = key_states[computed]  # type: ignore[index]
        self.all_values[rows, :, :tokens] = value_states[computed]
        if self is self.slots.last_to_fill:
            raise Filled
        return key_states, value_states

    def show(self, tokens: int, rows: Tensor | None = None) -> None:
        """Offer the first ``tokens`` columns, of all rows or some, as ``keys`` and ``values``, where layers look."""
        assert self.all_keys is not None
        self.keys, self.values = self.all_keys[:, :, :tokens], self.all_values[:, :, :tokens]
        if rows is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.slots.prompt_width, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self.slots.prompt_width


class CrossSlotCache(SlotCache):
    """Slots for a decoder and what it sees of its prompts.

    Args:
        decoder, encoder: of the model.
        rows: number of slots.
        width: most tokens of the decoder, the start token included.
        prompt_width: most tokens of a prompt.
        max_bytes: most memory that self-attention and, again, cross-attention may take.

    Attributes:
        encoded_tokens: prompt tokens that the encoder read since ``clear``.
    """

    least_prefill = 1  # a new row's cross-attention keys are made by running the decoder on its start token

    def __init__(
        self,
        decoder: nn.Module,
        encoder: nn.Module,
        rows: int,
        width: int,
        prompt_width: int,
        max_bytes: int = MAX_CACHE_BYTES,
    ) -> None:
        self.prompt_width = prompt_width
        super().__init__(decoder, rows, width, max_bytes)
        self.encoder = [encoder]  # in a list: a cache is no owner of the model
        self.cross_layers = [CrossLayer(self) for _ in self.slot_layers]
        self.last_to_fill = self.cross_layers[-1]
        self.both = EncoderDecoderCache(self, Cache(layers=list(self.cross_layers)))

    def clear(self) -> None:
        super().clear()
        self.prompts: Tensor | None = None
        self.prompt_lengths: Tensor | None = None
        self.cross_mask: Tensor | None = None
        self.filling: tuple[Tensor, Tensor] = (torch.zeros(0), torch.zeros(0))
        self._shows_some = False  # rows, to an extension
        self.encoded_tokens = 0

    @property
    def nbytes(self) -> int:
        cross = sum(la.all_keys.nbytes + la.all_values.nbytes for la in self.cross_layers if la.all_keys is not None)
        return super().nbytes + cross

    def read_prompts(self, prompts: Tensor, lengths: Tensor) -> None:
        """Say what the prompts (rows, columns) of the next call are; rows whose prompt changed will start anew."""
        if self.prompts is not None and self.prompt_lengths is not None:
            changed = (prompts != self.prompts).any(1) | (lengths != self.prompt_lengths)
            if not bool(changed.any()):
                return
            if self.held_lengths is not None:
                # No row is as short as this, so such a row neither equals what is held nor continues it.
                self.held_lengths = self.held_lengths.masked_fill(changed, -2)
        self.prompts, self.prompt_lengths = prompts, lengths
        self.cross_mask = None

    def _conditions(self, rows: Tensor) -> tuple[Tensor, ...]:
        assert self.prompts is not None
        assert self.prompt_lengths is not None
        return self.prompts[rows], self.prompt_lengths[rows, None]

    def _call_prefill(self, trunk: nn.Module, ids: Tensor, conditions: Tensor, rows: Tensor, computed: Tensor) -> None:
        lengths = conditions[:, -1]
        prompts = conditions[:, : int(lengths.max())]
        mask = (torch.arange(prompts.shape[1], device=ids.device) < lengths[:, None]).long()
        encoded = self.encoder[0](input_ids=prompts, attention_mask=mask).last_hidden_state
        self.encoded_tokens += int(lengths.sum())
        self.filling = rows, computed
        self.both.is_updated = dict.fromkeys(range(len(self.cross_layers)), False)
        trunk(
            input_ids=ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            use_cache=True,
            **{self.argument: self.both},
        )

    def _call(self, trunk: nn.Module, ids: Tensor, mask: Tensor | None, positions: Tensor) -> Tensor:
        tokens, cross_mask = self._show_prompts(next(trunk.parameters()).dtype)
        self.both.is_updated = dict.fromkeys(range(len(self.cross_layers)), True)
        with positions_of(trunk, positions):
            hidden: Tensor = trunk(
                input_ids=ids,
                attention_mask=mask,
                # Its keys and values are in the cache: only its shape is looked at.
                encoder_hidden_states=torch.zeros(1, 1, 1, device=ids.device).expand(len(ids), tokens, 1),
                encoder_attention_mask=cross_mask,
                use_cache=True,
                **{self.argument: self.both},
            ).last_hidden_state
        return hidden

    def _show_prompts(self, dtype: torch.dtype) -> tuple[int, Tensor]:
        """Offer the live columns of the prompts to attention. Returns how many, and the mask of their padding."""
        assert self.prompt_lengths is not None
        new = self.cross_mask is None
        if self.cross_mask is None:
            self._prompt_tokens = int(self.prompt_lengths.max())
            columns = torch.arange(self._prompt_tokens, device=self.prompt_lengths.device)
            padding = (columns >= self.prompt_lengths[:, None])[:, None, None]  # (rows, 1, 1, prompt tokens)
            self.cross_mask = torch.zeros(padding.shape, dtype=dtype, device=padding.device)
            self.cross_mask.masked_fill_(padding, torch.finfo(dtype).min)
        rows = None if self.extension is None else self.extension.rows
        if new or rows is not None or self._shows_some:
            for layer in self.cross_layers:
                layer.show(self._prompt_tokens, rows)
        self._shows_some = rows is not None
        return self._prompt_tokens, self.cross_mask if rows is None else self.cross_mask[rows]


def positions_of(decoder: nn.Module, positions: Tensor) -> AbstractContextManager[Any]:
    """Within the block, ``decoder`` embeds these positions (rows, tokens) instead of the same ones for all rows.

    Decoders such as BART's take no positions from outside. One with relative positions (T5) embeds none.
    """
    stack = ExitStack()
    embedding = getattr(decoder, "embed_positions", None)
    if isinstance(embedding, nn.Module):

        def before(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return args, {**kwargs, "position_ids": positions.flatten()}

        def after(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            return output.reshape(*positions.shape, -1)

        stack.callback(embedding.register_forward_pre_hook(before, with_kwargs=True).remove)
        stack.callback(embedding.register_forward_hook(after).remove)
    return stack
