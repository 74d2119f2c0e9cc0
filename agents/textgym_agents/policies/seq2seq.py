"""Encoder-decoder language models: T5, BART, Marian and others."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from transformers import PreTrainedModel

from textgym.errors import ConfigError, ModelError
from textgym_agents import models
from textgym_agents.models.cross_kv_cache import CrossSlotCache
from textgym_agents.models.kv_cache import compact
from textgym_agents.models.packing import Block, TokenSequence
from textgym_agents.policies.capabilities import any_tokens
from textgym_agents.policies.form import Form, Observations

KEYS = {"input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask"}


class Seq2SeqForm(Form):
    """An encoder that reads the prompt, and a decoder that writes the completion.

    The encoder runs once for each prompt: in a rollout when its episode begins, in an update once for all completions
    of a prompt.
    """

    name = "seq2seq"
    context_decides = False

    def __init__(self, space: spaces.Dict, num_actions: int) -> None:
        if missing := KEYS - {*space}:
            raise ConfigError(
                f"An encoder-decoder model needs observations with {', '.join(sorted(missing))}, got {list(space)}. "
                'Use it with a textgym environment made with form="seq2seq".'
            )
        self.num_actions = num_actions
        self.prompt_width = int(space["input_ids"].shape[0])  # type: ignore[index]
        self.width = int(space["decoder_input_ids"].shape[0])  # type: ignore[index]

    def check_model(self, lm: PreTrainedModel) -> None:
        if not lm.config.is_encoder_decoder:
            raise ModelError(
                f"{type(lm).__name__} has no encoder, the environment was made for encoder-decoder models. "
                'Make it with form="causal".'
            )
        models.check_fit(lm, self.prompt_width, self.num_actions)
        models.check_fit(lm, self.width, self.num_actions)

    def env_kwargs(self, lm: PreTrainedModel) -> dict[str, Any]:
        start = models.decoder_start_token_id(lm)
        return {"form": self.name, "decoder_start_token_id": 0 if start is None else start}

    def num_generated(self, obs: Observations) -> Tensor:
        return obs["decoder_attention_mask"][:, 1:].sum(1)

    def sequences(self, obs: Observations) -> list[TokenSequence]:
        arrays = {name: tensor.cpu().numpy() for name, tensor in obs.items()}
        prompts, contexts = (
            [
                row[live != 0].astype(np.int32)
                for row, live in zip(arrays[f"{p}input_ids"], arrays[f"{p}attention_mask"], strict=True)
            ]
            for p in ("", "decoder_")
        )
        return [TokenSequence(c, np.zeros(1, np.int32), p) for c, p in zip(contexts, prompts, strict=True)]

    def new_cache(self, lm: PreTrainedModel, rows: int, max_bytes: int) -> CrossSlotCache:
        model: Any = lm
        return CrossSlotCache(model.get_decoder(), model.get_encoder(), rows, self.width, self.prompt_width, max_bytes)

    def cached_hidden(self, lm: PreTrainedModel, cache: CrossSlotCache, obs: Observations) -> Tensor:
        ids, lengths = compact(obs["decoder_input_ids"], obs["decoder_attention_mask"])
        cache.read_prompts(*compact(obs["input_ids"], obs["attention_mask"]))
        model: Any = lm
        return cache.last_hidden(model.get_decoder(), ids, lengths)

    def block_hidden(self, lm: PreTrainedModel, block: Block) -> Tensor:
        assert block.prompts is not None
        assert block.prompt_mask is not None
        model: Any = lm
        encoded = model.get_encoder()(input_ids=block.prompts, attention_mask=block.prompt_mask).last_hidden_state
        if len(block.prompts) < len(block.input_ids):  # completions of one prompt
            encoded, prompt_mask = encoded[block.prompt_of], block.prompt_mask[block.prompt_of]
        else:
            prompt_mask = block.prompt_mask
        hidden: Tensor = model.get_decoder()(
            input_ids=block.input_ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=prompt_mask,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def probe_observations(self) -> list[dict[str, Tensor]]:
        widths = {"": self.prompt_width, "decoder_": self.width}
        ids = {prefix: any_tokens(self.num_actions, width) for prefix, width in widths.items()}
        probes = []
        # Go on, wait, start anew, and get several tokens at once.
        for lengths in ((1, 3), (2, 4), (3, 4), (1, 5), (2, 6), (5, 1), (7, 3)):
            obs: dict[str, Tensor] = {}
            for prefix, width in widths.items():
                live = [min(n, width) for n in (lengths if prefix else (2, 5))]
                mask = (torch.arange(width) < torch.tensor(live)[:, None]).long()
                obs |= {f"{prefix}input_ids": ids[prefix] * mask, f"{prefix}attention_mask": mask}
            probes.append(obs)
        return probes
