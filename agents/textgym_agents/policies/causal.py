"""Decoder-only language models: GPT-2, Llama, Qwen and others."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from transformers import PreTrainedModel

from textgym.errors import ConfigError, ModelError
from textgym_agents import models
from textgym_agents.models.kv_cache import SlotCache, compact
from textgym_agents.models.packing import Block, TokenSequence
from textgym_agents.policies.capabilities import any_tokens
from textgym_agents.policies.form import Form, Observations


class CausalForm(Form):
    """A decoder that reads prompt and completion as one sequence."""

    name = "causal"
    context_decides = True

    def __init__(self, space: spaces.Dict, num_actions: int) -> None:
        if "input_ids" not in space.spaces:
            raise ConfigError(f"A language model needs observations with input_ids, got {list(space)}.")
        self.num_actions = num_actions
        self.width = int(space["input_ids"].shape[0])  # type: ignore[index]
        self.max_prompt_tokens: int | None = getattr(space, "max_prompt_tokens", None)

    def check_model(self, lm: PreTrainedModel) -> None:
        if lm.config.is_encoder_decoder:
            raise ModelError(
                f"{type(lm).__name__} is an encoder-decoder model, the environment was made for decoder-only ones. "
                'Make it with form="seq2seq".'
            )
        models.check_fit(lm, self.width, self.num_actions)

    def env_kwargs(self, lm: PreTrainedModel) -> dict[str, Any]:
        return {}

    def num_generated(self, obs: Observations) -> Tensor:
        mask = obs["attention_mask"]
        return mask[:, self.max_prompt_tokens :].sum(1) if self.max_prompt_tokens is not None else mask.sum(1) * 0

    def sequences(self, obs: Observations) -> list[TokenSequence]:
        ids, mask = obs["input_ids"].cpu().numpy(), obs["attention_mask"].cpu().numpy() != 0
        return [
            TokenSequence(row[live].astype(np.int32), np.zeros(1, np.int32))
            for row, live in zip(ids, mask, strict=True)
        ]

    def new_cache(self, lm: PreTrainedModel, rows: int, max_bytes: int) -> SlotCache:
        return SlotCache(_trunk(lm), rows, self.width, max_bytes)

    def cached_hidden(self, lm: PreTrainedModel, cache: SlotCache, obs: Observations) -> Tensor:
        ids, lengths = compact(obs["input_ids"], obs["attention_mask"])
        return cache.last_hidden(_trunk(lm), ids, lengths)

    def block_hidden(self, lm: PreTrainedModel, block: Block) -> Tensor:
        options: dict[str, Any] = {}
        if block.mask is not None:
            options["attention_mask"] = _as_attention_takes_it(block.mask, lm)
            options["position_ids"] = block.positions
        # Without a mask every token sees all before it. Padding comes last, so no live token sees any.
        hidden: Tensor = _trunk(lm)(input_ids=block.input_ids, use_cache=False, **options).last_hidden_state
        return hidden

    def probe_observations(self) -> list[dict[str, Tensor]]:
        ids = any_tokens(self.num_actions, self.width)
        probes = []
        # Go on, wait, start anew, and get several tokens at once.
        for short, long in ((1, 3), (2, 4), (3, 4), (1, 5), (2, 6), (5, 1), (7, 3)):
            live = torch.tensor([[short], [min(long, self.width)]])
            mask = (torch.arange(self.width) < live).long()
            probes.append({"input_ids": ids * mask, "attention_mask": mask})
        return probes


def _trunk(lm: PreTrainedModel) -> Any:
    return getattr(lm, lm.base_model_prefix)


def _as_attention_takes_it(mask: Tensor, lm: PreTrainedModel) -> Tensor:
    """A bool mask as it is, or as numbers to add."""
    if getattr(lm.config, "_attn_implementation", "sdpa") != "eager":
        return mask
    dtype = next(lm.parameters()).dtype
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
