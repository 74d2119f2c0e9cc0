"""A decoder-only language model as a Stable-Baselines3 actor-critic policy."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from transformers import PreTrainedModel

from textgym.errors import ConfigError, ModelError
from textgym.tokenizer import BUILTIN_MODEL
from textgym_agents import models
from textgym_agents.models.kv_cache import SlotCache, compact
from textgym_agents.models.packing import Block, Text
from textgym_agents.policies.base import VALUE_HEAD_FILE, LanguageModelPolicy
from textgym_agents.policies.capabilities import any_tokens

__all__ = ["VALUE_HEAD_FILE", "CausalLMPolicy"]


class CausalLMPolicy(LanguageModelPolicy):
    __doc__ = (LanguageModelPolicy.__doc__ or "").replace(
        "A language model with a value head on its last hidden state. Use ``CausalLMPolicy`` or ``Seq2SeqLMPolicy``.",
        "A causal language model with a value head on its last hidden state.",
    )

    DEFAULT_MODEL = BUILTIN_MODEL

    @classmethod
    def _check_spaces(cls, observation_space: Any, action_space: Any) -> None:
        if not isinstance(action_space, spaces.Discrete) or not isinstance(observation_space, spaces.Dict):
            raise ConfigError(
                f"CausalLMPolicy needs a Dict of token ids and Discrete actions, got {observation_space} and "
                f"{action_space}. Use it with a textgym environment."
            )
        if "decoder_input_ids" in observation_space.spaces:
            raise ConfigError(
                "CausalLMPolicy needs observations with input_ids alone, got those of an encoder-decoder environment, "
                'which end in decoder_input_ids. Make the environment with form="causal", or use Seq2SeqLMPolicy.'
            )
        if "input_ids" not in observation_space.spaces:
            raise ConfigError(f"CausalLMPolicy needs observations with input_ids, got {list(observation_space)}.")

    def _check_model(self, lm: PreTrainedModel) -> None:
        if lm.config.is_encoder_decoder:
            raise ModelError(
                f"{type(lm).__name__} is an encoder-decoder model. Use Seq2SeqLMPolicy and an environment made with "
                'form="seq2seq".'
            )
        space: Any = self.observation_space
        self.width = int(space["input_ids"].shape[0])
        self.max_prompt_tokens: int | None = getattr(space, "max_prompt_tokens", None)
        models.check_fit(lm, self.width, self.num_actions)

    def _num_generated(self, obs: dict[str, Tensor]) -> Tensor:
        mask = obs["attention_mask"]
        return mask[:, self.max_prompt_tokens :].sum(1) if self.max_prompt_tokens is not None else mask.sum(1) * 0

    def _texts(self, obs: dict[str, Tensor]) -> list[Text]:
        ids, mask = obs["input_ids"].cpu().numpy(), obs["attention_mask"].cpu().numpy() != 0
        return [Text(row[live].astype(np.int32), np.zeros(1, np.int32)) for row, live in zip(ids, mask, strict=True)]

    def _new_cache(self, rows: int) -> SlotCache:
        return SlotCache(_trunk(self.lm), rows, self.width, self.max_cache_bytes)

    def _cached_hidden(self, obs: dict[str, Tensor]) -> Tensor:
        ids, lengths = compact(obs["input_ids"], obs["attention_mask"])
        slots: SlotCache = self._slots(len(ids))
        return slots.last_hidden(_trunk(self.lm), ids, lengths)

    def _block_hidden(self, lm: PreTrainedModel, block: Block) -> Tensor:
        options: dict[str, Any] = {}
        if block.mask is not None:
            options["attention_mask"] = _seen(block.mask, lm)
            options["position_ids"] = block.positions
        # Without a mask every token sees all before it. Padding comes last, so no live token sees any.
        hidden: Tensor = _trunk(lm)(input_ids=block.input_ids, use_cache=False, **options).last_hidden_state
        return hidden

    def _probe_observations(self) -> list[dict[str, Tensor]]:
        width = self.width
        ids = any_tokens(self.num_actions, width)
        found = []
        for short, long in ((1, 3), (2, 4), (3, 4), (1, 5), (2, 6)):  # go on, wait, start anew
            live = torch.tensor([[short], [min(long, width)]])
            mask = (torch.arange(width) < live).long()
            found.append({"input_ids": ids * mask, "attention_mask": mask})
        return found


def _trunk(lm: PreTrainedModel) -> Any:
    return getattr(lm, lm.base_model_prefix)


def _seen(mask: Tensor, lm: PreTrainedModel) -> Tensor:
    """A bool mask as the model's attention takes it: as it is, or as numbers to add."""
    if getattr(lm.config, "_attn_implementation", "sdpa") != "eager":
        return mask
    dtype = next(lm.parameters()).dtype
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
